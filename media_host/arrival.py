"""A Twilio stream between its upgrade and its session: whose call it is, is said by its start message only."""

import asyncio
import base64
import logging
from functools import cache

from websockets.frames import CloseCode
from websockets.http11 import Request

from media_host.g711 import encode
from media_host.lines.twilio import TwilioLine
from media_host.notices import tone
from media_host.twilio_door import TwilioDoor
from media_host.waiting import BEEP_S
from media_host.websocket import WebSocketConnection
from shared.calls.record import CallRecord
from shared.errors import (
    Conflict,
    InvalidInput,
    LimitReached,
    PatchcordError,
    SignatureRejected,
    TokenRejected,
    Unavailable,
)
from shared.security.tokens import Claims
from shared.wire.twilio_media import SAMPLE_RATE

log = logging.getLogger(__name__)

START_S = 5.0
"""How long the start message may take (s)."""

BEGIN_S = 8.0
"""How long the store may take to begin a call (s); the caller hears a beep every `BEEP_S` meanwhile."""


class Arrival:
    """One stream's.

    Args:
        connection: its WebSocket, not yet accepted.
        door: looks at the start message.
        claims: of the token in the address.

    Attributes:
        line: of the call; it keeps what comes before there is a session.
        closed: the code with which Twilio has closed the WebSocket, None if it has not.
        refused: why the stream was not let in, for people who look after the host; "" if it was.
    """

    def __init__(self, connection: WebSocketConnection, door: TwilioDoor, claims: Claims) -> None:
        self.line = TwilioLine("arriving")
        self.line.attach(connection)
        self.closed: int | None = None
        self.refused = ""
        self._connection = connection
        self._door = door
        self._claims = claims

    async def record(self, request: Request) -> CallRecord | None:
        """Accept the upgrade and begin the call; None when the stream was closed, by either side, before there was one."""
        code: CloseCode = CloseCode.POLICY_VIOLATION
        try:
            return await self._begin(request)
        except (TokenRejected, SignatureRejected) as rejected:
            reason = rejected.reason
        except (InvalidInput, Conflict) as error:
            reason = error.code
        except (LimitReached, Unavailable) as error:
            code, reason = CloseCode.TRY_AGAIN_LATER, error.code
        except PatchcordError as error:
            code, reason = CloseCode.INTERNAL_ERROR, error.code
        except ConnectionError:
            reason = "gone"
        finally:
            self.line.started.cancel()
        log.warning("a stream is not let in: %s", reason)
        self.refused = reason
        self._connection.close(code)
        return None

    async def _begin(self, request: Request) -> CallRecord:
        if not self._connection.accept(request, self.line.on_text, self._gone):
            raise ConnectionError("gone before the upgrade")
        try:
            async with asyncio.timeout(START_S):
                start = await self.line.started
        except TimeoutError:
            raise InvalidInput("stream", "a start message in time") from None
        beeps = asyncio.create_task(self._beep(), name="arrival beeps")
        try:
            async with asyncio.timeout(BEGIN_S):
                return await self._door.begin(self._claims, start)
        except TimeoutError:
            raise Unavailable("the store is slow") from None
        finally:
            beeps.cancel()

    async def _beep(self) -> None:
        """There is no session yet that could say it: somebody is at work."""
        while True:
            await asyncio.sleep(BEEP_S)
            self.line.send_audio(_beep())

    def _gone(self, code: int, _reason: str) -> None:
        self.closed = code
        if not self.line.started.done():
            self.line.started.set_exception(ConnectionError("the stream has ended"))


@cache
def _beep() -> bytes:
    """250 ms of mu-law as base64: the tone of `notices`, without the silence behind it."""
    return base64.b64encode(encode(tone(SAMPLE_RATE, 1)[: SAMPLE_RATE // 4 * 2]))
