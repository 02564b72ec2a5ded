import asyncio

import pytest

from media_host.agents.base import SpeechStarted, SpeechStopped, ToolCall
from shared.calls.events import EventKind
from tests.support.session_world import open_session, virtual

SILENCE = "silence: {after_s: 8, prompts: 2}"


@virtual
async def test_a_silent_caller_is_reminded_twice_and_then_told_goodbye():
    async with open_session(SILENCE, says_ms=1000) as world:
        world.agent.speak(2000)
        began = world.ms()
        told = []
        for _ in range(400):
            await world.run(0.1)
            if len(world.agent.texts) > len(told):
                told.append((world.ms() - began) / 1000)
        # 2 s and the way to the ear (0.15 s), then 8 s; each reminder lasts 1 s.
        assert told == [pytest.approx(at, abs=0.2) for at in (10.2, 19.3, 28.5)]
        assert "8 seconds" in world.agent.texts[0] and "16 seconds" in world.agent.texts[1]
        assert "still there" in world.agent.texts[1] and "goodbye" in world.agent.texts[2]
        assert world.wire.heard.endswith(b"\x09" * 48 * 3000)  # the goodbye is heard to its end
        record = await world.hang_up()
        assert record.outcome["reason"] == "caller_silent"
        assert world.control.of("hang_up") == [("cc-1",)]


@virtual
async def test_an_agent_that_says_no_goodbye_leaves_it_to_the_host():
    async with open_session("silence: {after_s: 5, prompts: 0}") as world:
        await world.run(20)
        assert world.wire.heard == world.said("silent")
        assert world.agent.texts and world.session._end.result().reason == "caller_silent"


@virtual
async def test_an_agent_that_cannot_be_told_either():
    async with open_session("silence: {after_s: 5, prompts: 1}") as world:

        async def broken(text):
            raise ZeroDivisionError

        world.agent.send_text = broken
        await world.run(30)
        assert world.wire.heard == world.said("silent")


@pytest.mark.parametrize("sign", ["speech", "key"])
def test_a_sign_of_life_begins_all_anew(sign):
    @virtual
    async def run():
        async with open_session(SILENCE, says_ms=500) as world:
            await world.run(18.5)
            assert len(world.agent.texts) == 2
            if sign == "key":
                world.key("5")
            else:
                world.agent.host.event(SpeechStarted())
                await world.run(1)
                world.agent.host.event(SpeechStopped())
            await world.run(7.5)
            assert len(world.agent.texts) == 2
            await world.run(1)
            assert "8 seconds" in world.agent.texts[2] and "still there" in world.agent.texts[2]

    run()


@virtual
async def test_a_caller_who_comes_back_during_the_goodbye_is_not_cut_off():
    async with open_session("silence: {after_s: 5, prompts: 0}", says_ms=3000) as world:
        await world.run(6)
        assert "goodbye" in world.agent.texts[0]
        world.agent.host.event(SpeechStarted())
        await world.run(1)
        world.agent.host.event(SpeechStopped())
        await world.run(3)
        assert not world.session._end.done() and len(world.wire.stops) == 1


@pytest.mark.parametrize("what", ["speech", "audio", "tool", "digits"])
def test_it_is_no_silence_while_something_happens(what):
    text = """
silence: {after_s: 5, prompts: 2}
secure_digits: {card: {timeout_s: 20}}
"""

    @virtual
    async def run():
        async with open_session(text) as world:
            match what:
                case "speech":
                    for _ in range(5):
                        world.agent.host.event(SpeechStarted())
                        await world.run(4)
                case "audio":
                    world.agent.speak(20_000)
                case _:
                    world.agent.host.event(ToolCall("1", "collect_digits", {"name": "card"}))
            await world.run(20 - (20 if what == "speech" else 0))
            assert world.agent.texts == []

    run()


@virtual
async def test_an_agent_that_never_says_that_the_caller_stopped_is_reminded_in_the_end():
    async with open_session(SILENCE) as world:
        world.agent.host.event(SpeechStarted())
        await world.run(60)
        assert world.agent.texts


@pytest.mark.parametrize(
    ("text", "puppet"), [("silence: {after_s: 0}", {}), (SILENCE, {"minds_silence": True})]
)
def test_nobody_is_reminded(text, puppet):
    @virtual
    async def run():
        async with open_session(text, **puppet) as world:
            await world.run(100)
            assert world.agent.texts == [] and not world.session._end.done()
            assert world.events(EventKind.OUTCOME) == []

    run()


@virtual
async def test_the_end_of_the_call_stops_a_reminder_that_hangs():
    async with open_session("silence: {after_s: 5, prompts: 1}") as world:
        cancelled = asyncio.Event()

        async def hangs(text):
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()

        world.agent.send_text = hangs
        await world.run(6)
        await world.hang_up()
        assert cancelled.is_set()
