"""What the security tests share: a clock, key documents in files, tokens forged by hand."""

import base64
import json

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from shared.security.key_document import new_document, public_part, serialise
from shared.security.key_sources import FileKeySource

PKCS1 = (padding.PKCS1v15(), hashes.SHA256())
"""What RS256 signs with."""

START = 1_800_000_000.0


class Clock:
    """A time that only moves when it is told to."""

    def __init__(self, time=START):
        self.time = time

    def __call__(self):
        return self.time


class CountingSource(FileKeySource):
    """A file source that counts its reads."""

    loads = 0

    async def load(self):
        self.loads += 1
        return await super().load()


class Keys:
    """A private and a public key document in files."""

    def __init__(self, folder, clock):
        self.clock = clock
        self.document = new_document(clock())
        self.private_path = folder / "signing.json"
        self.public_path = folder / "verification.json"
        self.signing = CountingSource(self.private_path)
        self.verification = CountingSource(self.public_path)

    async def write(self):
        await self.signing.save(serialise(self.document))
        await self.verification.save(serialise(public_part(self.document)))

    def break_sources(self):
        """Make both files unreadable, as an outage does."""
        for path in (self.private_path, self.public_path):
            path.rename(path.with_suffix(".away"))
            path.mkdir()

    def mend_sources(self):
        for path in (self.private_path, self.public_path):
            path.rmdir()
            path.with_suffix(".away").rename(path)


def b64(value):
    """base64url without padding, of bytes or of a JSON value."""
    if not isinstance(value, bytes):
        value = json.dumps(value).encode()
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def forge(header, claims, sign):
    """A compact token of any header and claims (values, or bytes that are taken as they are); `sign` makes the signature."""
    signed = f"{b64(header)}.{b64(claims)}"
    return f"{signed}.{b64(sign(signed.encode()))}"
