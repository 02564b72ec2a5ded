"""The sweep: every 15 s, calls that nobody looks after any more, and rows that have had their time.

It is the net below everything else: a media host that died without ACS noticing, a hang-up that ACS did not take, a
callback that never came, a function app that was killed between two writes.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from shared.calls.admission import SILENT_S, Heartbeat, heartbeats, remove_heartbeat
from shared.calls.claims import forget_claims
from shared.calls.events import EventKind
from shared.calls.moving import Moves
from shared.calls.queueing import WaitingLine
from shared.calls.rate import forget_turns
from shared.calls.record import CallRecord, CallState
from shared.calls.recovery import WAIT_S, Recovery
from shared.calls.replay import forget_spent
from shared.calls.repository import Calls
from shared.calls.tracing import follow_call
from shared.config.document import Config
from shared.errors import CallGone, PatchcordError
from shared.ivr.runner import IvrRunner
from shared.store.entities import EntityStore
from shared.telemetry import metrics
from shared.telemetry.current import scope
from shared.twilio.ends import close_record, overdue
from shared.twilio.engagements import forget_engagements

logger = logging.getLogger(__name__)

UNANSWERED_S = 120.0
"""A call that was never answered is given up after this long: telephones ring for 115 s at most (acs.md 5.1)."""

MEDIA_S = 15.0
"""How long after answering the first audio connection may take (s)."""

HANG_UP_S, HANDED_OVER_S = 10.0, 90.0
"""How long a recorded hang-up, and an outcome or a transfer (60 s to be accepted), may take to end the call (s)."""

CLOSED_S = 4.0
"""How long after the audio connection's end ACS may take to report the call's end, or the connection's (s)."""

NOTICE_S = 40.0
"""How long the last words that ACS speaks may take (s)."""

MAX_CALL_S = 10_800.0
"""No call is longer: its callback token ends then (requirement 19)."""

HEARTBEAT_DEAD_S, SECOND_LOOK_S, PAUSE_S = 5.0, 60.0, 2.0
LEFT_S = 5.0
"""After so long (s) it is looked whether a caller who is being transferred is gone: the callback may be lost."""

HEARTBEAT_KEPT_S = 3600.0
TOKEN_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Looks after live calls and old rows."""

    store: EntityStore
    config: Config
    calls: Calls
    recovery: Recovery
    ivr: IvrRunner
    moves: Moves
    waiting: WaitingLine
    now: Callable[[], float]

    async def sweep(self) -> Counter[str]:
        """One round; what was done, counted by name. A fault in one call does not stop the round.

        Raises:
            StoreUnavailable: nothing can be listed now.
        """
        done: Counter[str] = Counter()
        now = self.now()
        beats = await self._heartbeats()
        for tenant in self.config.tenant_names:
            for call_id, begun_at in await self.calls.live(tenant):
                try:
                    with scope():
                        done[await self._look(tenant, call_id, begun_at, beats)] += 1
                except PatchcordError as error:
                    logger.warning("call %s: the sweep will come back: %s", call_id, error.message)
                    done["failed"] += 1
            done["turns_forgotten"] += await forget_turns(self.store, tenant, now)
            done["engagements_forgotten"] += await forget_engagements(self.store, tenant, now)
            done["claims_forgotten"] += await forget_claims(self.store, tenant, now)
        done["moves_forgotten"] += await self.moves.forget()
        done["tokens_forgotten"] += await forget_spent(self.store, now - TOKEN_KEPT_S)
        for beat in beats.values():
            if now - beat.at > HEARTBEAT_KEPT_S:
                await remove_heartbeat(self.store, beat.host_id)
                done["hosts_forgotten"] += 1
        for action, count in done.items():
            if count and action != "fine":
                metrics.SWEEP_ACTIONS.add(count, action=action)
        return +done

    async def _heartbeats(self) -> dict[str, Heartbeat]:
        """By host. Where one has just fallen silent, a second look tells a dead host from a store that was away."""
        beats = await heartbeats(self.store)
        if any(HEARTBEAT_DEAD_S < self.now() - beat.at < SECOND_LOOK_S for beat in beats):
            await self.recovery.pause(PAUSE_S)
            beats = await heartbeats(self.store)
        return {beat.host_id: beat for beat in beats}

    async def _look(self, tenant: str, call_id: str, begun_at: float, beats: dict[str, Heartbeat]) -> str:
        """Look after one call; the name of what was done."""
        age_s = self.now() - begun_at
        record = await self.calls.get(tenant, call_id)
        if record is None or record.released:
            if record is None and age_s < UNANSWERED_S:
                return "fine"  # its first event is being written
            if record is not None:
                await self.calls.refresh(
                    tenant, call_id
                )  # whoever wrote its last event died before the snapshot
            await self.calls.unwatch(tenant, call_id)
            return "unwatched"
        follow_call(record)
        if record.line == "twilio":
            return await self._on_twilio(record, age_s, beats)
        if not record.call_connection_id:
            return await self._unanswered(record, age_s)
        in_ivr = bool(record.ivr) and record.live and not record.settled
        if in_ivr and age_s < MAX_CALL_S and await self.ivr.in_time(record):
            return "fine"
        if record.state is CallState.RINGING:
            return await self._ringing(record, age_s)
        if record.waiting and age_s < MAX_CALL_S and not record.settled:
            await self.waiting.look(record)
            return "fine"
        if self._is_carried(record, beats):
            if age_s < MAX_CALL_S:
                return "fine"
            await self.recovery.give_up(record, "max_duration")
            return "hung_up"
        overdue = self._is_overdue(record)
        if not overdue and not self._may_have_left(record):
            return "fine"
        seen = await self.recovery.seen(record)
        if seen is not None and seen.streaming and self._is_only_silent(record, beats):
            return "fine"
        if seen is None:
            # Its last callback never came; a later one still wins by its own time.
            await self.calls.note(
                tenant, call_id, "reconciled", EventKind.DISCONNECTED, reason="disconnect_not_reported"
            )
            return "reconciled"
        if not overdue:
            return "fine"
        if record.settled or record.recovering_at is not None or record.queued == "over":
            await self.recovery.give_up(record, "queue_timeout" if record.queued == "over" else "media_lost")
            return "hung_up"
        if in_ivr and age_s >= MAX_CALL_S:
            await self.recovery.give_up(record, "max_duration")
            return "hung_up"
        if in_ivr:
            await self.ivr.overdue(record)
            return "recovered"
        never = "media_host_dead" if record.media.connections else "media_never_came"
        if await self.recovery.lost(record, "media_closed" if record.media.closed else never):
            return "recovered"
        return await self._taken_over(record)

    async def _on_twilio(self, record: CallRecord, age_s: float, beats: dict[str, Heartbeat]) -> str:
        """ACS knows nothing of it, and there is nothing to recover: the call goes on at Twilio."""
        # Nobody can be asked whether a silent host is dead; what Twilio asks when a stream has ended, settles it sooner.
        carried = self._is_carried(record, beats) or self._is_only_silent(record, beats)
        why = overdue(record, self.now(), carried=carried, too_long=age_s >= MAX_CALL_S)
        if why is None:
            return "fine"
        await close_record(self.calls, record, why, self.now())
        return "settled"

    async def _taken_over(self, record: CallRecord) -> str:
        """Somebody noticed this loss before us: if nothing has come of it, its process died."""
        await self.recovery.pause(PAUSE_S)
        found = await self.calls.get(record.tenant, record.call_id)
        if found is None or not found.live or found.settled or found.recovering_at is not None:
            return "fine"
        if found.media.connections > record.media.connections:
            return "fine"
        await self.recovery.give_up(found)
        return "hung_up"

    async def _unanswered(self, record: CallRecord, age_s: float) -> str:
        if age_s < UNANSWERED_S:
            return "fine"
        await self.calls.note(
            record.tenant, record.call_id, "answer_failed", EventKind.ANSWER_FAILED, reason="abandoned"
        )
        return "abandoned"

    async def _ringing(self, record: CallRecord, age_s: float) -> str:
        """ACS rings for up to two minutes; a call of ours is given up when its tenant's ring time is over."""
        rules = self.config.tenant(record.tenant).outbound
        if rules is not None and age_s < rules.ring_s:
            return "fine"
        try:
            await self.recovery.control.of(record.tenant).hang_up(record.call_connection_id)
        except CallGone:
            logger.info("call %s: rings no more", record.call_id)
        await self.calls.note(
            record.tenant, record.call_id, "create_failed", EventKind.CREATE_FAILED, reason="no_answer"
        )
        return "not_answered"

    def _is_carried(self, record: CallRecord, beats: dict[str, Heartbeat]) -> bool:
        """A living media host has the call, and neither side has said that it is over."""
        beat = beats.get(record.media.host_id)
        alive = beat is not None and self.now() - beat.at <= HEARTBEAT_DEAD_S
        return alive and not record.media.closed and record.recovering_at is None and record.live

    def _is_only_silent(self, record: CallRecord, beats: dict[str, Heartbeat]) -> bool:
        """The host writes no heartbeats: if it has the audio connection, it is the store that was away."""
        beat = beats.get(record.media.host_id)
        undecided = not record.settled and record.recovering_at is None and not record.media.closed
        return undecided and beat is not None and self.now() - beat.at < SILENT_S

    def _may_have_left(self, record: CallRecord) -> bool:
        """Whether a transfer may be over whose callback was lost: that can be asked long before it is overdue."""
        return record.leaving and record.last_at is not None and self.now() - record.last_at > LEFT_S

    def _is_overdue(self, record: CallRecord) -> bool:
        """Whether what was begun last has had its time."""
        media = record.media
        since: float | None
        if record.state is CallState.ENDED:
            since, patience_s = record.ended_at, HANG_UP_S
        elif record.leaving:
            since, patience_s = record.last_at, HANDED_OVER_S
        elif record.recovering_at is not None:
            since, patience_s = record.recovering_at, NOTICE_S if record.recovery == "notice" else WAIT_S
        elif record.settled:
            since, patience_s = record.last_at, HANDED_OVER_S
        elif media.connections:
            since, patience_s = media.ended_at if media.closed else None, CLOSED_S
        else:
            # The connection may be known before the answer is: a callback has overtaken it, and the call has only just begun.
            since = record.queued_at or record.answered_at or record.connected_at or record.received_at
            patience_s = NOTICE_S if record.queued == "over" else MEDIA_S
        return since is None or self.now() - since > patience_s
