"""Link "keys": both key documents can be read, hold what they must and nothing else, agree, and are young enough."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.identity import VAULT
from shared.errors import InvalidInput, KeysUnavailable, NotFound
from shared.security.audiences import Audience
from shared.security.key_document import Document, parse_document
from shared.security.key_sources import open_key_source
from shared.settings import FunctionAppSettings

DAY_S = 86_400
ROTATED_DAYS = 62
"""Key Vault speaks 30 days before a secret's 90 are over, and we rotate; two days are for its being late."""
OLDEST_DAYS = 180
"""Of keys in files, which nothing rotates by itself."""


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Read both, as the function app and the media host do."""
    settings = exam.settings
    documents: dict[str, Document] = {}
    for name, address in (
        ("PATCHCORD_SIGNING_KEYS", settings.signing_keys),
        ("PATCHCORD_VERIFICATION_KEYS", settings.verification_keys),
    ):
        found = exam.without(name, name) or await _read(exam, name, address, documents)
        if found is not None:
            yield found
    signing, verification = (
        documents.get(f"PATCHCORD_{which}_KEYS") for which in ("SIGNING", "VERIFICATION")
    )
    if signing is not None:
        exam.signing = signing
        for one in _signing(exam, settings, signing):
            yield one
    if verification is not None:
        yield _public(exam, settings, verification)
    if signing is not None and verification is not None:
        yield _agree(exam, settings, signing, verification)


def mend(exam: Examination, settings: FunctionAppSettings, how: str) -> str:
    """The command that makes (`ensure`), rotates (`rotate`) or replaces (`replace`) keys."""
    if how == "ensure" and exam.subject.keys_with:
        return exam.subject.keys_with
    return f"python -m cli.doctor.mend_keys {how} {settings.signing_keys} {settings.verification_keys}"


async def _read(exam: Examination, name: str, address: str, documents: dict[str, Document]) -> Finding | None:
    settings = exam.settings
    if address.startswith("https:") and VAULT in exam.no_token:
        return unknown(name, "no token for Key Vault, see identity")
    source = open_key_source(address, settings.managed_identity)
    try:
        documents[name] = parse_document(await source.load())
    except NotFound as error:
        return broken(name, str(error), mend(exam, settings, "ensure"))
    except InvalidInput as error:
        return broken(
            name,
            f"no key document: {error}",
            f"put its last good version back, or delete it and run: {mend(exam, settings, 'ensure')}",
        )
    except KeysUnavailable as error:
        role = "Key Vault Secrets User on the secret, and the vault's firewall open to you"
        return broken(name, str(error), role if address.startswith("https:") else f"chmod 600 {address[5:]}")
    finally:
        await source.close()
    return None


def _signing(exam: Examination, settings: FunctionAppSettings, signing: Document) -> Iterator[Finding]:
    now = exam.now()
    missing = [each.value for each in Audience if signing.to_sign_with(each, now) is None]
    if missing:
        text = f"no private key in use for {', '.join(missing)}"
        yield broken("signing", text, mend(exam, settings, "rotate"))
    else:
        yield ok("signing", f"{len(signing.keys)} keys for {len(Audience)} audiences")
    yield _age(exam, settings, signing)
    path = Path(settings.signing_keys.removeprefix("file:"))
    if settings.signing_keys.startswith("file:") and path.stat().st_mode & 0o077:
        yield broken("who may read the private keys", f"others than the owner of {path}", f"chmod 600 {path}")


def _age(exam: Examination, settings: FunctionAppSettings, signing: Document) -> Finding:
    is_vault = settings.signing_keys.startswith("https:")
    limit = ROTATED_DAYS if is_vault else OLDEST_DAYS
    days = (exam.now() - max((key.created_at for key in signing.keys), default=0)) / DAY_S
    if days > limit:
        late = "; SecretNearExpiry does not reach rotate_signing_keys" if is_vault else ""
        return broken(
            "rotation", f"the newest key is {days:.0f} days old{late}", mend(exam, settings, "rotate")
        )
    if days < -1 / 24:
        return broken(
            "rotation", "the newest key was made in the future", "set the clock: timedatectl set-ntp true"
        )
    return ok("rotation", f"the newest key is {max(days, 0):.0f} days old")


def _public(exam: Examination, settings: FunctionAppSettings, verification: Document) -> Finding:
    check = "the public copy"
    if all(key.private is None for key in verification.keys):
        return ok(check, f"{len(verification.keys)} keys, none of them private")
    text = "holds private keys: every media host could sign"
    if settings.signing_keys == settings.verification_keys:
        place = "another place than PATCHCORD_SIGNING_KEYS"
        mended = exam.subject.mend("PATCHCORD_VERIFICATION_KEYS", f"({place})")
        return broken(check, text, f"{mended}, and start both processes again")
    return broken(check, text, f"{mend(exam, settings, 'replace')} (calls of now are lost)")


def _agree(
    exam: Examination, settings: FunctionAppSettings, signing: Document, verification: Document
) -> Finding:
    now = exam.now()
    live = [key for key in signing.keys if not key.expired(now)]
    unlike = [
        key.kid
        for key in live
        if (twin := verification.by_kid(key.kid)) is None
        or twin.audience is not key.audience
        or twin.public.public_bytes_raw() != key.public.public_bytes_raw()
    ]
    if unlike:
        return broken(
            "both agree",
            f"{len(unlike)} of {len(live)} signing keys are not in the public copy: media hosts refuse what they sign",
            mend(exam, settings, "ensure"),
        )
    return ok("both agree", f"{len(live)} of {len(live)} signing keys can be verified")
