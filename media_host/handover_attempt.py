"""What both kinds of handover share: the session's voice, the result, and one attempt's dealings with ACS and the store."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from media_host.event_log import EventLog
from media_host.services import Services
from shared.calls.events import CallEvent, EventKind
from shared.calls.handovers import Phase
from shared.calls.record import CallRecord, fold
from shared.errors import CallGone, PatchcordError
from shared.settings import E164

log = logging.getLogger(__name__)

POLL_S = 0.25
"""How often the store is asked for ACS's answer (s): the function app writes it there."""

STORE_S = 2.0
"""How long the caller's line waits for the store (s)."""

BEEP_S = 2.0
"""How often a caller who waits hears that it is not over (s)."""

TRIES_S = (0.3, 1.0, 0.0)
"""Pauses between attempts at what must not fail."""


class HandoverVoice(Protocol):
    """What a handover needs of the session: its ears and mouth."""

    async def announce(self, text: str) -> None:
        """Speak to whoever hears the line; returns when it was heard. When cancelled, the rest of it is not heard."""

    async def play_out(self) -> None:
        """Until what is being said has been heard, 8 s at most."""

    def deafen(self) -> None:
        """The agent hears nothing from now on, neither speech nor keys."""

    def undeafen(self) -> None:
        """The agent hears again."""

    async def confirmation(self, kind: Literal["key", "voice"], within_s: float) -> bool:
        """Whether somebody has confirmed: by any key, at once; `voice`: or by a short answer when nothing is being said.

        It runs while `announce` still speaks, and may be cancelled. Keys that confirm go nowhere else.
        """

    def beep(self) -> None:
        """Let the caller hear that it is not over."""

    async def gone_within(self, seconds: float) -> bool:
        """Wait so long (s); True as soon as the line is closed."""


class HandoverResult(StrEnum):
    """What became of a handover.

    `left`: the call is no longer ours, the caller is with the other side or has hung up. `joined`: the person is present
    and has confirmed, the agent only listens from now on. After any other the caller is still ours.
    """

    LEFT = "left"
    JOINED = "joined"
    REFUSED = "refused"
    DECLINED = "declined"
    NO_ANSWER = "no_answer"
    NOT_CONFIRMED = "not_confirmed"
    UNKNOWN_TARGET = "unknown_target"
    FAILED = "failed"

    @property
    def done(self) -> bool:
        """The caller has got a person, or is gone."""
        return self in (HandoverResult.LEFT, HandoverResult.JOINED)


BY_SUB_CODE = {
    8538: HandoverResult.DECLINED,
    8539: HandoverResult.DECLINED,
    8541: HandoverResult.NO_ANSWER,
    8587: HandoverResult.NO_ANSWER,
}
"""Declined, busy, unavailable, not answered in time (acs.md 4.3)."""


def result_of(failure: CallEvent) -> HandoverResult:
    """What ACS's report of a failure means."""
    code = failure.data.get("subCode")
    return BY_SUB_CODE.get(code if isinstance(code, int) else 0, HandoverResult.FAILED)


@dataclass(frozen=True, slots=True)
class Gone:
    """The caller or the line is gone."""


GONE = Gone()


class Attempt:
    """One handover on its way.

    Args:
        services: what calls share.
        record: the call as it stood when the line connected.
        connection_id: ACS's id of the call.
        log: the call's events.
        voice: the session's.
        id: an earlier attempt's; "" is a new one.
    """

    def __init__(
        self,
        services: Services,
        record: CallRecord,
        connection_id: str,
        log: EventLog,
        voice: HandoverVoice,
        id: str = "",
    ) -> None:
        self.id = id or f"handover-{secrets.token_hex(4)}"
        self.services = services
        self.control = services.control
        self.connection_id = connection_id
        self.record = record
        self.voice = voice
        self.log = log

    @property
    def caller_id(self) -> str:
        """The number that a telephone target sees: the dialled one."""
        return self.record.our_number if E164.fullmatch(self.record.our_number) else ""

    def phase(self, phase: Phase, invitation: str = "") -> None:
        """Record how far it has come, and ACS's id of the `invitation` once somebody rings."""
        self.log.note(EventKind.HANDOVER, attempt=self.id, phase=phase.value, invitation=invitation)

    def fault(self, code: str, error: PatchcordError) -> None:
        """Record what ACS would not do."""
        self.log.note(EventKind.FAULT, code=code, message=error.message)

    async def events(self) -> list[CallEvent] | None:
        """All events of the call in the order of time, or None while the store is away."""
        try:
            async with asyncio.timeout(STORE_S):
                found = await self.services.calls.events(self.record.call_id)
        except (PatchcordError, TimeoutError) as error:
            log.warning("call %s: %s", self.record.call_id, str(error) or "the store is slow")
            return None
        return sorted(found, key=lambda event: event.at)

    async def answer(self, *kinds: EventKind, within_s: float, caller: str = "") -> CallEvent | Gone | None:
        """ACS's answer to this attempt, one of `kinds`; None when the time is up. The caller hears beeps meanwhile.

        `GONE`: the line is closed, or `caller` (a raw id) has left the call.
        """
        loop = asyncio.get_running_loop()
        until, beep_at = loop.time() + within_s, loop.time() + BEEP_S
        while loop.time() < until:
            if await self.voice.gone_within(POLL_S):
                return GONE
            if loop.time() >= beep_at:
                beep_at += BEEP_S
                self.voice.beep()
            events = await self.events() or []
            for event in events:
                if event.kind in kinds and event.data.get("context") == self.id:
                    return event
            alone = caller and len(fold(events).participants) == 1
            if alone and caller not in (await self.names() or [caller]):
                return GONE
        return None

    async def roster_size(self) -> int:
        """How many are in the call as ACS reported last; 0 while nobody can say."""
        return len(fold(await self.events() or ()).participants)

    async def names(self) -> list[str] | None:
        """Raw ids of who is in the call as ACS says now: none when it has ended, None when ACS does not answer."""
        try:
            return await self.control.participants(self.connection_id)
        except CallGone:
            return []
        except PatchcordError as error:
            log.warning("call %s: %s", self.record.call_id, error.message)
            return None

    async def insist(self, code: str, ask: Callable[[], Awaitable[object]]) -> bool:
        """Ask ACS for what must not fail, up to three times; whether the call was still there. A failure is recorded."""
        for pause in TRIES_S:
            try:
                await ask()
                return True
            except CallGone:
                return False
            except PatchcordError as error:
                log.error("call %s: %s: %s", self.record.call_id, code, error.message)
                if not pause:
                    self.fault(code, error)
                await asyncio.sleep(pause)
        return True

    async def hang_up(self, by: str, reason: str, *, everyone: bool) -> None:
        """Our part of the call ends, or the call; recorded first, so that the callback of its end finds the reason."""
        self.log.note(EventKind.HANG_UP, id="hang_up", by=by, reason=reason)
        await self.log.flush(STORE_S)
        await self.insist(
            "hang_up_failed", lambda: self.control.hang_up(self.connection_id, everyone=everyone)
        )
