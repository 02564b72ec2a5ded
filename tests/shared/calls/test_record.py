import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.calls.events import CallEvent, EventKind
from shared.calls.record import CallState, fold

K = EventKind
BEGIN = 1_800_000_000.0


def event(kind, at=0.0, ident="", **data):
    return CallEvent(ident or f"{kind.value}-{at}", kind, BEGIN + at, data)


RECEIVED = event(
    K.RECEIVED,
    0.2,
    callId="c1",
    tenant="default",
    environment="test",
    **{"from": "+14255550100", "to": "+18005550000"},
    correlationId="corr",
    serverCallId="server",
    route="desk",
    agent="reception",
    task="order_desk",
    inputVariables={"accountNumber": "00123"},
    callTransferId="transfer-1",
    externalConversationId="conversation-1",
    previousCalls=["c0"],
    requestId="req-1",
    eventTime=BEGIN,
)
CALL = [
    RECEIVED,
    event(K.ANSWERING, 0.21),
    event(K.ANSWERED, 0.3, callConnectionId="cc-1", ms=90),
    event(K.CONNECTED, 0.35, callConnectionId="cc-1"),
    event(K.PARTICIPANTS, 0.36, sequenceNumber=1, participants=["+1…00"]),
    event(K.PARTICIPANTS, 0.34, sequenceNumber=2, participants=["+1…00", "8:acs…"]),
    event(K.MEDIA_CONNECTED, 0.4, hostId="host-a", callConnectionId="cc-1"),
    event(K.FIRST_AUDIO, 0.5, ms=100),
    event(K.AGENT_SAID, 1.0, text="Hello", heardMs=700, madeMs=900, interrupted=True),
    event(K.BARGE_IN, 1.5, heardMs=700, silenceMs=40),
    event(K.CALLER_SAID, 2.0, text="my order"),
    event(K.KEYS, 3.0, count=5),
    event(K.KEYS, 4.0, count=1),
    event(K.TOOL, 4.5, name="lookup_order", ms=3, ok=True),
    event(K.FAULT, 4.6, code="tool", message="slow"),
    event(
        K.OUTCOME,
        5.0,
        "outcome",
        transferType="SYSTEM",
        reason="goodbye",
        task="order_desk",
        referenceVariables={"order": "1"},
        transferVariables={},
    ),
    event(K.HANG_UP, 5.5, by="agent", reason="agent_done"),
    event(K.MEDIA_CLOSED, 5.6, hostId="host-a", reason="agent_done", durationMs=5200),
    event(K.RECORDING, 5.7, file="c1.wav", ms=5200),
    event(K.DISCONNECTED, 6.0, code=200, subCode=7000),
]


def test_a_whole_call():
    record = fold(CALL)
    assert record.released
    assert record.settled
    shown = record.to_json()
    timeline = shown.pop("timeline")
    assert shown == {
        "line": "acs",
        "customerId": None,
        "direction": "inbound",
        "answeredBy": None,
        "ivr": None,
        "returnTo": None,
        "returnStep": None,
        "callId": "c1",
        "tenant": "default",
        "environment": "test",
        "state": "ended",
        "from": "+14255550100",
        "to": "+18005550000",
        "route": "desk",
        "agent": "reception",
        "task": "order_desk",
        "inputVariables": {"accountNumber": "00123"},
        "callTransferId": "transfer-1",
        "externalConversationId": "conversation-1",
        "previousCalls": ["c0"],
        "movedFrom": None,
        "correlationId": "corr",
        "serverCallId": "server",
        "callConnectionId": "cc-1",
        "requestId": "req-1",
        "receivedAt": "2027-01-15T08:00:00.200Z",
        "answeredAt": "2027-01-15T08:00:00.300Z",
        "connectedAt": "2027-01-15T08:00:00.350Z",
        "endedAt": "2027-01-15T08:00:06.000Z",
        "endedReason": "agent_done",
        "ended": {"reason": "agent_done", "by": "agent", "code": 200, "subCode": 7000},
        "outcome": {
            "transferType": "SYSTEM",
            "reason": "goodbye",
            "currentTaskName": "order_desk",
            "referenceVariables": {"order": "1"},
            "transferVariables": {},
        },
        "media": {
            "hostId": "host-a",
            "startedAt": "2027-01-15T08:00:00.400Z",
            "endedAt": "2027-01-15T08:00:05.600Z",
            "durationMs": 5200,
            "lost": False,
        },
        "participants": ["+1…00", "8:acs…"],
        "transcript": [
            {
                "at": "2027-01-15T08:00:01.000Z",
                "who": "agent",
                "text": "Hello",
                "heardMs": 700,
                "interrupted": True,
            },
            {"at": "2027-01-15T08:00:02.000Z", "who": "caller", "text": "my order"},
        ],
        "keysPressed": 6,
        "bargeIns": 1,
        "recording": {"file": "c1.wav", "ms": 5200, "consent": False},
        "faults": [{"at": "2027-01-15T08:00:04.600Z", "code": "tool", "message": "slow"}],
        "latencies": {
            "eventToAnswerMs": 300.0,
            "answerToFirstAudioMs": 200.0,
            "bargeInToSilenceMs": [40],
        },
    }
    assert [entry["kind"] for entry in timeline] == [e.kind.value for e in sorted(CALL, key=lambda e: e.at)]
    reasons = {entry["kind"]: entry["reason"] for entry in timeline if "reason" in entry}
    assert reasons == {
        "tool": "lookup_order",
        "fault": "tool",
        "outcome": "goodbye",
        "hang_up": "agent_done",
        "media_closed": "agent_done",
        "disconnected": "200",
    }


@given(st.permutations(CALL), st.lists(st.sampled_from(CALL)))
def test_any_order_and_any_doubling_give_the_same_record(events, doubles):
    assert fold([*events, *doubles]) == fold(CALL)


def test_four_callbacks_in_every_order_each_doubled():
    kinds = (K.CONNECTED, K.PARTICIPANTS, K.MEDIA_STARTED, K.DISCONNECTED)
    callbacks = [event(kind, 1 + i) for i, kind in enumerate(kinds)]
    records = {
        fold([RECEIVED, *order, *reversed(order)]) == fold([RECEIVED, *callbacks])
        for order in itertools.permutations(callbacks)
    }
    assert records == {True}


def test_two_events_with_one_id_are_one_and_the_earlier_counts():
    early, late = event(K.OUTCOME, 1, "outcome", reason="a"), event(K.OUTCOME, 2, "outcome", reason="b")
    for order in ((early, late), (late, early)):
        assert fold(order).outcome["reason"] == "a"


@pytest.mark.parametrize(
    ("kinds", "state", "live"),
    [
        ([], "received", True),
        ([K.RECEIVED], "received", True),
        ([K.ANSWERING], "answering", True),
        ([K.ANSWERING, K.ANSWERED], "answered", True),
        ([K.CONNECTED], "connected", True),
        ([K.MEDIA_CONNECTED], "connected", True),
        ([K.REJECTED], "rejected", False),
        ([K.REDIRECTED], "redirected", False),
        ([K.ANSWERING, K.ANSWER_FAILED], "failed", False),
        ([K.ANSWERED, K.ANSWER_FAILED], "failed", False),
        ([K.ANSWER_FAILED, K.CONNECTED], "connected", True),
        ([K.DISCONNECTED], "ended", False),
        ([K.CONNECTED, K.HANG_UP], "ended", False),
        ([K.ANSWER_FAILED, K.DISCONNECTED], "ended", False),
    ],
)
def test_states(kinds, state, live):
    record = fold([event(kind, i + 1.0) for i, kind in enumerate(kinds)])
    assert (record.state.value, record.live) == (state, live)


@pytest.mark.parametrize(
    ("events", "reason", "by", "outcome"),
    [
        ([event(K.DISCONNECTED, 1, code=200, subCode=7000)], "caller_hung_up", "caller", "CALLER_DISCONNECT"),
        ([event(K.DISCONNECTED, 1)], "caller_hung_up", "caller", "CALLER_DISCONNECT"),
        ([event(K.DISCONNECTED, 1, code=500, subCode=8603)], "connection_failed", "line", None),
        ([event(K.DISCONNECTED, 1, reason="disconnect_not_reported")], "disconnect_not_reported", "system", None),
        ([event(K.TRANSFER_ACCEPTED, 1), event(K.DISCONNECTED, 2)], "transferred", "system", None),
        ([event(K.DISCONNECTED, 1), event(K.HANG_UP, 2, by="system", reason="media_lost")], "media_lost", "system", None),
        ([event(K.HANG_UP, 1)], "hung_up", "system", None),
        ([event(K.HANG_UP, 1, by="caller", reason="caller_hung_up")], "caller_hung_up", "caller", "CALLER_DISCONNECT"),
        ([event(K.REJECTED, 1, reason="tenant_limit")], "tenant_limit", "system", None),
        ([event(K.REDIRECTED, 1)], "redirected", "system", None),
        ([event(K.ANSWER_FAILED, 1, reason="answer_failed", code=403, subCode=8587)], "answer_failed", "system", None),
    ],
)  # fmt: skip
def test_why_a_call_ended(events, reason, by, outcome):
    for order in itertools.permutations([RECEIVED, *events]):
        record = fold(order)
        assert (record.ended.reason, record.ended.by) == (reason, by)
        assert (record.outcome and record.outcome["transferType"]) == outcome
        assert record.ended_at is not None


def test_a_caller_who_hangs_up_leaves_no_variables():
    outcome = fold([RECEIVED, event(K.DISCONNECTED, 1)]).outcome
    assert outcome == {
        "transferType": "CALLER_DISCONNECT",
        "reason": "caller_hung_up",
        "currentTaskName": "order_desk",
    }


def test_a_hang_up_ends_the_call_before_acs_says_so_but_does_not_release_it():
    record = fold([RECEIVED, event(K.CONNECTED, 1), event(K.HANG_UP, 3, by="agent", reason="agent_done")])
    assert (record.state, record.released, record.ended_at) == (CallState.ENDED, False, BEGIN + 3)
    record = fold([RECEIVED, event(K.HANG_UP, 3, by="agent", reason="agent_done"), event(K.DISCONNECTED, 4)])
    assert (record.released, record.ended_at) == (True, BEGIN + 4)


@pytest.mark.parametrize("kind", [K.REJECTED, K.REDIRECTED, K.ANSWER_FAILED, K.DISCONNECTED])
def test_released_calls_are_gone_at_acs(kind):
    assert fold([RECEIVED, event(kind, 1)]).released


@pytest.mark.parametrize(
    ("kind", "settled"),
    [
        (K.OUTCOME, True),
        (K.HANG_UP, True),
        (K.TRANSFER, True),
        (K.TRANSFER_ACCEPTED, True),
        (K.MEDIA_LOST, False),
        (K.FAULT, False),
    ],
)
def test_settled(kind, settled):
    assert fold([RECEIVED, event(kind, 1)]).settled is settled


def test_media_over_two_hosts():
    first = [
        event(K.MEDIA_CONNECTED, 1, hostId="a"),
        event(K.MEDIA_LOST, 5, hostId="a", reason="x"),
        event(K.RECOVERY, 5.1, action="restart"),
    ]
    lost = fold(first)
    assert (lost.media.host_id, lost.media.lost, lost.recovering_at) == ("a", True, BEGIN + 5.1)
    assert lost.state is CallState.CONNECTED
    assert lost.media.ended_at == BEGIN + 5
    back = fold([*first, event(K.MEDIA_CONNECTED, 6, hostId="b", resumed=True)])
    assert (back.media.host_id, back.media.connections, back.recovering_at) == ("b", 2, None)
    assert not back.media.closed
    assert back.media.ended_at is None
    closed = fold(
        [
            *first,
            event(K.MEDIA_CONNECTED, 6, hostId="b"),
            event(K.MEDIA_CLOSED, 5.5, hostId="a", durationMs=100),
            event(K.MEDIA_CLOSED, 9, hostId="b", durationMs=3000),
        ]
    )
    assert (closed.media.closed, closed.media.duration_ms, closed.media.ended_at) == (True, 3100, BEGIN + 9)


def test_a_recovery_that_hangs_up_is_not_pending():
    assert fold([RECEIVED, event(K.RECOVERY, 1, action="hang_up")]).recovering_at is None


def test_the_rest_response_names_the_connection_even_when_a_callback_came_first():
    events = [event(K.CONNECTED, 1, callConnectionId="x"), event(K.ANSWERED, 2, callConnectionId="cc-1")]
    assert fold(events).call_connection_id == "cc-1"
    assert fold(events[:1]).call_connection_id == "x"


def test_an_event_time_after_receipt_is_a_wrong_clock():
    data = {**RECEIVED.data, "eventTime": BEGIN + 100}
    wrong = CallEvent("received", K.RECEIVED, BEGIN, data)
    record = fold([wrong, event(K.ANSWERED, 0.5)])
    assert record.latencies == {"eventToAnswerMs": 500.0}


def test_first_audio_counts_from_the_callback_when_the_response_was_lost():
    record = fold(
        [event(K.CONNECTED, 1.0), event(K.MEDIA_CONNECTED, 1.1, hostId="a"), event(K.FIRST_AUDIO, 1.2, ms=50)]
    )
    assert record.latencies == {"answerToFirstAudioMs": 150.0}


def test_audio_that_overtakes_the_rest_response_does_not_make_time_run_backwards():
    events = [
        RECEIVED,
        event(K.MEDIA_CONNECTED, 0.3, hostId="a"),
        event(K.FIRST_AUDIO, 0.31, ms=10),
        event(K.CONNECTED, 0.32),
        event(K.ANSWERED, 0.5),
    ]
    assert fold(events).latencies == {"eventToAnswerMs": 300.0, "answerToFirstAudioMs": 10.0}


@pytest.mark.parametrize("bad", [None, 7, "text", ["x"], {"a": 1}, True])
def test_data_of_a_wrong_shape_breaks_nothing(bad):
    names = "from inputVariables sequenceNumber participants hostId durationMs ms text code count".split()
    events = [CallEvent(kind.value, kind, BEGIN, dict.fromkeys(names, bad)) for kind in K]
    fold(events).to_json()


def test_a_summary_has_no_transcript():
    shown = fold(CALL).to_summary()
    assert shown["endedReason"] == "agent_done"
    assert shown["correlationId"] == "corr"
    assert "transcript" not in shown
    assert fold([]).to_summary()["endedReason"] is None


def test_a_call_on_the_twilio_line():
    """It is answered and connected when its audio comes: Twilio tells of nothing else."""
    received = event(K.RECEIVED, 0.2, callId="c1", line="twilio", customerId="customer-1")
    assert (fold([received]).line, fold([received]).answered_at) == ("twilio", None)
    record = fold([received, event(K.MEDIA_CONNECTED, 0.4, hostId="host-a")])
    assert (record.state, record.customer_id) == (CallState.CONNECTED, "customer-1")
    assert record.answered_at == record.connected_at == BEGIN + 0.4
    shown = record.to_json()
    assert (shown["line"], shown["customerId"]) == ("twilio", "customer-1")


def test_whom_the_agent_chose_is_told_if_it_chose():
    said = event(K.OUTCOME, 5.0, "outcome", transferType="AGENT", target="billing")
    assert fold([RECEIVED, said]).outcome["target"] == "billing"
    for target in ("", 7, None):
        said = event(K.OUTCOME, 5.0, "outcome", transferType="AGENT", target=target)
        assert "target" not in fold([RECEIVED, said]).outcome
