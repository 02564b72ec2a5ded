"""One call at Twilio: it rings, asks its number's webhook for TwiML, and does what that says until somebody ends it."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from emulator.acs.dialler import Dialler
from emulator.acs.operations.sources import Sounds
from emulator.faults import Faults
from emulator.pacing import Ticker
from emulator.phone.narrator import Narrator
from emulator.trace import Trace
from emulator.twilio.config import TwilioConfig, TwilioNumber
from emulator.twilio.ends import CallerLeft
from emulator.twilio.notices import Notice, Trouble
from emulator.twilio.program import Go, Program
from emulator.twilio.sids import new_sid
from emulator.twilio.signing import TwilioSigner
from emulator.twilio.sources import SAMPLE_RATE, Source
from emulator.twilio.stream import MediaStream
from emulator.twilio.webhooks import Answer, Asked, Webhooks

if TYPE_CHECKING:
    from emulator.twilio.callee import DialledPhone

LAST_REQUEST_S = 20.0
"""How long the requests that tell of a call's end may take (s)."""


class Ring(Protocol):
    """Rings a telephone of the emulator."""

    def __call__(self, number: str, call: "TwilioCall") -> "DialledPhone | None":
        """The telephone at `number`, which rings; None when there is none."""


@dataclass(slots=True)
class Parts:
    """What all calls of an account share.

    Attributes:
        flow_address: where a Studio flow of a name takes calls.
        notices: the newest entries of the debugger, of all calls.
    """

    config: TwilioConfig
    signer: TwilioSigner
    webhooks: Webhooks
    dialler: Dialler
    ticker: Ticker
    sounds: Sounds
    ring: Ring
    trace: Trace | None
    numbers: Mapping[str, TwilioNumber]
    flow_address: Callable[[str], str]
    notices: list[dict[str, object]] = field(default_factory=list)


class TwilioCall:
    """A call to one of the account's numbers.

    Args:
        parts: of the account.
        phone: the caller's telephone, told as a handset is.
        caller: its number, or `anonymous`.
        to: the dialled number.
        faults: of this call; may change in mid-call.
        caller_name: CallerName, if the number has the look-up; "" for none.

    Attributes:
        sid: `CA…`.
        stream: the present media stream or the last one, or None.
        streams: how many there were.
        notices: what Twilio's debugger would show.
        asked: the requests so far.
        background: requests that nobody waits for.
    """

    def __init__(
        self, parts: Parts, phone: Narrator, caller: str, to: str, faults: Faults, caller_name: str = ""
    ) -> None:
        self.parts = parts
        self.sid = new_sid("CA")
        self.account_sid = parts.config.account_sid
        self.faults = faults
        self.stream: MediaStream | None = None
        self.streams = 0
        self.notices: list[Notice] = []
        self.asked: list[Asked] = []
        self.background: set[asyncio.Task[object]] = set()
        self._phone = phone
        self._caller = caller
        self._to = to
        self._caller_name = caller_name
        self._status = "ringing"
        self._answered_at: float | None = None
        self._over: tuple[str, str] | None = None
        self._left = asyncio.Event()
        self._source: Source | None = None
        self._task: asyncio.Task[None] | None = None

    # --- its life ---

    def ring(self) -> None:
        """It rings at the number; returns at once."""
        self._task = asyncio.create_task(self._run(), name=f"twilio {self.sid}")

    async def ended(self) -> None:
        """Wait until it has ended and everybody was told."""
        if self._task is not None:
            await asyncio.wait({self._task})
        if self.background:
            await asyncio.wait(set(self.background))

    async def _run(self) -> None:
        number = self.parts.numbers.get(self._to)
        self._phone.ringing()
        if number is None:
            self._end("nobody_subscribed", "service", "failed")
            return
        program = Program(self)
        try:
            await program.run(self._first(number))
        except CallerLeft:
            pass  # `hang_up` has said so
        except Trouble as trouble:
            self.notice(trouble.notice)
            self._end("application_error", "service", "completed")
        self._end("agent_hung_up", "agent", "completed")
        await self._farewell(number)

    def _first(self, number: TwilioNumber) -> Go:
        if number.flow:
            return Go("voice", self.parts.flow_address(number.flow), {})
        return Go("voice", number.voice_url, {}, number.voice_method)

    async def _farewell(self, number: TwilioNumber) -> None:
        """Tell the number's status callback; it has to answer within 20 s like everybody."""
        if not number.status_callback:
            return
        duration = 0 if self._answered_at is None else round(time.monotonic() - self._answered_at)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_REQUEST_S):
                try:
                    await self.ask("status", number.status_callback, {"CallDuration": str(duration)})
                except Trouble as trouble:
                    self.notice(trouble.notice)

    def answer(self) -> None:
        """The app has taken the call: the first verb that is not Reject does; idempotent."""
        if self._answered_at is None and self._over is None:
            self._answered_at = time.monotonic()
            self._status = "in-progress"
            self._phone.answered(SAMPLE_RATE)
            self.parts.ticker.add(self._tick)

    def rejected(self, reason: str) -> None:
        """The app does not take the call (`busy` or `rejected`)."""
        self._end(f"rejected: {reason}", "agent", "busy" if reason == "busy" else "no-answer")

    def left_for(self, number: str) -> None:
        """The caller talks to somebody outside from now on: the emulator's part ends."""
        self._phone.transferred(number)
        self._end("transferred", "agent", "completed")

    def hang_up(self, reason: str = "caller_hung_up") -> None:
        """The caller hangs up, ringing or talking."""
        self._end(reason, "caller", "completed")

    def _end(self, reason: str, by: str, status: str) -> None:
        """It is over; only the first time counts."""
        if self._over is not None:
            return
        self._over = (reason, by)
        self._status = status
        self.parts.ticker.remove(self._tick)
        self._phone.over(reason, by)
        self._left.set()

    # --- for the program ---

    async def ask(
        self, what: str, url: str, params: Mapping[str, str], *, method: str = "POST", **more: Any
    ) -> Answer:
        """A signed request about this call.

        Raises:
            Trouble: no answer.
        """
        return await self.parts.webhooks.ask(
            what, url, {**self.standard(), **params}, self.faults, method=method, asked=self.asked, **more
        )

    def standard(self) -> dict[str, str]:
        """The parameters of every request about a call."""
        name = {"CallerName": self._caller_name} if self._caller_name else {}
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.sid,
            "CallStatus": self._status,
            "Called": self._to,
            "Caller": self._caller,
            "Direction": "inbound",
            "From": self._caller,
            "To": self._to,
            **name,
        }

    def tell_app(self, what: str, url: str, params: Mapping[str, str], method: str = "POST") -> None:
        """A request for whose answer nobody waits."""

        async def tell() -> None:
            try:
                answer = await self.ask(what, url, params, method=method)
                if answer.status >= 400:
                    self.notice(Notice(11200, f"{what}: answered {answer.status}"))
            except Trouble as trouble:
                self.notice(trouble.notice)

        self._spawn(tell())

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self.background.add(task)
        task.add_done_callback(self.background.discard)

    async def while_up[Result](self, work: Awaitable[Result]) -> Result:
        """Do something that ends with the call.

        Raises:
            CallerLeft: the call has ended first; `work` is cancelled.
        """
        task = asyncio.ensure_future(work)
        left = asyncio.ensure_future(self._left.wait())
        try:
            await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
            if self._left.is_set():
                raise CallerLeft
            return task.result()
        finally:
            for one in (task, left):
                one.cancel()
            await asyncio.gather(task, left, return_exceptions=True)

    async def with_source[Result](self, source: Source, work: Awaitable[Result]) -> Result:
        """As `while_up`; meanwhile the caller hears `source`, and it hears the caller.

        Raises:
            CallerLeft: the call has ended first.
        """
        self._source = source
        try:
            return await self.while_up(work)
        finally:
            self._source = None

    def signed_upgrade(self, url: str) -> dict[str, str]:
        """Headers that sign the upgrade of a stream."""
        return self.parts.signer.headers(url, wrong=self.faults.take("bad_signatures"))

    def streaming(self, stream: MediaStream) -> None:
        """A stream stands."""
        self.stream = stream
        self.streams += 1
        self._phone.media_started()

    def lost(self, notice: Notice) -> None:
        """The stream ended with an error."""
        self._phone.media_lost(f"{notice.code} {notice.text}")

    def cleared(self, now: float) -> None:
        """The app threw away what waited to be heard."""
        self._phone.flushed(now)

    def transferred(self, number: str) -> None:
        """The caller talks to a telephone of the emulator."""
        self._phone.transferred(number)
        self._phone.media_started()

    def queued(self, queue: str) -> None:
        """The caller waits in a queue."""
        self.tell("enqueued", queue=queue)
        self._phone.media_started()

    def tell(self, kind: str, **data: object) -> None:
        """Add to the call's story."""
        self._phone.tell(kind, **data)

    def notice(self, notice: Notice) -> None:
        """Add to the debugger, to the story and to the trace."""
        self.notices.append(notice)
        entry = {"callSid": self.sid, **notice.to_json()}
        self.parts.notices.append(entry)
        del self.parts.notices[:-200]
        self.tell("notice", code=notice.code, text=notice.text, detail=notice.detail)
        if self.parts.trace is not None:
            self.parts.trace.line(self.sid, "notice", **notice.to_json())

    # --- sound ---

    def _tick(self, now: float) -> None:
        said = self._phone.next_frame(now)
        source = self._source
        heard, waiting_ms = (None, 0.0) if source is None else source.exchange(said, now)
        self._phone.hear(heard, waiting_ms, now)

    def press(self, key: str) -> None:
        """The caller presses a key."""
        if self._source is not None and self._over is None:
            self._source.press(key)
