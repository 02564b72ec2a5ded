"""The agent's beginning, and audio and words both ways."""

import asyncio
import base64
import os

import pytest

from media_host.agents.base import (
    AgentStart,
    Codec,
    Fault,
    Said,
    SpeechStarted,
    SpeechStopped,
    SpokenWord,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.realtime.agent import EARLY_FRAMES
from tests.media_host.agents.realtime.support import SERVICES, START, Host, agent, settled
from tests.support.realtime_server import RealtimeServer, echo


async def test_it_connects_configures_and_lets_the_model_greet_once(call):
    one, _, session = call
    assert session.path.endswith("model=model-1")
    assert not {"Authorization", "OpenAI-Beta", "Sec-WebSocket-Extensions"} & set(session.headers)
    await session.send(echo(session.seen[0]))  # confirmed twice: no second greeting
    assert (await session.next("response.create"))["type"] == "response.create"
    await session.says("resp_1", "Good day.")
    await session.send({"type": "some.event.of.tomorrow", "delta": "ignored"})
    await settled(one, session)
    assert session.types == ["session.update", "response.create"]


@pytest.mark.parametrize("service", SERVICES)
async def test_the_greeting_is_said_as_it_stands(server, service):
    one = agent(server.endpoint, service=service, greeting="Good day, {{name}}.")
    await one.start(AgentStart("call-1", Codec.PCM16_24K, variables={"name": "Ann"}), Host())
    session = await server.session()
    assert "Good day, Ann." in str((await session.next("response.create"))["response"])
    await one.close()


async def test_a_resumed_call_is_not_greeted_again_and_knows_what_was_said(server):
    one, host = agent(server.endpoint, greeting="Good day."), Host()
    host.past = [Said("agent", "Good day."), Said("caller", "I want")]
    await one.start(AgentStart("call-1", Codec.PCM16_24K, resumed=True), host)
    session = await server.session()
    await session.next("response.create")
    await settled(one, session)
    assert [role for role, _ in session.texts] == ["assistant", "user", "system"]
    assert "interrupted" in session.texts[-1][1], "the caller is told, and not left in silence"
    assert session.types.count("response.create") == 1 and "Good day" not in str(
        session.of("response.create")
    )
    await one.close()


async def test_a_new_call_of_a_conversation_is_greeted_and_knows_what_was_said_before(server):
    one, host = agent(server.endpoint, greeting="Good day."), Host()
    host.past = [Said("agent", "Hello.", earlier=True), Said("caller", "My order?", earlier=True)]
    await one.start(AgentStart("call-1", Codec.PCM16_24K), host)
    session = await server.session()
    assert "Good day" in str((await session.next("response.create"))["response"])
    await settled(one, session)
    before, *said, after = session.texts
    assert "earlier calls" in before[1] and "new call" in after[1]
    assert said == [("assistant", "Hello."), ("user", "My order?")]
    await one.close()


async def test_instructions_tools_and_variables_reach_the_model(server):
    one = agent(server.endpoint, instructions="Be brief, {{name}}.", voice="marin")
    start = AgentStart(
        "call-1", Codec.PCM16_24K, task="order", variables={"name": 'A "B"'}, tools=START.tools
    )
    await one.start(start, Host())
    session = await server.session()
    item = (await session.next("conversation.item.create"))["item"]
    assert item["role"] == "system" and r'"name": "A \"B\""' in item["content"][0]["text"]
    sent = session.seen[0]["session"]
    assert sent["instructions"].startswith('Be brief, A \\"B\\".')
    assert [tool["name"] for tool in sent["tools"]] == ["look_up", "slow"]
    assert sent["audio"]["output"]["voice"] == "marin"
    await one.close()


async def test_the_callers_audio_goes_through_untouched_and_in_order(call):
    one, _, session = call
    frames = [base64.b64encode(os.urandom(960)) for _ in range(200)]
    for frame in frames:
        one.send_audio(frame)
    got = [(await session.next("input_audio_buffer.append"))["audio"] for _ in frames]
    assert got == [frame.decode() for frame in frames]
    assert one.dropped == 0


async def test_what_the_caller_says_before_the_model_is_ready_is_kept_but_bounded():
    async with RealtimeServer(updated=lambda event: None) as server:
        one = agent(server.endpoint)
        starting = asyncio.ensure_future(one.start(START, Host()))
        session = await server.session()
        update = await session.next("session.update")
        frames = [base64.b64encode(bytes([number]) * 960) for number in range(EARLY_FRAMES + 20)]
        for frame in frames:
            one.send_audio(frame)
        assert [event["type"] for event in session.seen] == ["session.update"]
        await session.send(echo(update))
        await starting
        got = [(await session.next("input_audio_buffer.append"))["audio"] for _ in range(EARLY_FRAMES)]
        assert got == [frame.decode() for frame in frames[20:]]
        await one.close()


async def test_speech_goes_through_untouched_turn_by_turn(call):
    _, host, session = call
    first, second = os.urandom(960), os.urandom(4800)
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", first)
    await session.delta("resp_1", "item_1", second)
    await session.audio_done("resp_1", "item_1")
    await session.delta("resp_1", "item_2", first)
    await session.done("resp_1")
    await host.wait_for(TurnEnded, 2)
    assert host.log == [
        TurnStarted("resp_1/item_1"),
        ("resp_1/item_1", base64.b64encode(first)),
        ("resp_1/item_1", base64.b64encode(second)),
        TurnEnded("resp_1/item_1"),
        TurnStarted("resp_1/item_2"),
        ("resp_1/item_2", base64.b64encode(first)),
        TurnEnded("resp_1/item_2"),
    ]


async def test_deltas_in_any_other_shape_mean_the_same(call):
    _, host, session = call
    audio = os.urandom(300)
    await session.delta("resp_1", "item_1", audio[:100], later=1)
    await session.delta("resp_1", "item_1", audio[100:101])
    await session.delta("resp_1", "item_1", audio[101:204], later=1)
    await session.delta("resp_1", "item_1", audio[204:])
    await session.audio_done("resp_1", "item_1")
    await host.wait_for(TurnEnded)
    assert host.heard == audio
    assert all(len(base64.b64decode(entry[1])) % 2 == 0 for entry in host.of(tuple))
    assert host.of(TurnStarted) == [TurnStarted("resp_1/item_1")]


async def test_two_items_at_once_stay_apart(call):
    _, host, session = call
    for _ in range(3):
        await session.delta("resp_1", "item_1", b"\x01" * 960)
        await session.delta("resp_1", "item_2", b"\x02" * 960)
    await session.done("resp_1")
    await host.wait_for(TurnEnded, 2)
    assert host.of(TurnStarted) == [TurnStarted("resp_1/item_1"), TurnStarted("resp_1/item_2")]
    assert [turn for turn, _ in host.of(tuple)] == ["resp_1/item_1", "resp_1/item_2"] * 3


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"not base64!","x":1}',
        '{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AAA"}',
        '{"type":"response.output_audio.delta","delta":"AAAA"}',
        "[" * 100_000,
        "[]",
        "{",
        "",
    ],
)
async def test_garbage_is_reported_and_the_call_goes_on(server, text):
    one, host = agent(server.endpoint), Host()
    await one.start(START, host)
    session = await server.session()
    await session.send(text)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("bad_event", False)
    assert host.heard == b""
    for _ in range(9):
        await session.send(text)
    await session.delta("resp_9", "item_9", b"ab")
    await host.until(lambda: host.heard)
    assert host.heard == b"ab"
    assert len(host.of(Fault)) == 3, "the same mistake does not fill the record"
    await one.close()


async def test_what_is_said_and_who_speaks_is_reported(call):
    _, host, session = call
    await session.caller_turn("i", " Hello? ")
    await session.caller_words("i", "")  # Voice Live says it again, empty
    await session.says("r", "Good day.")
    await host.wait_for(Transcript, 2)
    assert [entry for entry in host.log if not isinstance(entry, tuple)] == [
        SpeechStarted(),
        SpeechStopped(),
        Transcript("caller", "Hello?"),
        TurnStarted("r/r_item"),
        TurnEnded("r/r_item"),
        Transcript("agent", "Good day.", "r/r_item"),
    ]


async def test_the_callers_words_are_told_in_the_order_in_which_they_were_said(call):
    _, host, session = call
    await session.caller_turn("a")
    await session.caller_turn("b", "Second.", previous="a")
    await session.caller_turn("c", previous="b")
    failed = "conversation.item.input_audio_transcription.failed"
    await session.send({"type": failed, "item_id": "c", "content_index": 0, "error": {"code": "x"}})
    await session.caller_turn("d", "Third.", previous="c")
    await session.caller_words("a", "First.")
    await host.wait_for(Transcript, 3)
    assert [said.text for said in host.of(Transcript)] == ["First.", "Second.", "Third."]
    assert not host.of(Fault)


async def test_words_and_their_times(server):
    one, host = agent(server.endpoint, service="voice-live"), Host()
    await one.start(START, host)
    session = await server.session()
    await session.created("r")
    await session.delta("r", "i", bytes(960))
    for text, at in (("Good", 0), ("day.", 300)):
        await session.send(
            {
                "type": "response.audio_timestamp.delta",
                "response_id": "r",
                "item_id": "i",
                "output_index": 0,
                "content_index": 0,
                "audio_offset_ms": at,
                "audio_duration_ms": 250,
                "text": text,
                "timestamp_type": "word",
            }
        )
    await session.words("r", "i", "Good day.")
    await session.done("r")
    said = await host.wait_for(Transcript)
    assert said.words == (SpokenWord("Good", 0, 250), SpokenWord("day.", 300, 250))
    await one.close()
