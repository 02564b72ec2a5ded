"""The key ring: keys from a source, cached, and their rotation.

The function app's ring reads the private document and signs; a media host's ring reads the public one and verifies.
"""

import logging
from collections.abc import Callable

from shared.errors import InvalidInput, KeysUnavailable, NotFound, TokenRejected
from shared.security.audiences import Audience
from shared.security.cached import Cached
from shared.security.key_document import (
    LEAD_S,
    OVERLAP_S,
    Document,
    SigningKey,
    new_document,
    parse_document,
    public_part,
    rotate,
    serialise,
)
from shared.security.key_sources import FileKeySource, KeySource, KeyVaultKeySource, open_key_source

__all__ = [
    "Document",
    "FileKeySource",
    "KeyRing",
    "KeySource",
    "KeyVaultKeySource",
    "SigningKey",
    "ensure_keys",
    "new_document",
    "open_key_source",
    "parse_document",
    "public_part",
    "rotate",
    "rotate_keys",
    "serialise",
]

logger = logging.getLogger(__name__)


class KeyRing:
    """Keys of one source.

    The document is read at first use and again every `ttl_s`; an unknown key id makes it read out of turn, at most once
    in `retry_s`. When the source does not answer, what was read last stays in use.

    Args:
        source: where the document is.
        now: Unix time (s).
        ttl_s: seconds for which a document is used before it is read again.
        retry_s: seconds between reads out of turn.
    """

    def __init__(
        self, source: KeySource, now: Callable[[], float], ttl_s: float = 300, retry_s: float = 5
    ) -> None:
        self._source = source
        self._now = now
        self._document = Cached(
            self._load, now, name="key document", ttl_s=ttl_s, retry_s=retry_s, kind="keys"
        )

    async def _load(self) -> Document:
        try:
            return parse_document(await self._source.load())
        except (InvalidInput, NotFound) as wrong:
            raise KeysUnavailable(f"no usable key document: {wrong}") from None

    async def signing_key(self, audience: Audience) -> SigningKey:
        """The key to sign with now.

        Raises:
            KeysUnavailable: no document can be read, or it has no private key for this audience.
        """
        key = (await self._document.get()).to_sign_with(audience, self._now())
        if key is None:
            key = (await self._document.get_newer()).to_sign_with(audience, self._now())
        if key is None:
            raise KeysUnavailable(f"no private key for {audience}")
        return key

    async def verification_key(self, kid: str, audience: Audience) -> SigningKey:
        """The key that a token's header names.

        Raises:
            TokenRejected: `unknown-key`: there is none, or it has expired; `audience`: it is another audience's.
            KeysUnavailable: no document can be read.
        """
        key = (await self._document.get()).by_kid(kid) or (await self._document.get_newer()).by_kid(kid)
        if key is None or key.expired(self._now()):
            raise TokenRejected("unknown-key")
        if key.audience is not audience:
            raise TokenRejected("audience")
        return key

    async def close(self) -> None:
        """Close the source."""
        await self._source.close()


async def rotate_keys(
    signing: KeySource,
    verification: KeySource,
    now: float,
    *,
    overlap_s: float = OVERLAP_S,
    lead_s: float = LEAD_S,
    min_age_s: float = 3600,
) -> bool:
    """Give every audience a new key: its public half is published before its private half can be used.

    Asking twice does no harm: Key Vault's SecretNearExpiry is delivered at least once, and there is one for each of the
    two secrets.

    Args:
        signing: the private document.
        verification: its public copy.
        now: Unix time (s).
        overlap_s: how long replaced keys still verify after the new ones have come into use.
        lead_s: how long the new keys wait before they sign; see `key_document.rotate`.
        min_age_s: nothing is done if there is a key younger than this; 0 rotates in any case.

    Returns:
        Whether there are new keys.

    Raises:
        NotFound: there is no private document yet.
        InvalidInput: the private document cannot be read.
        KeysUnavailable: a source does not answer; nothing is lost, and rotating again repairs it.
    """
    document = parse_document(await signing.load())
    due = all(now - key.created_at >= min_age_s for key in document.keys)
    if due:
        rotated = rotate(document, now, overlap_s, lead_s)
        await verification.save(serialise(public_part(rotated)))
        await signing.save(serialise(rotated))
        logger.info("signing keys rotated: %s", ", ".join(key.kid for key in rotated.keys))
    await _publish(signing, verification)
    return due


async def ensure_keys(signing: KeySource, verification: KeySource, now: float) -> bool:
    """Create both documents if there is no private one, and publish the public copy if it is missing or outdated.

    Returns:
        Whether the private document was created.

    Raises:
        InvalidInput: there is a private document, but it cannot be read; it is left alone.
        KeysUnavailable: a source does not answer.
    """
    try:
        await signing.load()
        created = False
    except NotFound:
        await signing.save(serialise(new_document(now)))
        created = True
    await _publish(signing, verification)
    return created


async def _publish(signing: KeySource, verification: KeySource) -> None:
    """Make the public copy that of the private document as it is stored now.

    Two processes that rotate at the same time overwrite each other; since both come here last, the two documents agree
    in the end.
    """
    public = serialise(public_part(parse_document(await signing.load())))
    try:
        if await verification.load() == public:
            return
    except NotFound:
        pass
    await verification.save(public)
