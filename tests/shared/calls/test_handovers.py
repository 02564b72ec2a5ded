"""Handovers in the record: what each state means for the outcome, for a lost call, and for the order of events."""

import itertools

import pytest

from shared.calls.events import CallEvent, EventKind
from shared.calls.handovers import Phase, newest_attempt
from shared.calls.record import fold

K = EventKind
BEGIN = 1_800_000_000.0
OUTCOME = {
    "transferType": "AGENT",
    "reason": "asked_for_human",
    "task": "desk",
    "transferVariables": {"topic": "bill"},
}


def event(kind, at=0.0, **data):
    return CallEvent(f"{kind.value}-{at}", kind, BEGIN + at, data)


def begun(mode, at=1.0, attempt="h1"):
    return event(K.TRANSFER, at, target="desk", mode=mode, attempt=attempt, outcome=OUTCOME)


def phases(*names, at=2.0, attempt="h1"):
    return [event(K.HANDOVER, at + n / 10, attempt=attempt, phase=name) for n, name in enumerate(names)]


CONNECTED = event(K.CONNECTED, 0.5)
ACCEPTED, REFUSED = event(K.TRANSFER_ACCEPTED, 3, context="h1"), event(K.TRANSFER_FAILED, 3, context="h1")


@pytest.mark.parametrize(
    ("events", "settled", "leaving", "handed_over", "outcome"),
    [
        ([begun("blind")], True, True, False, None),
        ([begun("blind"), ACCEPTED], True, True, False, "AGENT"),
        ([begun("blind"), REFUSED], False, False, False, None),
        ([begun("blind"), *phases("refused")], False, False, False, None),
        ([begun("blind"), event(K.TRANSFER_FAILED, 3, context="other")], True, True, False, None),
        ([begun("warm")], False, False, False, None),
        ([begun("warm"), *phases("ringing", "answered", "confirmed")], False, False, False, None),
        ([begun("warm"), *phases("ringing", "declined")], False, False, False, None),
        ([begun("warm"), *phases("ringing", "answered", "joined")], True, False, True, "AGENT"),
        ([begun("warm"), *phases("ringing", "answered", "left")], True, True, True, "AGENT"),
        ([begun("warm"), *phases("something_of_a_later_version")], False, False, False, None),
        ([event(K.TRANSFER_ACCEPTED, 3)], True, True, False, None),
        ([event(K.TRANSFER, 1, target="desk"), event(K.TRANSFER_FAILED, 2)], False, False, False, None),
    ],
)
def test_what_each_state_means_in_any_order(events, settled, leaving, handed_over, outcome):
    for order in itertools.islice(itertools.permutations([CONNECTED, *events]), 120):
        record = fold([*order, order[0]])
        assert (record.settled, record.leaving, record.handed_over) == (settled, leaving, handed_over)
        assert (record.outcome and record.outcome["transferType"]) == outcome
        assert record.live


def test_a_second_attempt_counts_when_the_first_has_failed():
    failed = [begun("blind"), REFUSED]
    again = [*failed, begun("warm", 5, "h2"), *phases("ringing", at=6, attempt="h2")]
    assert (fold(failed).settled, fold(again).settled) == (False, False)
    done = [*again, *phases("answered", "left", at=7, attempt="h2")]
    assert fold(done).outcome == {
        "transferType": "AGENT",
        "reason": "asked_for_human",
        "currentTaskName": "desk",
        "referenceVariables": {},
        "transferVariables": {"topic": "bill"},
    }


def test_what_the_agent_says_last_counts_more_than_a_handover():
    said = event(K.OUTCOME, 9, transferType="SYSTEM", reason="goodbye")
    assert fold([begun("blind"), REFUSED, said]).outcome["transferType"] == "SYSTEM"
    assert fold([begun("blind"), ACCEPTED, said]).outcome["transferType"] == "SYSTEM"


def test_a_caller_who_hangs_up_in_mid_handover_has_got_nobody():
    for mode in ("blind", "warm"):
        record = fold([begun(mode), event(K.DISCONNECTED, 4, code=200)])
        assert record.outcome["transferType"] == "CALLER_DISCONNECT"


def test_the_newest_attempt():
    assert newest_attempt([CONNECTED]) is None
    found = newest_attempt(
        [begun("warm"), event(K.HANDOVER, 2, attempt="h1", phase="ringing", invitation="i1"), REFUSED]
    )
    assert (found.id, found.target, found.warm, found.invitation) == ("h1", "desk", True, "i1")
    assert found.phases == {Phase.RINGING} and found.failed and not found.pending
    strange = newest_attempt([event(K.TRANSFER, 1, attempt=7, target=None, outcome="x")])
    assert (strange.id, strange.target, strange.outcome) == ("", "", {})


def test_the_timeline_tells_the_phases():
    timeline = fold([begun("warm"), *phases("ringing", "joined")]).timeline
    assert [(entry["kind"], entry["reason"]) for entry in timeline] == [
        ("transfer", "desk"),
        ("handover", "ringing"),
        ("handover", "joined"),
    ]
