"""Single requests to an ACS resource, signed with its key or with a token (acs.md 1.2).

The SDKs would do, but each is another package, retries for minutes, and hides the answer's date.
"""

import base64
import hashlib
import hmac
from email.utils import formatdate
from urllib.parse import urlsplit

from cli.doctor.examination import Answer, Examination
from cli.doctor.identity import ACS, open_credential
from shared.settings import AcsAccess


async def ask_acs(
    exam: Examination, acs: AcsAccess, method: str, path: str, body: bytes = b"", *, who: str = ""
) -> Answer:
    """The resource's answer.

    Args:
        exam: makes the request.
        acs: whose; without a key a token is taken.
        method: GET, POST or DELETE.
        path: with its query, as it goes over the wire.
        body: JSON.
        who: see `Examination.ask`.

    Raises:
        NoAnswer: none came.
    """
    headers = {"Content-Type": "application/json"} if body else {}
    if acs.access_key:
        headers |= hmac_headers(acs, method, path, body, exam.now())
    else:
        token = await open_credential(exam).get_token(ACS)
        headers["Authorization"] = f"Bearer {token.token}"
    return await exam.ask(method, acs.endpoint + path, who=who, headers=headers, data=body or None)


def hmac_headers(acs: AcsAccess, method: str, path: str, body: bytes, now: float) -> dict[str, str]:
    """The headers by which ACS knows the key's holder; good for 15 minutes from `now` (Unix time, s)."""
    date = formatdate(now, usegmt=True)
    host = urlsplit(acs.endpoint).netloc
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    text = f"{method}\n{path}\n{date};{host};{digest}"
    signature = base64.b64encode(
        hmac.digest(base64.b64decode(acs.access_key), text.encode(), "sha256")
    ).decode()
    return {
        "x-ms-date": date,
        "x-ms-content-sha256": digest,
        "Authorization": "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature="
        + signature,
    }
