import pytest

from media_host.agents.base import Delayed, SpeechStarted, SpeechStopped
from tests.support.session_world import open_session, virtual


@virtual
async def test_a_caller_who_waits_hears_so_and_then_a_beep_every_two_seconds():
    async with open_session() as world:
        began = world.ms()
        world.agent.host.event(Delayed("model_late"))
        world.agent.host.event(Delayed("model_late"))
        await world.run(6.5)
        assert world.times("one_moment") == [pytest.approx(began, abs=30)]
        assert world.times("waiting") == [pytest.approx(began + at, abs=60) for at in (2000, 4000, 6000)]
        assert world.faults == ["model_late"]
        pcm = world.agent.speak(1000)
        await world.run(5)
        assert world.wire.heard.endswith(pcm)
        record = await world.hang_up()
        assert [fault["code"] for fault in record.faults] == ["model_late"]
        assert record.barge_ins == 0


@virtual
async def test_there_are_never_two_voices_at_once():
    async with open_session() as world:
        world.agent.host.event(Delayed("model_late"))
        await world.run(0.2)
        pcm = world.agent.speak(500)
        await world.run(3)
        notice = world.said("one_moment")
        before = world.wire.heard[: -len(pcm)]
        assert len(world.wire.stops) == 1 and world.wire.heard.endswith(pcm)
        assert notice.startswith(before) and 0 < len(before) <= len(notice)
        assert world.agent.flushes == [] and world.agent.turns == ["t1"]  # notices are not the agent's


@virtual
async def test_whoever_is_speaking_is_not_interrupted():
    async with open_session() as world:
        world.agent.speak(1000, end=False)  # it broke off: its turn never ends
        await world.run(0.5)
        world.agent.host.event(Delayed("connection_lost"))
        await world.run(0.5)
        assert world.times("one_moment") == []
        world.agent.host.event(SpeechStarted())
        await world.run(1)
        assert world.times("one_moment") == []
        world.agent.host.event(SpeechStopped())
        await world.run(0.5)
        assert len(world.times("one_moment")) == 1


@virtual
async def test_the_second_wait_is_another_one():
    async with open_session() as world:
        for turn in ("t1", "t2"):
            world.agent.host.event(Delayed("model_late"))
            await world.run(1)
            world.agent.speak(200, turn)
            await world.run(1)
        assert len(world.times("one_moment")) == 2 and world.faults == ["model_late"] * 2


@virtual
async def test_the_end_of_the_call_ends_the_wait():
    async with open_session() as world:
        world.agent.host.event(Delayed("model_late"))
        await world.run(1)
        world.agent.finish()
        await world.run(10)
        assert world.times("waiting") == []


@virtual
async def test_a_caller_may_talk_over_a_notice():
    async with open_session() as world:
        world.agent.host.event(Delayed("model_late"))
        await world.run(0.1)
        world.agent.host.event(SpeechStarted())
        assert len(world.wire.stops) == 1 and world.agent.flushes == []
