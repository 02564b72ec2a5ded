"""The record of a call: a pure function of its events.

Events come in any order, twice, or not at all: callbacks overtake the REST response, both processes write at the same
time. `fold` sorts by (time, id), drops doubles and looks at what is there, so every order gives the same record.
"""

from collections.abc import Iterable, Sequence

from shared.calls.events import CallEvent, EventKind, rfc3339
from shared.calls.handovers import Attempt, newest_attempt
from shared.calls.not_reached import not_reached
from shared.calls.state import NEVER_TAKEN, CallRecord, CallState, Ended, Media

__all__ = ["NEVER_TAKEN", "CallRecord", "CallState", "Ended", "Media", "fold"]


class _Events:
    """The sorted events of one call, by kind."""

    def __init__(self, events: Iterable[CallEvent]) -> None:
        unique: dict[str, CallEvent] = {}
        for event in events:
            known = unique.get(event.id)
            # Two events with one id cannot be in a store; in a list the earlier one counts, whatever its place.
            if known is None or _order(event) < _order(known):
                unique[event.id] = event
        self.all = sorted(unique.values(), key=_order)
        self._by_kind: dict[EventKind, list[CallEvent]] = {}
        for event in self.all:
            self._by_kind.setdefault(event.kind, []).append(event)

    def of(self, kind: EventKind) -> Sequence[CallEvent]:
        return self._by_kind.get(kind, ())

    def first(self, *kinds: EventKind) -> CallEvent | None:
        return min((self.of(kind)[0] for kind in kinds if self.of(kind)), key=_order, default=None)

    def has(self, *kinds: EventKind) -> bool:
        return any(self.of(kind) for kind in kinds)


def _order(event: CallEvent) -> tuple[float, str, str]:
    return event.at, event.id, event.kind.value


def _text(event: CallEvent | None, key: str) -> str:
    value = event.data.get(key) if event else None
    return value if isinstance(value, str) else ""


def _texts(event: CallEvent | None, key: str) -> list[str]:
    values = event.data.get(key) if event else None
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def _number(event: CallEvent | None, key: str) -> float | None:
    value = event.data.get(key) if event else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _whole(event: CallEvent | None, key: str) -> int | None:
    value = _number(event, key)
    return None if value is None else int(value)


def _at(event: CallEvent | None) -> float | None:
    return None if event is None else event.at


def fold(events: Iterable[CallEvent]) -> CallRecord:
    """The record of one call from its events, in whatever order and number they come."""
    known = _Events(events)
    received = known.first(EventKind.RECEIVED)
    variables = received.data.get("inputVariables") if received else None
    disconnected = known.first(EventKind.DISCONNECTED)
    state = _state(known)
    ended = _ended(known, state)
    media = _media(known)
    recovery, queued = _recovery(known, media), _queued(known)
    handover = newest_attempt(known.all)
    hang_up, ringing = known.first(EventKind.HANG_UP), known.first(EventKind.RINGING)
    ended_at = _at(disconnected or hang_up or known.first(*_FINAL)) if ended else None
    return CallRecord(
        call_id=_text(received, "callId"),
        tenant=_text(received, "tenant"),
        environment=_text(received, "environment"),
        state=state,
        line="twilio" if _twilio(known) else "acs",
        direction="outbound" if _outbound(known) else "inbound",
        caller=_text(received, "from"),
        callee=_text(received, "to"),
        route=_text(received, "route"),
        agent=_text(received, "agent"),
        task=_text(received, "task"),
        input_variables={key: str(value) for key, value in variables.items()}
        if isinstance(variables, dict)
        else {},
        transfer_id=_text(received, "callTransferId"),
        conversation_id=_text(received, "externalConversationId"),
        customer_id=_text(received, "customerId"),
        previous_calls=_texts(received, "previousCalls"),
        return_to=_text(received, "returnTo"),
        return_step=_text(received, "returnStep"),
        ivr=_text(received, "ivr"),
        ivr_steps=_ivr_steps(known),
        ivr_variables=_ivr_variables(known),
        request_id=_text(received, "requestId"),
        correlation_id=_text(received, "correlationId") or _text(ringing, "correlationId"),
        server_call_id=_text(received, "serverCallId") or _text(ringing, "serverCallId"),
        call_connection_id=_connection_id(known),
        received_at=_at(received),
        answered_at=_at(known.first(_answered_kind(known))),
        connected_at=_at(known.first(_connected_kind(known))),
        ended_at=ended_at,
        disconnected_at=_number(disconnected, "seenAt") or _at(disconnected),
        ended=ended,
        outcome=_outcome(known, ended, handover),
        media=media,
        answered_by=_text(known.first(EventKind.ANSWERED_BY), "answeredBy"),
        participants=_participants(known),
        transcript=_transcript(known),
        keys_pressed=sum(_whole(event, "count") or 0 for event in known.of(EventKind.KEYS)),
        barge_ins=len(known.of(EventKind.BARGE_IN)),
        recording=_recording(known),
        faults=[
            {"at": rfc3339(event.at), "code": _text(event, "code"), "message": _text(event, "message")}
            for event in known.of(EventKind.FAULT)
        ],
        latencies=_latencies(known),
        timeline=[_entry(event) for event in known.all],
        released=disconnected is not None or state in NEVER_TAKEN,
        settled=known.has(EventKind.OUTCOME, EventKind.HANG_UP, EventKind.TRANSFER_ACCEPTED)
        or (handover is not None and (handover.succeeded or handover.leaving)),
        leaving=handover.leaving if handover else known.has(EventKind.TRANSFER_ACCEPTED),
        handed_over=handover is not None and handover.together,
        moved_from=_text(received, "movedFrom"),
        moves=_whole(received, "moves") or 0,
        trace=_text(received, "trace"),
        queued=_text(queued, "action"),
        queued_at=_at(queued),
        recovering_at=_at(recovery),
        recovery=_text(recovery, "action"),
        last_at=known.all[-1].at if known.all else None,
    )


_FINAL = (EventKind.ANSWER_FAILED, EventKind.CREATE_FAILED, EventKind.REJECTED, EventKind.REDIRECTED)


def _outbound(known: _Events) -> bool:
    return _text(known.first(EventKind.RECEIVED), "direction") == "outbound"


def _twilio(known: _Events) -> bool:
    return _text(known.first(EventKind.RECEIVED), "line") == "twilio"


def _connected_kind(known: _Events) -> EventKind:
    """Twilio tells of no connection but the audio's."""
    return EventKind.MEDIA_CONNECTED if _twilio(known) else EventKind.CONNECTED


def _answered_kind(known: _Events) -> EventKind:
    inbound_acs = not _outbound(known) and not _twilio(known)
    return EventKind.ANSWERED if inbound_acs else _connected_kind(known)


def _unreached(known: _Events) -> CallEvent | None:
    """What says that nobody picked up a call of ours; it is the last word, so it wins over everything."""
    if (failed := known.first(EventKind.CREATE_FAILED)) is not None:
        return failed
    if _outbound(known) and not known.has(EventKind.CONNECTED, EventKind.MEDIA_CONNECTED):
        return known.first(EventKind.DISCONNECTED)
    return None


def _state(known: _Events) -> CallState:
    """The furthest state that any event proves; what is missing or late cannot take it back."""
    if _unreached(known) is not None:
        return CallState.FAILED
    for state, kinds in (
        (CallState.ENDED, (EventKind.DISCONNECTED, EventKind.HANG_UP)),
        (CallState.CONNECTED, (EventKind.CONNECTED, EventKind.MEDIA_CONNECTED)),
        (CallState.FAILED, (EventKind.ANSWER_FAILED,)),
        (CallState.ANSWERED, (EventKind.ANSWERED,)),
        (CallState.REDIRECTED, (EventKind.REDIRECTED,)),
        (CallState.REJECTED, (EventKind.REJECTED,)),
        (CallState.ANSWERING, (EventKind.ANSWERING,)),
        (CallState.RINGING, (EventKind.RINGING,)),
        (CallState.CALLING, (EventKind.CALLING,)),
    ):
        if known.has(*kinds):
            return state
    return CallState.RECEIVED


def _ended(known: _Events, state: CallState) -> Ended | None:
    if (unreached := _unreached(known)) is not None:
        code, sub_code = _whole(unreached, "code"), _whole(unreached, "subCode")
        return Ended(_text(unreached, "reason") or not_reached(code, sub_code), "line", code, sub_code)
    disconnected = known.first(EventKind.DISCONNECTED)
    code, sub_code = _whole(disconnected, "code"), _whole(disconnected, "subCode")
    if state is CallState.ENDED:
        if (hang_up := known.first(EventKind.HANG_UP)) is not None:
            return Ended(
                _text(hang_up, "reason") or "hung_up", _text(hang_up, "by") or "system", code, sub_code
            )
        if known.has(EventKind.TRANSFER_ACCEPTED):
            moved = _text(_last(known, EventKind.TRANSFER), "mode") == "move"
            return Ended("moved" if moved else "transferred", "system", code, sub_code)
        if (reason := _text(disconnected, "reason")) != "":
            return Ended(reason, "system", code, sub_code)
        if code in (None, 0, 200):
            return Ended("caller_hung_up", "caller", code, sub_code)
        return Ended("connection_failed", "line", code, sub_code)
    if state in NEVER_TAKEN:
        final = known.first(EventKind(_NEVER_TAKEN_KIND[state]))
        return Ended(
            _text(final, "reason") or state.value,
            "system",
            _whole(final, "code"),
            _whole(final, "subCode"),
        )
    return None


_NEVER_TAKEN_KIND = {
    CallState.FAILED: EventKind.ANSWER_FAILED,
    CallState.REDIRECTED: EventKind.REDIRECTED,
    CallState.REJECTED: EventKind.REJECTED,
}


def _outcome(known: _Events, ended: Ended | None, handover: Attempt | None) -> dict[str, object] | None:
    """What the agent said; without that, a handover that succeeded speaks for itself."""
    event = known.first(EventKind.OUTCOME)
    said = event.data if event else handover.outcome if handover and handover.succeeded else None
    if said:
        kind, reason, task, target = (said.get(key) for key in ("transferType", "reason", "task", "target"))
        return {
            "transferType": kind if isinstance(kind, str) else "",
            "reason": reason if isinstance(reason, str) else "",
            "currentTaskName": task if isinstance(task, str) else "",
            "referenceVariables": said.get("referenceVariables") or {},
            "transferVariables": said.get("transferVariables") or {},
            **({"target": target} if isinstance(target, str) and target else {}),
        }
    if ended is not None and ended.by == "caller":
        task = _text(known.first(EventKind.RECEIVED), "task")
        return {"transferType": "CALLER_DISCONNECT", "reason": ended.reason, "currentTaskName": task}
    return None


def _connection_id(known: _Events) -> str:
    for event in (*known.of(EventKind.ANSWERED), *known.of(EventKind.RINGING), *known.all):
        if found := _text(event, "callConnectionId"):
            return found
    return ""


def _media(known: _Events) -> Media:
    connected, closed = known.of(EventKind.MEDIA_CONNECTED), known.of(EventKind.MEDIA_CLOSED)
    lengths = [length for event in closed if (length := _number(event, "durationMs")) is not None]
    last = connected[-1] if connected else None
    # A dead host says no goodbye: then its audio ended when we noticed.
    ends = [*closed, *known.of(EventKind.MEDIA_LOST)]
    ended_at = max((event.at for event in ends), default=None)
    if last and ended_at is not None and ended_at < last.at:
        ended_at = None  # there is audio again
    return Media(
        host_id=_text(last, "hostId"),
        connections=len(connected),
        connected_at=_at(last),
        started_at=connected[0].at if connected else None,
        ended_at=ended_at,
        duration_ms=sum(lengths) if lengths else None,
        lost=known.has(EventKind.MEDIA_LOST),
        closed=bool(last and closed and closed[-1].at >= last.at),
    )


def _recovery(known: _Events, media: Media) -> CallEvent | None:
    """What was done last about lost media, if it takes its time and no audio has come of it."""
    begun = [
        event for event in known.of(EventKind.RECOVERY) if _text(event, "action") in ("restart", "notice")
    ]
    if not begun or (media.connected_at is not None and media.connected_at > begun[-1].at):
        return None
    return begun[-1]


def _queued(known: _Events) -> CallEvent | None:
    """How the wait stands; what ended it counts, whatever the clocks of two processes say."""
    told = known.of(EventKind.QUEUED)
    return next((event for event in told if _text(event, "action") != "waiting"), told[-1] if told else None)


def _last(known: _Events, kind: EventKind) -> CallEvent | None:
    found = known.of(kind)
    return found[-1] if found else None


def _participants(known: _Events) -> list[str]:
    rosters = known.of(EventKind.PARTICIPANTS)
    if not rosters:
        return []
    newest = max(rosters, key=lambda event: (_number(event, "sequenceNumber") or 0, *_order(event)))
    return _texts(newest, "participants")


def _transcript(known: _Events) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    for event in known.all:
        if event.kind is EventKind.CALLER_SAID:
            lines.append({"at": rfc3339(event.at), "who": "caller", "text": _text(event, "text")})
        elif event.kind is EventKind.AGENT_SAID:
            details = {key: event.data[key] for key in ("heardMs", "interrupted") if key in event.data}
            lines.append({"at": rfc3339(event.at), "who": "agent", "text": _text(event, "text"), **details})
    return lines


def _in_ivr(known: _Events) -> list[CallEvent]:
    """In the order of the flow, which their ids count: two processes' clocks may differ."""
    return sorted(known.of(EventKind.IVR_STEP), key=lambda event: event.id)


def _ivr_steps(known: _Events) -> list[dict[str, object]]:
    steps = []
    for event in _in_ivr(known):
        entry: dict[str, object] = {"at": rfc3339(event.at), "step": _text(event, "name")}
        if result := _text(event, "result"):
            entry["result"] = result
        steps.append(entry)
    return steps


def _ivr_variables(known: _Events) -> dict[str, str]:
    """As they were last told; a flow never tells its secret ones."""
    for event in reversed(_in_ivr(known)):
        variables = event.data.get("variables")
        if isinstance(variables, dict):
            return {name: str(value) for name, value in variables.items()}
    return {}


def _recording(known: _Events) -> dict[str, object] | None:
    made = known.of(EventKind.RECORDING)
    if not made:
        return None
    last = made[-1]
    consent = last.data.get("consent") is True
    return {"file": _text(last, "file"), "ms": _number(last, "ms"), "consent": consent}


def _latencies(known: _Events) -> dict[str, object]:
    """Milliseconds; a value is missing as long as one of its two ends is."""
    found: dict[str, object] = {}
    received, media = known.first(EventKind.RECEIVED), known.first(EventKind.MEDIA_CONNECTED)
    # The caller is through at the first sign of it: callbacks and audio often come before the REST response is read.
    answered = known.first(EventKind.ANSWERED, EventKind.CONNECTED, EventKind.MEDIA_CONNECTED)
    if received and answered and not _outbound(known):
        # From the event's own time when it is plausible, else from when we saw it.
        begun = _number(received, "eventTime")
        start = begun if begun is not None and begun <= received.at else received.at
        found["eventToAnswerMs"] = round((answered.at - start) * 1000, 1)
    after_ms = _number(known.first(EventKind.FIRST_AUDIO), "ms")
    if media and answered and after_ms is not None:
        found["answerToFirstAudioMs"] = round((media.at - answered.at) * 1000 + after_ms, 1)
    silences = [
        silence
        for event in known.of(EventKind.BARGE_IN)
        if (silence := _number(event, "silenceMs")) is not None
    ]
    if silences:
        found["bargeInToSilenceMs"] = [*silences]
    return found


def _entry(event: CallEvent) -> dict[str, object]:
    """One line of the timeline; the reason is whatever says why or what."""
    entry: dict[str, object] = {"at": rfc3339(event.at), "kind": event.kind.value}
    for key in ("reason", "action", "details", "phase", "name", "target", "type", "code"):
        value = event.data.get(key)
        if isinstance(value, str | int) and value != "" and not isinstance(value, bool):
            entry["reason"] = str(value)
            break
    return entry
