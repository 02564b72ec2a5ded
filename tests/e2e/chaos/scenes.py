"""What happens to Patchcord while calls are on: each scene makes it happen and returns when it is over."""

import asyncio
import signal
import sqlite3
import time
from contextlib import closing

from cli.stack import Stack
from shared.security.keyring import open_key_source, rotate_keys
from tests.e2e.chaos.callers import Callers
from tests.support.timing import patience

DRAIN_S = "3"
"""How long calls may go on before they are handed over, in these scenes (s)."""

LEAD_S = 6.0
"""How long new keys wait before they sign (s); in production an hour (`key_document.LEAD_S`)."""

OUTAGE_S = 20.0


async def rolling_update(stack: Stack, callers: Callers, more: int) -> str:
    """A new media host comes, the old one is told to stop; new calls come in meanwhile."""
    (old,) = stack.media_hosts
    await stack.add_media_host()
    old.signal(signal.SIGTERM)
    begun = time.monotonic()
    fresh = await callers.dial(more, 8, apart_s=2.0 / max(more, 1))
    code = await asyncio.wait_for(old.wait(), patience(60))
    await callers.heard(fresh)
    return f"old host gone after {time.monotonic() - begun:.1f} s, exit code {code}"


async def killed(stack: Stack, callers: Callers, more: int) -> str:
    """One of two media hosts is killed."""
    stack.media_hosts[0].signal(signal.SIGKILL)
    await stack.media_hosts[0].wait()
    await asyncio.sleep(1)
    await callers.heard(await callers.dial(more, 6))
    return "SIGKILL"


async def keys_rotated(stack: Stack, callers: Callers, more: int) -> str:
    """New signing keys come into use; a function app that starts then signs with them, and the media host must look them up."""
    signing, verification = (open_key_source(address, "") for address in stack.key_addresses)
    made = await rotate_keys(signing, verification, time.time(), lead_s=LEAD_S, min_age_s=0)
    await asyncio.sleep(LEAD_S)
    before = await callers.dial(more, 12)  # by the function app that still has the old ones
    await callers.heard(before)
    await _functions_again(stack, signal.SIGTERM)
    await callers.heard(await callers.dial(more, 6))
    return "new keys" if made else "no new keys"


async def functions_restarted(stack: Stack, callers: Callers, more: int) -> str:
    """The function app is killed and starts again; calls that ring meanwhile are delivered again."""
    assert stack.functions is not None
    stack.functions.signal(signal.SIGKILL)
    await stack.functions.wait()
    begun = time.monotonic()
    ringing = await callers.dial(more, 6)
    await stack.start_functions()
    away_s = time.monotonic() - begun
    await callers.heard(ringing)
    return f"away for {away_s:.1f} s"


async def store_away(stack: Stack, callers: Callers, more: int, outage_s: float = OUTAGE_S) -> str:
    """Nobody can read or write the store; two callers hang up and others ring meanwhile."""
    with closing(
        sqlite3.connect(stack.folder / "patchcord.db", isolation_level=None, timeout=10)
    ) as database:
        database.execute("BEGIN EXCLUSIVE")
        try:
            await asyncio.sleep(1)
            ringing = await callers.dial(more, 6)
            for call in callers.calls[:2]:
                callers.hang_up(call)
            await asyncio.sleep(outage_s - 1)
        finally:
            database.execute("ROLLBACK")
    await callers.heard(ringing, within_s=60)
    return f"away for {outage_s:.0f} s"


async def _functions_again(stack: Stack, number: signal.Signals) -> None:
    assert stack.functions is not None
    stack.functions.signal(number)
    await stack.functions.wait()
    await stack.start_functions()
