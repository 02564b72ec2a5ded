"""The record of a call as plain values: what is known now, and how it is shown (`record.fold` makes it from events)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from shared.calls.events import rfc3339


class CallState(StrEnum):
    """Where a call stands; `calling` and `ringing` are those of calls that we make."""

    RECEIVED = "received"
    ANSWERING = "answering"
    CALLING = "calling"
    RINGING = "ringing"
    ANSWERED = "answered"
    CONNECTED = "connected"
    ENDED = "ended"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    FAILED = "failed"


NEVER_TAKEN = frozenset({CallState.REJECTED, CallState.REDIRECTED, CallState.FAILED})
"""Final states of calls that were never connected to us."""


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the call ended: `by` is caller, agent, system or line; code and sub-code are ACS's, or None."""

    reason: str
    by: str
    code: int | None = None
    sub_code: int | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """The audio connection. `closed`: the present host has said goodbye; times in Unix seconds."""

    host_id: str = ""
    connections: int = 0
    connected_at: float | None = None
    started_at: float | None = None
    ended_at: float | None = None
    duration_ms: float | None = None
    lost: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class CallRecord:
    """A call, as far as is known. Times in Unix seconds, None as long as it has not happened.

    Attributes:
        line: the telephone side: `acs` or `twilio`.
        direction: `inbound`, or `outbound` for a call that we made: then `callee` is the person and `caller` our number.
        transfer_id: the client's id of the call transfer that brought the call, or "".
        conversation_id: the client's id of the conversation that the call belongs to, or "".
        customer_id: who the client says that the caller is, or "".
        previous_calls: our ids of that conversation's earlier calls, oldest first.
        answered_by: who picked up an outbound call as far as can be heard: `person`, `machine`, `unknown`, or "" before that.
        return_to: the ACS identity to give the caller back to, or "".
        return_step: what it wants to hear again then, or "".
        ivr: the IVR that answers, or "" when an agent does; `ivr_steps` and `ivr_variables` are what it did and knows.
        disconnected_at: when we heard that ACS has ended the call.
        released: ACS has nothing of this call any more; until then it counts against limits and is watched.
        settled: an outcome, a hang-up or a handover is recorded that has not failed, so lost media is no accident. While
            a person is only being called in (a warm handover), the caller is still ours.
        leaving: the caller is being transferred, or has been; a transfer that failed is neither.
        handed_over: the caller talks to a person in this call: only our part of it may be ended.
        moved_from: our id of the call that this one goes on with on another media host, or ""; `moves`: how often.
        trace: the context of its trace (W3C `traceparent`), or "" when nothing was traced.
        queued: of a call that found no room (`queueing`): waiting, taken or over; `queued_at`: since when.
        recovering_at: when the last recovery of lost media began that no new media connection has followed; `recovery` says
            what it was: restart or notice.
        last_at: when anything happened last.
    """

    call_id: str = ""
    tenant: str = ""
    environment: str = ""
    state: CallState = CallState.RECEIVED
    line: Literal["acs", "twilio"] = "acs"
    direction: Literal["inbound", "outbound"] = "inbound"
    caller: str = ""
    callee: str = ""
    route: str = ""
    agent: str = ""
    task: str = ""
    input_variables: Mapping[str, str] = field(default_factory=dict)
    transfer_id: str = ""
    conversation_id: str = ""
    customer_id: str = ""
    previous_calls: Sequence[str] = ()
    return_to: str = ""
    return_step: str = ""
    ivr: str = ""
    ivr_steps: Sequence[Mapping[str, object]] = ()
    ivr_variables: Mapping[str, str] = field(default_factory=dict)
    request_id: str = ""
    correlation_id: str = ""
    server_call_id: str = ""
    call_connection_id: str = ""
    received_at: float | None = None
    answered_at: float | None = None
    connected_at: float | None = None
    ended_at: float | None = None
    disconnected_at: float | None = None
    ended: Ended | None = None
    outcome: Mapping[str, object] | None = None
    media: Media = field(default_factory=Media)
    answered_by: str = ""
    participants: Sequence[str] = ()
    transcript: Sequence[Mapping[str, object]] = ()
    keys_pressed: int = 0
    barge_ins: int = 0
    recording: Mapping[str, object] | None = None
    faults: Sequence[Mapping[str, object]] = ()
    latencies: Mapping[str, object] = field(default_factory=dict)
    timeline: Sequence[Mapping[str, object]] = ()
    released: bool = False
    settled: bool = False
    leaving: bool = False
    handed_over: bool = False
    moved_from: str = ""
    moves: int = 0
    trace: str = ""
    queued: str = ""
    queued_at: float | None = None
    recovering_at: float | None = None
    recovery: str = ""
    last_at: float | None = None

    @property
    def live(self) -> bool:
        """The call is on its way to us, or going on."""
        return self.state is not CallState.ENDED and self.state not in NEVER_TAKEN

    @property
    def waiting(self) -> bool:
        """Nobody talks to the caller yet: ACS plays something until a media host has room."""
        return self.queued == "waiting" and not self.media.connections

    @property
    def person(self) -> str:
        """Who talks to the agent: the caller, or whom we have called."""
        return self.callee if self.direction == "outbound" else self.caller

    @property
    def our_number(self) -> str:
        """Our side's number or identity: the dialled one, or the one that we called from."""
        return self.caller if self.direction == "outbound" else self.callee

    def to_json(self) -> dict[str, object]:
        """What `GET /api/calls/{id}` and `call.json` show: camelCase, times in RFC 3339."""
        ended = self.ended
        return {
            **self.to_summary(),
            "task": self.task,
            "inputVariables": dict(self.input_variables),
            "callTransferId": self.transfer_id or None,
            "externalConversationId": self.conversation_id or None,
            "customerId": self.customer_id or None,
            "previousCalls": list(self.previous_calls),
            "movedFrom": self.moved_from or None,
            "returnTo": self.return_to or None,
            "returnStep": self.return_step or None,
            "ivr": {
                "name": self.ivr,
                "steps": [dict(step) for step in self.ivr_steps],
                "variables": dict(self.ivr_variables),
            }
            if self.ivr
            else None,
            "serverCallId": self.server_call_id,
            "callConnectionId": self.call_connection_id,
            "requestId": self.request_id,
            "ended": None
            if ended is None
            else {"reason": ended.reason, "by": ended.by, "code": ended.code, "subCode": ended.sub_code},
            "outcome": None if self.outcome is None else dict(self.outcome),
            "media": {
                "hostId": self.media.host_id,
                "startedAt": _time(self.media.started_at),
                "endedAt": _time(self.media.ended_at),
                "durationMs": self.media.duration_ms,
                "lost": self.media.lost,
            },
            "answeredBy": self.answered_by or None,
            "participants": list(self.participants),
            "transcript": [dict(line) for line in self.transcript],
            "keysPressed": self.keys_pressed,
            "bargeIns": self.barge_ins,
            "recording": None if self.recording is None else dict(self.recording),
            "faults": [dict(fault) for fault in self.faults],
            "latencies": dict(self.latencies),
            "timeline": [dict(entry) for entry in self.timeline],
        }

    def to_summary(self) -> dict[str, object]:
        """What a list of calls shows."""
        return {
            "callId": self.call_id,
            "tenant": self.tenant,
            "environment": self.environment,
            "state": self.state.value,
            "line": self.line,
            "direction": self.direction,
            "from": self.caller,
            "to": self.callee,
            "correlationId": self.correlation_id,
            "route": self.route,
            "agent": self.agent,
            "receivedAt": _time(self.received_at),
            "answeredAt": _time(self.answered_at),
            "connectedAt": _time(self.connected_at),
            "endedAt": _time(self.ended_at),
            "endedReason": self.ended.reason if self.ended else None,
        }


def _time(at: float | None) -> str | None:
    return None if at is None else rfc3339(at)
