"""Requests that Twilio makes: signed, as forms, with 15 s of patience (reference/twilio-and-transfers.md 2D)."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

import aiohttp
from yarl import URL

from emulator.faults import Faults
from emulator.trace import Trace
from emulator.trace.redaction import redact_headers, redact_url
from emulator.twilio.notices import Trouble
from emulator.twilio.signing import TwilioSigner

TIMEOUT_S = 15.0
MAX_ANSWER = 256 * 1024
USER_AGENT = "TwilioProxy/1.1"
SHOWN = frozenset({"AccountSid", "CallSid", "StreamSid", "StreamEvent", "CallStatus", "DialCallStatus"})
"""Parameters whose values the trace shows."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How an app answered.

    Attributes:
        status: of HTTP.
        content_type: without its parameters.
        body: at most 256 kB.
    """

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the call remembers it.

    Attributes:
        what: `voice`, `redirect`, `action`, `status`, `stream`, `flow`.
        status: of the answer; None when there was none.
        ms: how long it took.
    """

    what: str
    status: int | None
    ms: float

    def to_json(self) -> dict[str, object]:
        """For the call's summary."""
        return {"what": self.what, "status": self.status, "ms": self.ms}


class Webhooks:
    """Asks apps.

    Args:
        session: sends; without the ACS emulator's middlewares.
        signer: of the account.
        trace: takes one line for each request, or None.
    """

    def __init__(self, session: aiohttp.ClientSession, signer: TwilioSigner, trace: Trace | None) -> None:
        self._session = session
        self._signer = signer
        self._trace = trace

    async def ask(
        self,
        what: str,
        url: str,
        params: Mapping[str, str],
        faults: Faults,
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        asked: list[Asked] | None = None,
    ) -> Answer:
        """One request; any status is an answer.

        Args:
            what: see `Asked`.
            url: exactly as the app or its configuration wrote it.
            params: a form, or for a GET more of the query.
            faults: of the call.
            method: `POST` or `GET`.
            headers: further ones.
            asked: gets an entry for it.

        Raises:
            Trouble: 11205: no connection, or no answer within 15 s.
        """
        if faults.webhook_delay_s:
            await asyncio.sleep(faults.webhook_delay_s)
        form = dict(params) if method == "POST" else None
        if form is None:
            url += ("&" if urlsplit(url).query else "?") + urlencode(params)
        sent = {
            "User-Agent": USER_AGENT,
            **(headers or {}),
            **self._signer.headers(url, form, wrong=faults.take("bad_signatures")),
        }
        started = time.perf_counter()
        status: int | None = None
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._session.request(
                    method,
                    URL(url, encoded=True),
                    data=form if form is None else urlencode(form).encode(),
                    headers=sent
                    if form is None
                    else {**sent, "Content-Type": "application/x-www-form-urlencoded"},
                    allow_redirects=False,
                ) as response,
            ):
                status = response.status
                return Answer(status, response.content_type, (await response.content.read(MAX_ANSWER)))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise Trouble(11205, f"{what}: {type(error).__name__}") from None
        finally:
            entry = Asked(what, status, round((time.perf_counter() - started) * 1000, 1))
            if asked is not None:
                asked.append(entry)
            if self._trace is not None:
                shown = {name: value if name in SHOWN else "[hidden]" for name, value in params.items()}
                self._trace.line(
                    params.get("CallSid"),
                    "twilio",
                    purpose=what,
                    method=method,
                    where=redact_url(url),
                    status=status if status is not None else "no answer",
                    ms=entry.ms,
                    headers=redact_headers(sent),
                    request=shown,
                )
