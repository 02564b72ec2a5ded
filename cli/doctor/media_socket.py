"""Upgrades to the media host's audio sockets: who is let in, and for what reason not.

ACS's door says 401 for every reason. Twilio's lets a signed upgrade in and closes it with 1008 when the stream is of no call of
ours: that shows that address, keys and secret are right.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping

import aiohttp

from cli.doctor.examination import ANSWER_S, Examination, why
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.minting import FORGED, minted
from shared.config.twilio import TwilioConfig
from shared.errors import PatchcordError
from shared.security.audiences import Audience
from shared.wire.twilio_signature import SETTINGS_HEADER, SIGNATURE_HEADER

CLOSED_AS_NO_CALL = 1008
STREAM, CALL, OTHER_CALL = "MZ" + "d" * 32, "CA" + "d" * 32, "CA" + "0" * 32
NO_WEBSOCKETS = "let WebSockets through what stands before the media host (Container Apps: ingress transport auto or http)"


async def at_the_door(exam: Examination, base: str) -> AsyncIterator[Finding]:
    """ACS's socket, with a bad token, then with one of ours for a call that does not exist."""
    check = "a bad token"
    try:
        status, _ = await upgrade(exam, f"{base}/acs/{FORGED}", {})
    except OSError as error:
        yield broken(check, str(error), NO_WEBSOCKETS)
        return
    if status == 401:
        yield ok(check, "reaches the door by WebSocket and is refused")
    else:
        yield _odd(check, status)
        return
    check = "our own token, no call"
    token = await minted(exam, Audience.ACS_MEDIA)
    if not token:
        yield unknown(check, "the signing keys are not at hand")
        return
    try:
        status, _ = await upgrade(exam, f"{base}/acs/{token}", {"x-ms-call-connection-id": "doctor"})
    except OSError as error:
        yield broken(check, str(error), NO_WEBSOCKETS)
        return
    if status == 401:
        yield ok(check, "is refused (for which reason, only the media host's log says)")
    else:
        yield _odd(check, status)


def _odd(check: str, status: int) -> Finding:
    if status == 101:
        return broken(
            check, "is let in", "stop this media host: it is not Patchcord's, or not as it should be"
        )
    if status in (503, 500):
        text = f"is answered {status}: it is full, or cannot read its keys or its store"
        return broken(
            check, text, "see its log; PATCHCORD_VERIFICATION_KEYS and PATCHCORD_STORE as in the function app"
        )
    return broken(check, f"is answered {status} instead of 401", NO_WEBSOCKETS)


async def by_twilio(exam: Examination, base: str) -> AsyncIterator[Finding]:
    """A signed upgrade with our token, and the start of a stream of another call."""
    check = "a signed stream of another call"
    for tenant, account in exam.config.twilio.items() if exam.config else ():
        token = await minted(exam, Audience.TWILIO_MEDIA, call_id=CALL, tenant=tenant)
        if not token:
            yield unknown(check, "the signing keys are not at hand")
            return
        address = f"{base}/twilio/{token}"
        try:
            headers = await signed_headers(exam, account, address)
        except PatchcordError as error:
            yield unknown(check, str(error))
            continue
        try:
            status, closed = await upgrade(exam, address, headers, start_of(account.account_sid))
        except OSError as error:
            yield broken(check, str(error), NO_WEBSOCKETS)
            continue
        yield _twilio(exam, check, status, closed)


def _twilio(exam: Examination, check: str, status: int, closed: int) -> Finding:
    if status == 101 and closed == CLOSED_AS_NO_CALL:
        return ok(check, "connects and is closed with 1008: keys, address and secret are the media host's")
    if status == 401:
        return broken(
            check,
            "is refused before it can begin: the media host has other keys, another CALLBACK_URI_HOST or another Twilio secret",
            "the same PATCHCORD_VERIFICATION_KEYS, CALLBACK_URI_HOST and secret for both processes: "
            + exam.subject.mend("CALLBACK_URI_HOST"),
        )
    if status == 404:
        return broken(
            check,
            "the media host knows no Twilio: its patchcord.yaml has no `twilio:`",
            "the same patchcord.yaml for both processes: azd deploy",
        )
    text = f"is answered {status}" + (f" and closed with {closed}" if status == 101 else "")
    return broken(check, text, "see the media host's log")


async def signed_headers(
    exam: Examination, account: TwilioConfig, address: str, form: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The headers by which Twilio shows who it is.

    Raises:
        PatchcordError: the account's secret cannot be read.
    """
    from twilio.request_validator import RequestValidator

    reference = account.signing_key or account.auth_token
    validator = RequestValidator(await exam.secrets.get(reference))
    if account.signing_key:
        signature = validator.compute_signature(address, dict(form or {}), "HMAC_SHA256")
        return {SIGNATURE_HEADER: signature, SETTINGS_HEADER: "key=doctor,algorithm=HMAC_SHA256"}
    return {SIGNATURE_HEADER: validator.compute_signature(address, dict(form or {}))}


def start_of(account_sid: str) -> list[str]:
    """The first two messages of a stream (twilio-and-transfers.md 2B)."""
    start = {
        "streamSid": STREAM,
        "accountSid": account_sid,
        "callSid": OTHER_CALL,
        "tracks": ["inbound"],
        "customParameters": {},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    return [
        json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}),
        json.dumps({"event": "start", "sequenceNumber": "1", "start": start, "streamSid": STREAM}),
    ]


async def upgrade(
    exam: Examination, url: str, headers: Mapping[str, str], say: list[str] | None = None
) -> tuple[int, int]:
    """The answer's status (101: connected), and the close code after `say`; 0 without one.

    Raises:
        OSError: nobody answered; the text says why.
    """
    try:
        async with asyncio.timeout(ANSWER_S), exam.http.ws_connect(url, headers=headers) as socket:
            for text in say or ():
                await socket.send_str(text)
            if say:
                await socket.receive()
            return 101, socket.close_code or 0
    except aiohttp.WSServerHandshakeError as error:
        return error.status, 0
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise OSError(why(error, url)) from None
