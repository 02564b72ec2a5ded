"""ACS's callbacks: what became of a call.

Two factors let a callback in: the token in its address, which names the call, and ACS's own signature. The connection id
must be the call's: the first one to come binds, be it a callback or the REST response. Every event is inserted once, by
its id; the record does not depend on the order. An expired token is refused, for terminal events too: a call is ended by
MAX_CALL_S before its token expires, and the sweep closes records whose last callback never came.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.poison import put_aside
from shared.calls.queueing import WaitingLine
from shared.calls.record import CallRecord
from shared.calls.recovery import Recovery
from shared.calls.repository import Calls
from shared.calls.tracing import follow_call
from shared.errors import InvalidInput, NotFound, TokenRejected
from shared.http import Reply, Request, json_reply
from shared.ivr.runner import IvrRunner
from shared.security.acs_signature import AcsSignature
from shared.security.tokens import Audience, TokenVerifier
from shared.store.entities import EntityStore
from shared.telemetry import metrics, traces
from shared.wire.acs_events import Callback, Malformed, parse_callbacks
from shared.wire.identifiers import parse_identifier

logger = logging.getLogger(__name__)

GRACE_S = 60.0
"""How long after the end of a call its token still serves for late callbacks (s)."""

KINDS = {
    "CallConnected": EventKind.CONNECTED,
    "ParticipantsUpdated": EventKind.PARTICIPANTS,
    "MediaStreamingStarted": EventKind.MEDIA_STARTED,
    "MediaStreamingFailed": EventKind.MEDIA_FAILED,
    "MediaStreamingStopped": EventKind.MEDIA_STOPPED,
    "CallDisconnected": EventKind.DISCONNECTED,
    "AnswerFailed": EventKind.ANSWER_FAILED,
    "CreateCallFailed": EventKind.CREATE_FAILED,
    "CallTransferAccepted": EventKind.TRANSFER_ACCEPTED,
    "CallTransferFailed": EventKind.TRANSFER_FAILED,
    "AddParticipantSucceeded": EventKind.PARTICIPANT_ADDED,
    "AddParticipantFailed": EventKind.PARTICIPANT_ADD_FAILED,
}
"""Callback types with an event kind of their own; every other one is recorded as `callback`, by its type only."""

_WITH_CODES = frozenset(
    {
        EventKind.DISCONNECTED,
        EventKind.ANSWER_FAILED,
        EventKind.CREATE_FAILED,
        EventKind.TRANSFER_FAILED,
        EventKind.PARTICIPANT_ADD_FAILED,
        EventKind.MEDIA_FAILED,
    }
)
_WITH_CONTEXT = frozenset(
    {
        EventKind.TRANSFER_ACCEPTED,
        EventKind.TRANSFER_FAILED,
        EventKind.PARTICIPANT_ADDED,
        EventKind.PARTICIPANT_ADD_FAILED,
    }
)
"""Answers to a question of ours: the context says to which."""
_WITH_DETAILS = frozenset({EventKind.MEDIA_STARTED, EventKind.MEDIA_FAILED, EventKind.MEDIA_STOPPED})
_MEDIA_ENDS = frozenset({EventKind.MEDIA_FAILED, EventKind.MEDIA_STOPPED})


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The handler of `/api/call-events/{token}`."""

    store: EntityStore
    calls: Calls
    verifier: TokenVerifier
    signature: AcsSignature
    recovery: Recovery
    ivr: IvrRunner
    waiting: WaitingLine
    now: Callable[[], float]

    async def receive(self, token: str, asked: Request) -> Reply:
        """Check both factors, record each event once, and act on lost media.

        Raises:
            TokenRejected: token, signature or connection id do not hold, or the call ended more than a minute ago.
            NotFound: the token's call is not in the store.
            InvalidInput: the body cannot be read.
            StoreUnavailable, CallControlUnavailable: the delivery may be repeated.
        """
        claims = await self.verifier.verify(token, Audience.ACS_CALLBACK)
        await self.signature.verify(asked.header("authorization"), claims.tenant)
        record = await self.calls.get(claims.tenant, claims.call_id)
        if record is None:
            raise NotFound("no such call")
        if record.disconnected_at is not None and self.now() - record.disconnected_at > GRACE_S:
            raise TokenRejected("revoked")
        follow_call(record)
        return await self._received(asked, record)

    async def _received(self, asked: Request, record: CallRecord) -> Reply:
        found = parse_callbacks(asked.body)
        callbacks = [item for item in found if isinstance(item, Callback)]
        with traces.span(f"callback: {', '.join(callback.type for callback in callbacks)}"[:100]):
            for callback in callbacks:  # all of them, before anything is changed
                await self._check_connection(record, callback)
            for item in found:
                if isinstance(item, Malformed):
                    await self._put_aside(asked, item)
            for callback in callbacks:
                await self._apply(record, callback)
        return json_reply({"requestId": asked.request_id, "events": len(found)})

    async def _check_connection(self, record: CallRecord, callback: Callback) -> None:
        connection_id = callback.call_connection_id
        if not connection_id or not await self.calls.bind_connection(record.call_id, connection_id):
            logger.warning("call %s: callback of another connection refused", record.call_id)
            raise TokenRejected("connection")

    async def _apply(self, record: CallRecord, callback: Callback) -> None:
        event = to_event(callback, self.now())
        new = await self.calls.append(record.tenant, record.call_id, event)
        if record.ivr:
            # Also a repeated one: whoever got it first may have died before the flow went on.
            await self.ivr.callback(record, callback)
        if not new:
            return
        metrics.CALLBACKS.add(type=callback.type)
        logger.info("call %s: %s", record.call_id, callback.type)
        await self.waiting.callback(record, event, callback.operation_context)
        await self.recovery.answered(record.tenant, record.call_id, event, callback.operation_context)
        if event.kind in _MEDIA_ENDS:
            await self.recovery.reported(
                record.tenant,
                record.call_id,
                reason=str(event.data.get("details") or callback.type),
                at=event.at,
                failed=event.kind is EventKind.MEDIA_FAILED,
            )

    async def _put_aside(self, asked: Request, item: Malformed) -> None:
        await put_aside(
            self.store,
            event_id=f"{asked.request_id}.{item.index}",
            event_type="callback",
            reason="malformed",
            detail=f"{item.field}: expected {item.expected}",
            at=self.now(),
        )


def to_event(callback: Callback, seen_at: float) -> CallEvent:
    """The call event of a callback: ids and codes, never pressed keys; numbers masked.

    It happened at ACS's time, so that every order of arrival gives the same record; only the token's last minute counts
    from `seen_at`, our time (Unix seconds).
    """
    kind = KINDS.get(callback.type, EventKind.CALLBACK)
    data: dict[str, Json] = {"callConnectionId": callback.call_connection_id}
    if kind is EventKind.CALLBACK:
        data["type"] = callback.type
    if kind in _WITH_CODES:
        data |= {"code": callback.code, "subCode": callback.sub_code}
    if kind in _WITH_CONTEXT:
        data["context"] = callback.operation_context[:64]
    if kind is EventKind.DISCONNECTED:
        data["seenAt"] = seen_at
    if kind is EventKind.ANSWER_FAILED:
        data["reason"] = "answer_failed"
    if kind in _WITH_DETAILS:
        data["details"] = _details(callback)
    if kind is EventKind.PARTICIPANTS:
        number = callback.data.get("sequenceNumber")
        data |= {
            "sequenceNumber": number if isinstance(number, int) else 0,
            "participants": [*_participants(callback.data.get("participants"))],
        }
    return CallEvent(f"acs-{callback.id}", kind, callback.time.timestamp(), data)


def _details(callback: Callback) -> str:
    update = callback.data.get("mediaStreamingUpdate")
    details = update.get("mediaStreamingStatusDetails") if isinstance(update, dict) else None
    return details[:128] if isinstance(details, str) else ""


def _participants(roster: object) -> list[str]:
    """Masked names, as far as the roster can be read; a strange entry is no reason to lose the event."""
    names = []
    for entry in roster if isinstance(roster, list) else []:
        try:
            who = parse_identifier(
                entry.get("identifier") if isinstance(entry, dict) else None, field="participants"
            )
        except InvalidInput:
            names.append("unknown")
        else:
            names.append(who.masked)
    return names
