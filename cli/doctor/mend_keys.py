"""`python -m cli.doctor.mend_keys ensure|rotate|replace SIGNING VERIFICATION`: what the doctor tells people to do about keys.

`ensure` makes them if there are none and publishes the public copy; `rotate` gives every audience a new key. Calls of now go on:
what the old keys have signed stays good for as long as it would have lived. `replace` is for keys that somebody may have seen: the
old ones are worthless at once, and calls of now lose their callbacks.
"""

import argparse
import asyncio
import sys
import time

from shared.errors import PatchcordError
from shared.security.keyring import ensure_keys, open_key_source, rotate_keys


async def mend(how: str, signing: str, verification: str) -> str:
    """Do it; returns what was done.

    Raises:
        PatchcordError: an address is wrong, or its place does not let us in.
    """
    private, public = open_key_source(signing), open_key_source(verification)
    try:
        if how == "rotate":
            await rotate_keys(private, public, time.time(), min_age_s=0)
            return "new keys were made; they sign in a few minutes"
        if how == "replace":
            await rotate_keys(private, public, time.time(), overlap_s=0, lead_s=0, min_age_s=0)
            return "new keys were made, the old ones are gone; processes take them up within minutes"
        made = await ensure_keys(private, public, time.time())
        return "keys were made" if made else "the keys are there; the public copy is theirs"
    finally:
        await private.close()
        await public.close()


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(
        prog="python -m cli.doctor.mend_keys", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("how", choices=("ensure", "rotate", "replace"))
    parser.add_argument("signing", help="as in PATCHCORD_SIGNING_KEYS")
    parser.add_argument("verification", help="as in PATCHCORD_VERIFICATION_KEYS")
    given = parser.parse_args()
    try:
        print(asyncio.run(mend(given.how, given.signing, given.verification)))
    except PatchcordError as error:
        print(f"mend_keys: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
