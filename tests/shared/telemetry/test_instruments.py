"""Counting and measuring: nothing without a backend, and only short machine names as attributes."""

import gc

import pytest

from shared.telemetry.instruments import OTHER, Gauge, Instrument, Kind, Metric, clean

COUNTER = Metric("patchcord.test", Kind.COUNTER, "1", "A test")
TOKEN = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiJjYWxsLTEifQ.c2lnbmF0dXJl"


@pytest.fixture
def measured():
    taken = []
    return Instrument(COUNTER, lambda value, attributes: taken.append((value, attributes))), taken


def test_without_a_backend_nothing_happens():
    instrument = Instrument(COUNTER)
    instrument.add(3, reason="full")
    with instrument.timing(operation="answer") as found:
        found["more"] = "this"


def test_values_go_to_the_backend(measured):
    instrument, taken = measured
    instrument.add()
    instrument.add(2.5, {"tenant": "acme"}, reason="full")
    assert taken == [(1, {}), (2.5, {"tenant": "acme", "reason": "full"})]


@pytest.mark.parametrize(
    "value", [TOKEN, "+14255550100", "a\nb", "https://a/b?c=d", "x" * 65, "'; drop", "ünder", "4111 1111"]
)
def test_what_is_no_short_name_is_other(value):
    assert clean({"reason": value}) == {"reason": OTHER}


@pytest.mark.parametrize(
    "value", ["unknown-key", "503-02", "media_hosts_full", "ACS: answer", "agent.v2", "call_lost"]
)
def test_names_stay(value):
    assert clean({"reason": value}) == {"reason": value}


def test_an_empty_attribute_is_left_out():
    assert clean({"reason": "", "how": "busy"}) == {"how": "busy"}


def test_a_block_is_timed(measured):
    instrument, taken = measured
    with instrument.timing(operation="answer"):
        pass
    with pytest.raises(KeyError), instrument.timing(operation="hang_up"):
        raise KeyError
    (first, about), (_, failed) = taken
    assert first >= 0 and about == {"result": "ok", "operation": "answer"}
    assert failed == {"result": "KeyError", "operation": "hang_up"}


def test_a_gauge_asks_whoever_lives():
    class Thing:
        size: float | None = 3

    gauge, one, two = Gauge(Metric("patchcord.size", Kind.GAUGE, "1", "A size")), Thing(), Thing()
    gauge.watch(one, lambda thing: thing.size, kind="one")
    gauge.watch(two, lambda thing: thing.size, kind="two")
    two.size = None
    assert gauge.values() == [(3, {"kind": "one"})]
    del one
    gc.collect()
    assert gauge.values() == []
