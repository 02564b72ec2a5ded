"""Raw requests to the emulator, signed with the access key (acs.md 1.2) or carrying an authorization of the test's own."""

import base64
import email.utils
import json

import aiohttp
from yarl import URL

from emulator.acs.auth import content_hash, signature
from emulator.service import Emulator
from tests.support.app import ACCESS_KEY


async def signed(
    emulator: Emulator, method: str, path: str, body: object = None, *, authorization: str | None = None
) -> tuple[int, dict]:
    """Status and JSON body of the answer."""
    data = b"" if body is None else json.dumps(body).encode()
    date, digest = email.utils.formatdate(usegmt=True), content_hash(data)
    host = emulator.endpoint.partition("://")[2]
    made = signature(base64.b64decode(ACCESS_KEY), method, path, date, host, digest)
    headers = {
        "Authorization": authorization
        or f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={made}",
        "x-ms-date": date,
        "x-ms-content-sha256": digest,
        "Content-Type": "application/json",
    }
    url = URL(emulator.endpoint + path, encoded=True)
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=data, headers=headers) as reply,
    ):
        text = await reply.text()
        return reply.status, json.loads(text) if text else {}
