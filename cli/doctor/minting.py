"""Tokens of our own making, when the signing keys are at hand: for calls that do not exist."""

from uuid import uuid4

from cli.doctor.examination import Examination
from shared.security.audiences import Audience
from shared.security.key_document import Document, serialise
from shared.security.keyring import KeyRing
from shared.security.tokens import TokenMinter

TENANT = "default"
FORGED = "forged.by.doctor"


class _Held:
    """A `KeySource` of a document that has been read already."""

    def __init__(self, document: Document) -> None:
        self._text = serialise(document)

    async def load(self) -> str:
        """The document."""
        return self._text

    async def save(self, text: str) -> None:
        """Nothing is written."""

    async def close(self) -> None:
        """Nothing to give back."""


async def minted(exam: Examination, audience: Audience, *, call_id: str = "", tenant: str = TENANT) -> str:
    """A token; "" without signing keys for this audience.

    Raises:
        KeysUnavailable: never; who asks has looked.
    """
    document = exam.signing
    if document is None or document.to_sign_with(audience, exam.now()) is None:
        return ""
    minter = TokenMinter(KeyRing(_Held(document), exam.now), exam.now)
    token = await minter.mint(audience, call_id=call_id or f"doctor-{uuid4().hex}", tenant=tenant)
    exam.secret_values.add(token)
    return token
