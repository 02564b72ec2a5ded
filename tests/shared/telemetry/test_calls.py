"""What is told of whole calls: once, by whoever completes the snapshot, and with the right name."""

import asyncio
import logging

import pytest

from shared.calls.events import CallEvent, EventKind
from shared.calls.repository import Calls, new_call_id
from shared.calls.tracing import begin_traced, follow_call
from shared.telemetry import calls as telemetry
from shared.telemetry import traces
from shared.telemetry.current import current, scope
from tests.support.telemetry import told

K = EventKind
NOW = 1_800_000_000.0
WHOSE = {"tenant": "t1", "line": "acs", "direction": "inbound"}


class Told:
    """One call whose events are written by two processes."""

    def __init__(self, store, seen) -> None:
        self.writers = [Calls(store, lambda: NOW) for _ in range(2)]
        self.call_id = new_call_id(NOW)
        self.seen = seen

    async def begin(self, **data):
        received = {"callId": self.call_id, "tenant": "t1", "eventTime": NOW - 0.5, "agent": "desk", **data}
        await begin_traced(
            self.writers[0], "t1", self.call_id, CallEvent("received", K.RECEIVED, NOW, received)
        )

    async def event(self, kind, at=1.0, ident="", **data):
        """Written by both at the same time, as when a callback is delivered twice."""
        event = CallEvent(ident or kind.value, kind, NOW + at, data)
        await asyncio.gather(*(calls.append("t1", self.call_id, event) for calls in self.writers))

    def values(self, name):
        return [(about, value) for about, value in self.seen.values(f"patchcord.{name}")]


@pytest.fixture
def call(store):
    with told() as seen, scope():
        yield Told(store, seen)


async def test_a_call_that_goes_well(call):
    await call.begin()
    await call.event(K.ANSWERED, 1.0, callConnectionId="cc")
    await call.event(K.MEDIA_CONNECTED, 1.1, hostId="h")
    await call.event(K.FIRST_AUDIO, 1.3, ms=200.0)
    await call.event(K.CALLER_SAID, 2, text="my number is 4711")
    await call.event(K.HANG_UP, 9.0, by="agent", reason="agent_done")
    await call.event(K.DISCONNECTED, 11.0, code=200)
    await call.event(K.PARTICIPANTS, 12.0, sequenceNumber=3)  # comes late: nothing is told again
    assert call.values("calls.answered") == [(WHOSE, 1)]
    assert call.values("call.time_to_answer") == [(WHOSE, 1.5)]
    assert call.values("call.time_to_first_audio") == [(WHOSE, pytest.approx(0.3))]
    assert call.values("call.duration") == [(WHOSE, 10.0)]
    assert call.values("calls.failed") == call.values("calls.refused") == []
    root = call.seen.span("call")
    assert root.parent is None and root.context.trace_id == int(current().trace.trace_id, 16)
    assert (root.start_time, root.end_time) == (int((NOW - 0.5) * 1e9), int((NOW + 11) * 1e9))
    assert (
        root.attributes["patchcord.end.reason"] == "agent_done"
        and root.attributes["patchcord.agent"] == "desk"
    )
    assert [event.name for event in root.events] == [
        "received", "answered", "media_connected", "first_audio", "hang_up", "disconnected"
    ]  # fmt: skip
    assert "4711" not in root.to_json() and root.status.is_unset


async def test_a_call_of_ours_has_no_time_to_answer(call):
    await call.begin(direction="outbound")
    await call.event(K.CONNECTED, callConnectionId="cc")
    assert call.values("calls.answered") == [({**WHOSE, "direction": "outbound"}, 1)]
    assert call.values("call.time_to_answer") == []


@pytest.mark.parametrize(("kind", "how"), [(K.REJECTED, "busy"), (K.REDIRECTED, "redirected")])
async def test_a_call_that_is_refused(call, kind, how):
    await call.begin()
    await call.event(kind, reason="media_hosts_full", to="+18005550001")
    assert call.values("calls.refused") == [({**WHOSE, "reason": "media_hosts_full", "how": how}, 1)]
    assert call.values("calls.failed") == call.values("call.duration") == []
    assert call.seen.span("call").status.is_unset


async def test_a_call_that_fails_by_a_fault_of_the_agent(call):
    await call.begin()
    await call.event(K.ANSWERED)
    await call.event(
        K.OUTCOME, transferType="AGENT", reason="agent_crashed", referenceVariables={"error": "agent_crashed"}
    )
    await call.event(K.HANG_UP, 2, by="system", reason="agent_crashed")
    await call.event(K.DISCONNECTED, 3)
    assert call.values("calls.failed") == [({**WHOSE, "reason": "agent_crashed"}, 1)]
    assert call.seen.span("call").status.description == "agent_crashed"
    assert call.seen.span("call").attributes["patchcord.outcome"] == "AGENT"


async def test_media_that_is_lost_is_counted_once(call):
    await call.begin()
    await call.event(K.ANSWERED)
    await call.event(K.MEDIA_CONNECTED, 1.5, hostId="h")
    await call.event(K.MEDIA_LOST, 2, hostId="h")
    await call.event(K.HANG_UP, 3, by="system", reason="media_lost")
    await call.event(K.DISCONNECTED, 4)
    assert call.values("media.lost") == [(WHOSE, 1)]
    assert call.values("calls.failed") == [({**WHOSE, "reason": "media_lost"}, 1)]


@pytest.mark.parametrize(
    ("reason", "failed"), [("503-04", True), ("caller_gone", False), ("too_old", False), ("abandoned", False)]
)
async def test_a_call_that_cannot_be_answered(call, reason, failed):
    """Who hangs up before we could answer has not been failed."""
    await call.begin()
    await call.event(K.ANSWER_FAILED, reason=reason)
    assert len(call.values("calls.failed")) == failed


@pytest.mark.parametrize(
    ("reason", "metric"), [("refused", "calls.failed"), ("no_answer", "calls.not_reached")]
)
async def test_calls_of_ours_that_nobody_picks_up(call, reason, metric):
    await call.begin(direction="outbound")
    await call.event(K.CREATE_FAILED, reason=reason)
    found = {name: call.values(name) for name in ("calls.failed", "calls.not_reached")}
    assert [name for name, values in found.items() if values] == [metric]


async def test_a_call_that_was_never_received_is_told_without_a_trace(call):
    """A callback whose call's first event is not there (it should be)."""
    await call.event(K.DISCONNECTED)
    assert call.seen.spans == []


async def test_a_fault_in_telling_costs_no_call(call, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("the exporter is broken")

    monkeypatch.setattr(telemetry, "_tell", broken)
    with caplog.at_level(logging.ERROR):
        await call.begin()
    assert (await call.writers[0].get("t1", call.call_id)).agent == "desk"
    assert "not told" in caplog.text


async def test_without_telemetry_a_record_has_no_trace(store):
    with scope():
        calls, call_id = Calls(store, lambda: NOW), new_call_id(NOW)
        received = CallEvent("received", K.RECEIVED, NOW, {"callId": call_id, "tenant": "t1"})
        assert await begin_traced(calls, "t1", call_id, received) == received
        record = await calls.get("t1", call_id)
        assert record.trace == "" and current().trace is None and current().call_id == call_id


async def test_a_redelivered_event_goes_on_with_the_trace_of_the_first(call):
    await call.begin()
    first = current().trace
    await call.begin()
    assert current().trace == first and traces.fresh() != first
    with scope():
        follow_call(await call.writers[0].get("t1", call.call_id))
        assert current().trace == first


async def test_a_redelivered_event_whose_snapshot_is_missing(call, store):
    await call.begin()
    await store.delete("calls", "t1", call.call_id)

    class Lost(Calls):
        async def refresh(self, tenant, call_id):
            """The process dies before."""

    received = CallEvent("received", K.RECEIVED, NOW, {"callId": call.call_id, "tenant": "t1"})
    await begin_traced(Lost(store, lambda: NOW), "t1", call.call_id, received)
    assert current().trace is None


async def test_a_trace_that_a_token_brought_goes_on(call):
    given = traces.fresh()
    received = CallEvent("received", K.RECEIVED, NOW, {"callId": call.call_id, "tenant": "t1"})
    event = await begin_traced(call.writers[0], "t1", call.call_id, received, given)
    assert event.data["trace"] == str(given) and current().trace == given


async def test_a_long_timeline_is_cut(call):
    await call.begin()
    for number in range(telemetry.HAPPENINGS + 5):
        await call.writers[0].append("t1", call.call_id, CallEvent(f"b{number}", K.BARGE_IN, NOW + 1, {}))
    await call.event(K.DISCONNECTED, 9)
    assert len(call.seen.span("call").events) == telemetry.HAPPENINGS
