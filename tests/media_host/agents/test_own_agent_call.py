"""Whole calls through the media host with agents of somebody's own, and what the caller and the record notice when one fails."""

import asyncio

import pytest

from media_host.agents.fallback import FallbackAgent, Link
from media_host.agents.websocket import WebSocketAgent
from shared.calls.events import EventKind
from shared.config.agents import WebSocketAgentConfig
from tests.support.agents import PuppetAgent
from tests.support.media_world import MediaWorld, open_media_world
from tests.support.own_agent import OwnAgent
from tests.support.timing import patience


@pytest.fixture
async def world(tmp_path, monkeypatch):
    monkeypatch.setattr(MediaWorld, "make_agent", lambda world, config: world.maker())
    async with open_media_world(tmp_path, monkeypatch, max_call_s=3600) as world:
        yield world


def at(own):
    return WebSocketAgent(WebSocketAgentConfig(url=own.url, greeting="Hello"), None, start_s=patience(5))


async def test_a_call_with_an_agent_of_somebodys_own(world):
    turn, sound = {"type": "turn", "turn": "t1"}, bytes(range(250)) * 96
    said = {"type": "transcript", "who": "agent", "text": "Hello", "turn": "t1"}
    async with OwnAgent(turn, said, sound, {"type": "turnEnd", "turn": "t1"}) as own:
        world.maker = lambda: at(own)
        call_id = await world.call()
        line = await world.dial(call_id)
        await own.got("played")
        assert line.heard == sound
        await line.speak(3)
        await own.until(lambda: own.audio.endswith(bytes([7]) * 2880))
        await line.key("4")
        assert (await own.got("dtmf"))[0]["digits"] == "4"
        await own.send({"type": "end", "outcome": "SYSTEM", "reason": "goodbye"})
        await world.ended(call_id)
        assert (await own.got("stop"))[0]["reason"] == "completed"
    start = own.received[0]
    assert (start["callId"], start["task"], start["variables"]["accountNumber"]) == (call_id, "desk", "00123")
    record = await world.record(call_id)
    assert record.outcome["reason"] == "goodbye"
    await line.gone()


async def test_when_it_dies_in_mid_sentence_the_next_one_takes_over_and_the_record_says_so(world):
    sound = b"\1\2" * 4800
    async with OwnAgent({"type": "turn", "turn": "t1"}, sound) as own:
        second = PuppetAgent()
        world.maker = lambda: FallbackAgent(
            [Link("mine", lambda: at(own)), Link("second", lambda: second)], attempt_s=patience(5)
        )
        call_id = await world.call()
        line = await world.dial(call_id)
        await world.eventually(lambda: len(line.heard) >= len(sound))
        own.socket.transport.abort()
        async with asyncio.timeout(patience(5)):
            await second.started.wait()
        assert second.start_args.resumed
        await line.speak(2, fill=9)
        await world.eventually(lambda: len(second.heard) >= 2)
        spoken = second.speak(100, fill=5)
        await world.eventually(lambda: line.heard.endswith(spoken))
        second.finish()
        await world.ended(call_id)
    faults = [event.data for event in await world.events(call_id, EventKind.FAULT)]
    assert [fault["code"] for fault in faults][:2] == ["agent_closed", "agent_fallback"]
    assert faults[1]["message"] == "mine failed, second takes over"
    record = await world.record(call_id)
    assert record.outcome["reason"] == "goodbye"
