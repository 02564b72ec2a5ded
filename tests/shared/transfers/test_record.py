import msgspec
import pytest

from shared.transfers.record import (
    CallTransfer,
    OutputContext,
    Refusal,
    Status,
    TransferKind,
    activated,
    begun,
    claimed,
    completed,
    expired,
    may_begin_anew,
    strings,
)

NEW = CallTransfer(
    id="t", tenant="acme", conversation_id="c", kind=TransferKind.PHONE_NUMBER, fingerprint="f", country="US"
)
ACTIVE = activated(NEW, "+18005550100", 100.0, 60.0)
DONE = OutputContext("SYSTEM")


def claim(transfer, *, key="k", event_at=130.0, now=131.0):
    return claimed(transfer, call_key=key, call_id="c1", event_at=event_at, now=now)


def test_the_way_of_a_transfer():
    assert (ACTIVE.number, ACTIVE.created_at, ACTIVE.expires_at) == ("+18005550100", 100.0, 160.0)
    assert ACTIVE.status(159.9) is Status.ACTIVE
    ongoing = claim(ACTIVE)
    assert (ongoing.status(10_000), ongoing.call_received_at, ongoing.call_id) == (
        Status.ONGOING,
        131.0,
        "c1",
    )
    over = completed(ongoing, DONE, 140.0)
    assert (over.status(10_000), over.completed_at, over.output) == (Status.COMPLETED, 140.0, DONE)


def test_time_alone_expires_it_and_seeing_that_makes_it_final():
    assert ACTIVE.status(160.0) is Status.EXPIRED
    assert claim(ACTIVE, event_at=161.9, now=162).status(162) is Status.ONGOING  # within the clocks' grace
    assert claim(ACTIVE, event_at=162.1) is Refusal.EXPIRED
    seen = expired(ACTIVE, 160.0)
    assert claim(seen, event_at=159.0) is Refusal.EXPIRED
    assert seen.status(0) is Status.EXPIRED
    assert expired(seen, 170.0) is seen
    assert expired(ACTIVE, 159.0) is ACTIVE
    assert expired(claim(ACTIVE), 10_000) == claim(ACTIVE)


def test_who_may_have_it():
    ongoing = claim(ACTIVE)
    assert claim(ongoing) is ongoing  # delivered again
    assert claim(ongoing, key="other") is Refusal.TAKEN
    assert claim(completed(ongoing, DONE, 140.0)) is Refusal.TAKEN
    assert claim(ACTIVE, event_at=97.9) is Refusal.TOO_EARLY
    assert claim(ACTIVE, event_at=98.1, now=99.0).call_received_at == 100.0  # times never run backwards
    assert claim(NEW) is Refusal.UNKNOWN


def test_the_first_outcome_stays():
    over = completed(claim(ACTIVE), DONE, 120.0)
    assert over.completed_at == 131.0
    assert completed(over, OutputContext("AGENT"), 150.0) is over
    assert completed(ACTIVE, DONE, 150.0) is ACTIVE


def test_on_the_twilio_line_it_begins_with_its_call():
    new = msgspec.structs.replace(NEW, kind=TransferKind.TWILIO)
    ongoing = begun(new, "CA1", "c1", 100.0)
    assert ongoing.status(10_000) is Status.ONGOING
    assert (ongoing.created_at, ongoing.call_received_at, ongoing.call_id) == (100.0, 100.0, "c1")
    assert claim(ongoing) is Refusal.TAKEN
    assert not may_begin_anew(ongoing, "CA1")
    over = completed(ongoing, DONE, 120.0)
    assert may_begin_anew(over, "CA1")
    assert not may_begin_anew(over, "CA2")
    assert not may_begin_anew(completed(claim(ACTIVE, key="CA1"), DONE, 140.0), "CA1")


@pytest.mark.parametrize(
    ("value", "text"),
    [("00123", "00123"), (7, "7"), (True, "true"), ({"a": ["é"]}, '{"a":["é"]}'), (None, "null")],
)
def test_variables_are_strings(value, text):
    assert strings({"name": value}) == {"name": text}


def test_it_is_stored_as_it_is():
    over = completed(claim(ACTIVE), OutputContext("AGENT", "task", {"a": "1"}, {"b": "ü"}), 140.0)
    assert msgspec.json.decode(msgspec.json.encode(over), type=CallTransfer) == over
