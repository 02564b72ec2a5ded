"""What a call's events become for people who look after the host; and that nothing said is in it."""

import base64
import json
import sys

import pytest

from media_host.call_telemetry import call_telemetry
from media_host.event_log import EventLog
from shared.calls.events import CallEvent, EventKind
from shared.calls.record import CallRecord
from shared.telemetry import traces
from shared.telemetry.current import current, follow, parse_trace, scope
from tests.support.media_world import open_media_world
from tests.support.telemetry import told

K = EventKind
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
RECORD = CallRecord(call_id="c1", tenant="acme", agent="desk", trace=TRACE)


class Watched:
    """A call's events, told one by one."""

    def __init__(self, seen, record=RECORD) -> None:
        self.seen, self.now = seen, 100.0
        self.watch = call_telemetry(record, lambda: self.now, ["lookup_order"])

    def event(self, kind, at, **data):
        self.now = max(self.now, at)
        self.watch(CallEvent("e", kind, at, data))

    def below(self, name):
        """Which span a span hangs below."""
        ids = {span.context.span_id: span.name for span in self.seen.spans}
        return ids.get(self.seen.span(name).parent.span_id)


@pytest.fixture
def call():
    with told() as seen, scope():
        watched = Watched(seen)
        watched.event(K.MEDIA_CONNECTED, 100.0, hostId="h1", resumed=False)
        yield watched


def values(call, name):
    return call.seen.values(f"patchcord.{name}")


def test_nobody_wants_to_know():
    assert call_telemetry(RECORD, lambda: 0.0, []) is None


def test_a_conversation(call):
    call.event(K.AGENT_READY, 100.5, agent="desk", ms=500.0)
    call.event(K.FIRST_AUDIO, 100.7, ms=700.0)
    call.now = 103.0
    call.event(K.CALLER_SAID, 102.0, text="my card is 4111 1111 1111 1111")
    call.event(K.AGENT_SAID, 103.0, text="thank you", heardMs=800, interrupted=True)
    call.event(K.BARGE_IN, 103.8, heardMs=800, silenceMs=120.0)
    call.event(K.TOOL, 104.0, name="lookup_order", ms=250.0, ok=True)
    call.event(K.HANG_UP, 105.0, by="agent", reason="agent_done")
    call.event(K.MEDIA_CLOSED, 105.2, reason="line_closed")
    media = call.seen.span("media")
    assert media.parent.span_id == int(TRACE.split("-")[2], 16)
    assert (
        media.attributes["patchcord.end.reason"] == "line_closed"
        and media.attributes["patchcord.host"] == "h1"
    )
    names = ("agent start", "first audio", "caller speaks", "agent speaks", "tool lookup_order", "hang-up")
    assert {call.below(name) for name in names} == {"media"}
    took = {name: (span := call.seen.span(name)).end_time - span.start_time for name in names}
    assert {name: ns / 1e6 for name, ns in took.items()} == pytest.approx(
        {"agent start": 500, "first audio": 700, "caller speaks": 1000, "agent speaks": 800,
         "tool lookup_order": 250, "hang-up": 200}
    )  # fmt: skip
    assert [event.name for event in media.events] == ["barge_in", "hang_up"]
    sent = "".join(span.to_json() for span in call.seen.spans)
    assert "4111" not in sent and "thank you" not in sent and "card" not in sent
    assert values(call, "agent.start") == [({"agent": "desk"}, 0.5)]
    assert values(call, "barge_in.silence") == [({}, 0.12)]
    assert values(call, "tool.duration") == [({"tool": "lookup_order", "result": "ok"}, 0.25)]


def test_a_tool_that_fails_or_that_the_agent_made_up(call):
    call.event(K.TOOL, 101.0, name="delete_all; +14255550100", ms=1.0, ok=False)
    assert values(call, "tool.duration") == [({"tool": "unknown", "result": "error"}, 0.001)]
    assert not call.seen.span("tool unknown").status.is_ok


@pytest.mark.parametrize(
    ("phases", "result", "good"),
    [(["ringing", "answered", "joined"], "joined", True), (["ringing", "no_answer"], "no_answer", False)],
)
def test_a_handover(call, phases, result, good):
    call.event(K.TRANSFER, 101.0, target="human", mode="warm")
    for at, phase in enumerate(phases):
        call.event(K.HANDOVER, 102.0 + at, phase=phase)
    call.event(K.HANDOVER, 109.0, phase="left")  # of nobody any more
    span = call.seen.span("handover")
    assert [event.name for event in span.events] == phases
    assert span.status.is_unset is good and span.attributes["patchcord.result"] == result
    assert values(call, "handovers") == [({"mode": "warm", "result": result}, 1)]


def test_a_transfer_that_nobody_reports_ends_with_the_audio(call):
    call.event(K.TRANSFER, 101.0, target="human", mode="blind")
    call.event(K.MEDIA_CLOSED, 103.0, reason="line_closed")
    assert values(call, "handovers") == [({"mode": "blind", "result": "left"}, 1)]


def test_faults(call):
    call.event(K.FAULT, 101.0, code="agent_fallback", message="a failed, b takes over")
    call.event(K.FAULT, 102.0, code="agent_crashed", message="secret words")
    call.event(
        K.OUTCOME, 103.0, transferType="SYSTEM", reason="x", referenceVariables={"error": "agent_crashed"}
    )
    call.event(K.OUTCOME, 103.0, transferType="AGENT", reason="x", referenceVariables={"error": "drain"})
    call.event(K.MEDIA_CLOSED, 104.0, reason="internal")
    call.event(K.DISCONNECTED, 104.0)  # of a Twilio call, told by the host itself
    assert len(values(call, "call.faults")) == 2
    assert values(call, "agent.fallbacks") == [({"code": "agent_fallback"}, 1)]
    assert values(call, "agent.failures") == [({"agent": "desk", "code": "agent_crashed"}, 1)]
    assert "secret words" not in call.seen.span("media").to_json()


def test_without_a_trace_of_before_it_begins_one(call):
    with scope():
        alone = Watched(call.seen, CallRecord(call_id="c2", agent="desk"))
        alone.event(K.MEDIA_CONNECTED, 100.0, hostId="h1")
        assert current().call_id == "c2" and current().trace.trace_id not in TRACE


def test_events_of_other_contexts_are_in_the_trace_too(call):
    """A line's callbacks run outside of the call's task."""
    with scope():
        follow("", None)
        call.event(K.FIRST_AUDIO, 100.7, ms=700.0)
    call.event(K.MEDIA_CLOSED, 101.0, reason="x")
    assert call.below("first audio") == "media"


def test_with_metrics_and_no_traces_nothing_breaks():
    with told() as seen, scope():
        traces.detach()
        alone = Watched(seen)
        alone.event(K.MEDIA_CONNECTED, 100.0, hostId="h1")
        alone.event(K.TRANSFER, 101.0, target="human", mode="warm")
        alone.event(K.HANDOVER, 102.0, phase="joined")
        alone.event(K.KEYS, 102.0, count=3)
        alone.event(K.MEDIA_CLOSED, 103.0, reason="x")
        assert values(alone, "handovers") == [({"mode": "warm", "result": "joined"}, 1)]


async def test_a_fault_in_telling_costs_no_event(caplog):
    stored = []

    async def append(event):
        stored.append(event.kind)

    def broken(event):
        raise RuntimeError("no")

    log = EventLog(append, lambda: 0.0, "x", broken)
    log.start()
    log.note(K.KEYS, count=1)
    await log.close(5)
    assert stored == [K.KEYS] and "not told" in caplog.text


async def test_a_whole_call_on_a_host(tmp_path, monkeypatch):
    """The token brings the trace, and what the host asks ACS hangs below the call's audio."""
    with told() as seen, scope():
        async with open_media_world(tmp_path, monkeypatch) as world:
            call_id = await world.call(trace=TRACE)
            with scope():
                follow(call_id, parse_trace(TRACE.replace("b7ad", "1234")))  # the span of the answer
                token = await world.token(call_id)
            refused = await _refused(world)
            line = await world.dial(call_id, token=token)
            await world.eventually(lambda: world.agents and world.agents[-1].started.is_set())
            assert ({}, 1) in seen.values("patchcord.calls.active")
            await line.speak(1)
            await world.eventually(lambda: world.agents[-1].heard)
            assert calls_while_audio_runs(world, call_id) == set()
            assert ({}, 20) in seen.values("patchcord.calls.capacity")
            assert len(world.agents[-1].heard) == 201
            session = world.host.server.sessions[call_id]
            session.interrupt()
            world.agents[-1].finish()
            await world.eventually(line.closed.is_set)
            await world.ended(call_id)
        media = seen.span("media")
        assert f"{media.parent.span_id:016x}".startswith("1234")
        assert {f"{span.context.trace_id:032x}" for span in seen.spans} == {TRACE.split("-")[1]}
        assert seen.span("ACS: hang_up").parent.span_id == media.context.span_id
        assert refused and seen.values("patchcord.media.refused") == [({"reason": "malformed"}, 1)]


def calls_while_audio_runs(world, call_id) -> set[str]:
    """Which functions of the telemetry run while 200 frames come and go."""
    session, found = world.host.server.sessions[call_id], set()
    frame, piece = audio_frame(), base64.b64encode(bytes(960))

    def look(frame, what, _):
        name = frame.f_code.co_filename
        if what == "call" and ("telemetry" in name or "lateness" in name):
            found.add(frame.f_code.co_qualname)

    session.audio("t1", piece)  # the first one begins a turn
    sys.setprofile(look)
    try:
        for _ in range(200):
            session.on_text(frame)
            session.audio("t1", piece)
    finally:
        sys.setprofile(None)
    return found


def audio_frame() -> bytes:
    data = {"timestamp": "2026-11-20T23:50:38.925Z", "participantRawID": "4:+14255550100",
            "data": base64.b64encode(bytes(960)).decode(), "silent": False}  # fmt: skip
    return json.dumps({"kind": "AudioData", "audioData": data}, separators=(",", ":")).encode()


async def _refused(world) -> bool:
    try:
        await world.dial(token="a.b.c")
    except Exception as error:  # whatever the client makes of a 401
        return "401" in str(error)
    return False
