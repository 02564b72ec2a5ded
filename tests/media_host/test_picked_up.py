"""Who picks up an outbound call: a person's short word, a machine's speech, or nothing; and what becomes of the call then."""

import base64

import numpy
import pytest

from media_host import listening
from shared.calls.events import CallEvent, EventKind
from tests.support.agents import PuppetAgent
from tests.support.session_world import STARTED, open_session, virtual

_T = numpy.arange(480) / 24000
SPEECH = base64.b64encode((numpy.sin(2 * numpy.pi * 300 * _T) * 6000).astype("<i2").tobytes())
QUIET = base64.b64encode(bytes(960))
OUTBOUND = CallEvent(
    "received",
    EventKind.RECEIVED,
    STARTED,
    {
        "callId": "call-1",
        "tenant": "default",
        "direction": "outbound",
        "from": "+18005550000",
        "to": "+14255550111",
        "agent": "puppet",
        "task": "remind",
        "inputVariables": {},
    },
)


class Loud:
    """Takes everything over the gate for speech."""

    def is_speech(self, frame):
        return True


@pytest.fixture(autouse=True)
def detector(monkeypatch):
    monkeypatch.setattr(listening, "pocketsphinx_detector", Loud)


def outbound(text="", **more):
    return open_session(text, record=[OUTBOUND], **more)


async def hears(world, *parts):
    """`(milliseconds, frame)` after each other, in real time."""
    for ms, frame in parts:
        for _ in range(ms // 20):
            if world.session.gone.is_set():
                return
            world.caller(frame)
            await world.run(0.02)


def answered_by(world):
    return [data["answeredBy"] for data in world.events(EventKind.ANSWERED_BY)]


@virtual
async def test_a_person_says_something_short_and_waits():
    async with outbound() as world:
        await hears(world, (400, QUIET), (700, SPEECH), (900, QUIET))
        assert answered_by(world) == []
        await hears(world, (200, QUIET))
        assert answered_by(world) == ["person"]
        await hears(world, (6000, SPEECH))  # they tell their story later
        record = await world.hang_up()
        assert (answered_by(world), record.answered_by) == (["person"], "person")
        assert not any("answering machine" in text for text in world.agent.texts)
        assert world.session._audio._others == []


@virtual
async def test_a_machine_talks_on_and_the_agent_is_told():
    async with outbound() as world:
        # Two sentences with a breath between them.
        await hears(world, (400, QUIET), (2000, SPEECH), (500, QUIET), (2600, SPEECH))
        assert answered_by(world) == ["machine"]
        await world.run(0.1)
        [text] = world.agent.texts
        assert "answering machine" in text
        assert not world.session._end.done()


@virtual
async def test_nobody_says_anything():
    async with outbound() as world:
        await hears(world, (4900, QUIET))
        assert answered_by(world) == []
        await hears(world, (200, QUIET))
        assert answered_by(world) == ["unknown"]


@virtual
async def test_whoever_hangs_up_at_once_is_unknown():
    async with outbound() as world:
        await hears(world, (300, QUIET))
        assert (await world.hang_up()).answered_by == "unknown"


@virtual
async def test_a_machine_is_hung_up_on_and_what_is_being_said_is_cut():
    async with outbound("outbound: {on_machine: hang_up}") as world:
        world.agent.speak(20_000)
        await hears(world, (5000, SPEECH))
        await world.run(1)
        assert world.control.of("hang_up") == [("cc-1",)]
        assert world.wire.stops
        record = await world.hang_up()
        assert (record.outcome["reason"], record.outcome["transferType"]) == ("answering_machine", "SYSTEM")
        assert world.agent.texts == []


@virtual
async def test_an_agent_that_waits_begins_after_the_first_words():
    async with outbound("outbound: {begin: after_answer}") as world:
        await hears(world, (400, QUIET), (700, SPEECH), (500, QUIET))
        assert not world.agent.started.is_set()
        await hears(world, (600, QUIET))
        assert world.agent.started.is_set()
        assert answered_by(world) == ["person"]


@virtual
async def test_an_agent_that_waits_is_told_of_a_machine_once_it_is_there():
    async with outbound("outbound: {begin: after_answer}") as world:
        await hears(world, (5000, SPEECH))
        await world.run(0.1)
        assert world.agent.started.is_set() and len(world.agent.texts) == 1


@virtual
async def test_an_agent_that_waits_does_not_wait_for_ever():
    async with outbound("outbound: {begin: after_answer}") as world:
        await world.run(11.9)  # a line without a frame
        assert not world.agent.started.is_set()
        await world.run(0.2)
        assert world.agent.started.is_set()


@virtual
async def test_an_agent_that_waits_is_not_started_for_a_line_that_is_closed():
    async with outbound("outbound: {begin: after_answer}") as world:
        await world.run(1)
        await world.hang_up()
        assert not world.agent.started.is_set()


@virtual
async def test_an_agent_that_cannot_be_told():
    class Deaf(PuppetAgent):
        async def send_text(self, text):
            raise ZeroDivisionError

    async with outbound(agent=Deaf()) as world:
        await hears(world, (5000, SPEECH))
        await world.run(0.1)
        assert answered_by(world) == ["machine"]
        assert not world.session._end.done()


@virtual
async def test_without_a_detector_nobody_can_tell():
    def no_detector():
        raise ImportError("pocketsphinx")

    before, listening.pocketsphinx_detector = listening.pocketsphinx_detector, no_detector
    try:
        async with outbound("outbound: {begin: after_answer}") as world:
            assert answered_by(world) == ["unknown"]
            await world.run(0.1)
            assert world.agent.started.is_set()
    finally:
        listening.pocketsphinx_detector = before


@pytest.mark.parametrize("resumed", [False, True])
@virtual
async def test_only_a_fresh_outbound_call_is_listened_to(resumed):
    record = [OUTBOUND] if resumed else []
    async with open_session(record=record, resumed=resumed) as world:
        await hears(world, (700, SPEECH), (1200, QUIET))
        assert answered_by(world) == []


@virtual
async def test_in_an_outbound_call_the_person_is_the_called_one():
    async with outbound() as world:
        await world.session._actions.send_dtmf("1#")
        assert world.control.of("send_dtmf") == [("cc-1", "1#", "+14255550111")]
        assert world.session._record.our_number == "+18005550000"
