"""An agent of somebody's own that goes wrong in mid-call, over a real socket."""

import base64
import json

import pytest

from media_host.agents.base import Fault, SpeechStopped
from media_host.agents.websocket import MAX_MISTAKES
from media_host.framing import Limits
from tests.support.agent_host import NotingHost
from tests.support.own_agent import READY, OwnAgent


def b64(data):
    return base64.b64encode(data)


MISTAKES = [
    ("nonsense", "message"),
    ("[]", "message"),
    ("{}", "message"),
    ({"type": 1}, "message"),
    ({"type": "ready"}, "ready.codec"),
    (READY, "ready"),
    ({"type": "turn"}, "turn.turn"),
    ({"type": "turn", "turn": "a b"}, "turn.turn"),
    ({"type": "turn", "turn": "a\n"}, "turn.turn"),
    ({"type": "turn", "turn": "t", "bargeIn": "maybe"}, "turn.bargeIn"),
    ({"type": "turnEnd", "turn": "none"}, "turnEnd.turn"),
    ({"type": "speechStarted", "agoMs": -1}, "speechStarted.agoMs"),
    ({"type": "transcript", "who": "me", "text": "x"}, "transcript.who"),
    ({"type": "transcript", "who": "caller", "text": ""}, "transcript.text"),
    (
        {
            "type": "transcript",
            "who": "agent",
            "text": "x",
            "words": [{"text": "x", "atMs": "4711", "ms": 1}],
        },
        "transcript.words[0].atMs",
    ),
    ({"type": "toolCall", "callId": "c"}, "toolCall.name"),
    ({"type": "toolCall", "callId": "c", "name": "n", "arguments": []}, "toolCall.arguments"),
    ({"type": "end", "outcome": "CALLER_DISCONNECT"}, "end.outcome"),
    ({"type": "end", "outcome": "AGENT", "variables": {"secret": 4711}}, "end.variables[...]"),
    ({"type": "end", "outcome": "AGENT", "variables": {"a": "x" * 5000}}, "end.variables"),
    ({"type": "error", "code": "Not a code"}, "error.code"),
    (b"\0\0", "audio"),
]


@pytest.mark.parametrize(("message", "place"), MISTAKES, ids=[place for _, place in MISTAKES])
async def test_a_wrong_message_is_skipped_and_its_field_named(meet, message, place):
    host = NotingHost()
    async with OwnAgent(message, {"type": "speechStopped"}) as own:
        await meet(own, host)
        await host.got(SpeechStopped)
        (fault, _) = host.events
    assert fault.message.startswith(f"{place}: expected ")
    assert not fault.fatal
    assert "4711" not in fault.message


async def test_a_name_of_a_turn_is_used_once(meet):
    host = NotingHost()
    turn = [{"type": "turn", "turn": "t"}, {"type": "turnEnd", "turn": "t"}]
    async with OwnAgent(*turn, *turn) as own:
        await meet(own, host)
        await host.got(Fault)
    assert host.of(Fault)[0].message == "turn.turn: expected a name that no other turn has"


async def test_too_many_wrong_messages_are_fatal(meet):
    host = NotingHost()
    async with OwnAgent(*["nonsense"] * 30, {"type": "speechStopped"}) as own:
        agent = await meet(own, host)
        await host.until(lambda: host.events[-1].fatal)
        await agent.close()
        assert (await own.got("stop"))[0]["reason"] == "failed"
    assert [event.fatal for event in host.events] == [False] * MAX_MISTAKES + [True]


@pytest.mark.parametrize(
    ("last", "code", "why"),
    [
        ({"type": "error", "code": "model_gone", "fatal": True}, "model_gone", ""),
        ("x" * 300_000, "agent_closed", "1009"),
        (b"x" * 300_000, "agent_closed", "1009"),
        (b"", "agent_closed", "1006"),
        ({}, "agent_closed", "1000"),
    ],
)
async def test_the_end_without_an_end_is_a_fatal_fault(meet, last, code, why):
    host = NotingHost()
    async with OwnAgent() as own:
        await meet(own, host)
        if last == b"":
            own.socket.transport.abort()
        elif last == {}:
            await own.socket.close()
        else:
            await own.send(last)
        (fault,) = await host.got(Fault)
    assert (fault.code, fault.fatal) == (code, True)
    assert why in fault.message
    assert host.events == [fault]


async def test_a_flood_of_messages_is_the_end(meet):
    host = NotingHost()
    async with OwnAgent() as own:
        await meet(own, host, limits=Limits(rate=200))
        for _ in range(300):
            await own.send({"type": "speechStopped"})
        (fault,) = await host.got(Fault)
    assert (fault.fatal, "1008" in fault.message) == (True, True)


async def test_an_agent_that_does_not_read_costs_bounded_memory(meet):
    host = NotingHost()
    async with OwnAgent(reads=False) as own:
        agent = await meet(own, host, limits=Limits(max_message=262_144, write_bound=50_000))
        own.socket.transport.pause_reading()
        frame = b64(bytes(9600))
        for _ in range(3000):
            agent.send_audio(frame)
        (fault,) = await host.got(Fault)
        assert (fault.code, fault.fatal) == ("agent_slow", False)
        assert agent.dropped > 1000
        while len(host.of(Fault)) < 2:
            agent.played("x" * 60)
        assert (host.of(Fault)[1].code, host.of(Fault)[1].fatal) == ("agent_slow", True)
        own.closed.set()
        own.socket.transport.abort()


async def test_an_example_of_json_is_what_it_seems():
    """The wire is JSON text as everybody writes it: no message depends on our encoder's spelling."""
    from media_host.agents import voice_protocol

    assert json.loads(voice_protocol.dtmf("1")) == {"type": "dtmf", "digits": "1"}
    spaced = b' { "turn" : "t\\u0031" , "type" : "turn" } '
    assert voice_protocol.decode(spaced) == voice_protocol.Turn("t1")
