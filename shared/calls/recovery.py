"""Lost media: the caller must not be left in silence.

The audio WebSocket broke while ACS still holds the call. Once per loss the ways out of `recovery.lost` are tried in their order:
ACS connects the audio again, to another media host (`restart`: it cannot be given another address); it transfers the caller
to our own identity, where another host goes on with the conversation (`self_transfer`), or to a person (`fallback`); it says a
few words (`notice`). Then the call is hung up. Steps that take their time go on with the callback that tells how they ended,
so no process has to live for it. A caller who already talks to a person needs no audio of ours: then only our part ends.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from shared.calls.control import Connection
from shared.calls.controls import CallControls
from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.moving import MODE, Moves
from shared.calls.queueing import PLAYED
from shared.calls.record import CallRecord
from shared.calls.repository import Calls
from shared.config.agent import FALLBACK
from shared.config.document import Config
from shared.config.recovery import LostStep
from shared.errors import CallControlUnavailable, CallGone, PatchcordError
from shared.settings import E164

logger = logging.getLogger(__name__)

WAIT_S = 2.0
"""How long audio may take to come back (s)."""

SOOTHE_S = 0.8
"""How long a caller waits for it in silence, if there is something to be played (s)."""

POLL_S = 0.1

NOTICE = "recovery-notice"
"""The operation context of the last words."""

WAITING = "recovery-waiting"

ATTEMPT = "recovery-"
"""Beginning of the operation context of our transfers."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Decides about lost media.

    Args:
        config: ways out, and agents' fallbacks.
        calls: the calls.
        control: ACS.
        moves: of callers to another media host.
        now: the clock, Unix seconds.
        pause: waits so many seconds.
    """

    config: Config
    calls: Calls
    control: CallControls
    moves: Moves
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def reported(self, tenant: str, call_id: str, *, reason: str, at: float, failed: bool) -> None:
        """ACS reports that streaming stopped or failed (`failed`) at `at` (Unix seconds, its clock)."""
        record = await self.calls.get(tenant, call_id)
        if record is None or not record.live:
            return
        if record.settled:
            if failed:  # a host that says goodbye only closes the connection
                await self._finish(record)
            return  # the end is already decided; the audio stops because of it
        if record.recovering_at is not None:
            if failed and at >= record.recovering_at and record.recovery == "restart":
                await self._on(record, "restart")
            return
        connected_at = record.media.connected_at
        if connected_at is not None and at < connected_at:
            return  # an old report: there has been audio since
        if await self._may_be_alive(record):
            await self.lost(record, reason)

    async def answered(self, tenant: str, call_id: str, event: CallEvent, context: str) -> None:
        """ACS reports what became of a transfer or of the last words, which were asked for under `context`."""
        said = context == NOTICE and event.data.get("type") in PLAYED
        ours = said or (event.kind is EventKind.TRANSFER_FAILED and context.startswith(ATTEMPT))
        record = await self.calls.get(tenant, call_id) if ours else None
        if record is None or not record.live or record.settled:
            return
        if context == NOTICE:
            await self.give_up(record)
        else:
            await self._on(record, "fallback" if context.endswith("fallback") else "self_transfer")

    async def _finish(self, record: CallRecord) -> None:
        """The connection broke after the outcome: end the call, if its host did not live to do it."""
        await self.pause(WAIT_S)
        found = await self.calls.get(record.tenant, record.call_id)
        if (
            found is not None
            and found.live
            and not found.leaving
            and found.media.connections == record.media.connections
            and await self._may_be_alive(found)
        ):
            await self.give_up(found)

    async def _may_be_alive(self, record: CallRecord) -> bool:
        """`is_alive`; while ACS cannot say, the caller may be there and in silence."""
        try:
            return await self.is_alive(record)
        except CallControlUnavailable as error:
            logger.warning("call %s: %s", record.call_id, error.message)
            return bool(record.call_connection_id)

    async def is_alive(self, record: CallRecord) -> bool:
        """Whether ACS still holds the call. The end of streaming is mostly the end of the call, reported first."""
        return (await self.seen(record)) is not None

    async def seen(self, record: CallRecord) -> Connection | None:
        """The call as ACS sees it; None when it is over."""
        if not record.call_connection_id:
            return None
        try:
            found = await self.control.of(record.tenant).properties(record.call_connection_id)
        except CallGone:
            return None
        return found if found.alive else None

    async def lost(self, record: CallRecord, reason: str) -> bool:
        """The media of a live call is lost: recover or hang up. Only the first to notice this loss acts (else False)."""
        loss = record.media.connections
        if not await self.calls.once(record.call_id, f"media-lost-{loss}"):
            return False
        host = record.media.host_id
        logger.warning("call %s: media lost (%s) on host %s", record.call_id, reason, host or "-")
        await self.calls.note(
            record.tenant,
            record.call_id,
            f"media_lost-{loss}",
            EventKind.MEDIA_LOST,
            hostId=host,
            reason=reason,
        )
        await self._on(record)
        return True

    async def _on(self, record: CallRecord, done: LostStep | None = None) -> None:
        """Try the ways out that come after `done`, until one is open; each is tried once, by whoever comes first."""
        steps = self.config.recovery.lost
        left = steps if done is None else steps[steps.index(done) + 1 :] if done in steps else ()
        for step in left:
            if not await self.calls.once(record.call_id, f"recovery-{record.media.connections}-{step}"):
                return  # somebody else is on it
            if await self._take(step, record):
                return
        await self.give_up(record)

    async def _take(self, step: LostStep, record: CallRecord) -> bool:
        """Whether this way is open; what becomes of it may be told by a callback."""
        match step:
            case "restart":
                return await self.moves.another_host(record.media.host_id) and await self._restarted(record)
            case "self_transfer":
                return await self._moved(record)
            case "fallback":
                return await self._sent_to_person(record)
            case _:
                return await self._last_words(record)

    async def give_up(self, record: CallRecord, reason: str = "media_lost") -> None:
        """Hang up: for everyone, unless the caller talks to a person.

        Recorded first, so that the callback of its end finds the reason. Repeating is harmless.
        """
        call_id = record.call_id
        logger.warning("call %s: hung up: %s", call_id, reason)
        await self.calls.note(
            record.tenant, call_id, "recovery-hang-up", EventKind.RECOVERY, action="hang_up", reason=reason
        )
        await self.calls.note(
            record.tenant, call_id, "hang_up", EventKind.HANG_UP, by="system", reason=reason
        )
        try:
            await self.control.of(record.tenant).hang_up(
                record.call_connection_id, everyone=not record.handed_over
            )
        except CallGone:
            logger.info("call %s: was gone already", call_id)

    # --- ways out --------------------------------------------------------------------------------------------

    async def _restarted(self, record: CallRecord) -> bool:
        loss = record.media.connections
        await self._tell(record, "restart")
        try:
            await self.control.of(record.tenant).start_media_streaming(record.call_connection_id)
        except PatchcordError as error:
            logger.warning("call %s: streaming cannot be started again: %s", record.call_id, error.message)
            return False
        waited_s, soothed = 0.0, False
        while waited_s < WAIT_S:
            await self.pause(POLL_S)
            waited_s += POLL_S
            found = await self.calls.get(record.tenant, record.call_id)
            if found is None or found.settled or not found.live or found.media.connections > loss:
                if soothed and found is not None and found.media.connections > loss:
                    await self._hush(record)
                return True
            if waited_s >= SOOTHE_S and not soothed:
                soothed = await self._soothe(record)
        return False

    async def _moved(self, record: CallRecord) -> bool:
        """Only a conversation that has begun is moved: audio that never came would hardly come the next time."""
        if (
            not record.media.connections
            or not self.moves.may_move(record)
            or not await self.moves.another_host(record.media.host_id)
        ):
            return False
        attempt = f"{ATTEMPT}{record.media.connections}-move"
        context = await self.moves.prepare(record)
        return await self._transferred(record, attempt, self.config.recovery.identity, context, MODE, {})

    async def _sent_to_person(self, record: CallRecord) -> bool:
        """The identity that the caller is to be given back to, the agent's fallback, or everybody's."""
        agent = self.config.agents.get(record.agent)
        own = agent.transfer(FALLBACK) if agent is not None else None
        target = record.return_to or (own.to if own else "") or self.config.recovery.fallback
        if not target or record.handed_over or len(record.participants) > 2:
            return False
        if record.transfer_id and not record.return_to:
            return False  # lent: whoever lent it takes the caller back when we hang up
        outcome: dict[str, Json] = {
            "transferType": "AGENT",
            "reason": "media_lost",
            "task": record.task,
            "referenceVariables": {"error": "media_lost"},
        }
        attempt = f"{ATTEMPT}{record.media.connections}-fallback"
        return await self._transferred(record, attempt, target, None, "blind", outcome)

    async def _transferred(
        self,
        record: CallRecord,
        attempt: str,
        target: str,
        context: Mapping[str, str] | None,
        mode: str,
        outcome: dict[str, Json],
    ) -> bool:
        """Ask for a transfer; recorded first, because the caller's next call may come before ACS has answered us."""
        await self._tell(record, "self_transfer" if mode == MODE else "fallback")
        begun: dict[str, Json] = {"mode": mode, "attempt": attempt, "outcome": outcome}
        begun["target"] = "media host" if mode == MODE else FALLBACK
        where = record.tenant, record.call_id
        await self.calls.append(*where, CallEvent(f"{attempt}-begun", EventKind.TRANSFER, self.now(), begun))
        shown = record.our_number if E164.fullmatch(record.our_number) else self.config.recovery.caller_id
        control = self.control.of(record.tenant)
        try:
            await control.transfer(
                record.call_connection_id,
                target,
                context,
                caller_id="" if target.startswith("8:") else shown,
                context=attempt,
            )
        except PatchcordError as error:
            logger.warning("call %s: cannot be transferred: %s", record.call_id, error.message)
            await self.calls.note(
                *where, f"{attempt}-refused", EventKind.HANDOVER, attempt=attempt, phase="refused"
            )
            return False
        await self._soothe(record)
        return True

    async def _last_words(self, record: CallRecord) -> bool:
        recovery = self.config.recovery
        if not recovery.notice:
            return False
        await self._tell(record, "notice")
        await self._hush(record)
        try:
            await self.control.of(record.tenant).play(
                record.call_connection_id, [recovery.notice], recovery.voice, context=NOTICE
            )
        except PatchcordError as error:
            logger.warning("call %s: nothing can be said: %s", record.call_id, error.message)
            return False
        return True

    async def _tell(self, record: CallRecord, action: LostStep) -> None:
        event_id = f"recovery-{record.media.connections}-{action}"
        await self.calls.note(record.tenant, record.call_id, event_id, EventKind.RECOVERY, action=action)

    async def _soothe(self, record: CallRecord) -> bool:
        """Let the caller hear that it is not over; whether there is something to hear."""
        recovery = self.config.recovery
        if not recovery.waiting:
            return False
        if not await self.calls.once(record.call_id, f"recovery-{record.media.connections}-waiting"):
            return True
        try:
            await self.control.of(record.tenant).play(
                record.call_connection_id, [recovery.waiting], recovery.voice, context=WAITING, loop=True
            )
        except PatchcordError as error:
            logger.warning("call %s: nothing can be played: %s", record.call_id, error.message)
            return False
        return True

    async def _hush(self, record: CallRecord) -> None:
        if not self.config.recovery.waiting:
            return
        try:
            await self.control.of(record.tenant).cancel_media(record.call_connection_id)
        except PatchcordError as error:
            logger.warning("call %s: what is playing goes on: %s", record.call_id, error.message)
