import asyncio
import base64
import os
from http import HTTPStatus

import pytest

from media_host.agents.base import (
    AgentStart,
    Codec,
    Ended,
    Fault,
    Heard,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolSpec,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.realtime import agent as realtime
from media_host.agents.realtime import responses as realtime_responses
from media_host.agents.realtime.agent import EARLY_FRAMES, RealtimeAgent
from shared.errors import AgentUnavailable
from tests.support.realtime_server import RealtimeServer, echo
from tests.support.timing import patience

START = AgentStart("call-1", Codec.PCM16_24K)
FRAME = base64.b64encode(bytes(960))


class Host:
    """Takes what an agent says; tests wait for it."""

    def __init__(self):
        self.log = []
        self._news = asyncio.Event()

    def audio(self, turn, data):
        self.log.append((turn, data))
        self._news.set()

    def event(self, event):
        self.log.append(event)
        self._news.set()

    def interrupt(self):
        return ()

    def of(self, kind):
        return [entry for entry in self.log if isinstance(entry, kind)]

    @property
    def heard(self):
        return b"".join(base64.b64decode(entry[1]) for entry in self.log if isinstance(entry, tuple))

    async def until(self, condition):
        async with asyncio.timeout(patience(10)):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def wait_for(self, kind):
        await self.until(lambda: self.of(kind))
        return self.of(kind)[-1]


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
def fast(request):
    return request.param


@pytest.fixture
async def server():
    async with RealtimeServer() as server:
        yield server


@pytest.fixture
async def call(server, fast):
    agent, host = RealtimeAgent(server.url, "model-1", api_key="key-1", fast=fast), Host()
    await agent.start(START, host)
    session = await server.session()
    yield agent, host, session
    await agent.close()


async def test_it_connects_configures_and_lets_the_model_greet_once(call):
    _, _, session = call
    assert session.path == "/v1/realtime?model=model-1"
    assert session.headers["Authorization"] == "Bearer key-1"
    assert "OpenAI-Beta" not in session.headers and "Sec-WebSocket-Extensions" not in session.headers
    await session.send(echo(session.seen[0]))  # confirmed twice: no second greeting
    assert (await session.next("response.create"))["type"] == "response.create"
    await session.created("resp_1")
    await session.done("resp_1")
    await session.send({"type": "response.output_text.delta", "delta": "ignored"})
    assert [event["type"] for event in session.seen] == ["session.update", "response.create"]


async def test_a_resumed_call_is_not_greeted_again(server, fast):
    agent = RealtimeAgent(server.url, "m", fast=fast)
    await agent.start(AgentStart("call-1", Codec.PCM16_24K, resumed=True), Host())
    session = await server.session()
    agent.send_audio(FRAME)
    asked = await session.next("response.create")
    assert "interrupted" in asked["response"]["instructions"], "the caller is told, and not left in silence"
    await session.next("input_audio_buffer.append")
    assert sum(event["type"] == "response.create" for event in session.seen) == 1
    assert "Authorization" not in session.headers
    await agent.close()


async def test_instructions_tools_and_variables_reach_the_model(server, fast):
    agent = RealtimeAgent(server.url + "?x=1", "m", instructions="Be brief.", voice="marin", fast=fast)
    tool = ToolSpec("look_up", "Look up.", {"type": "object"})
    start = AgentStart("call-1", Codec.PCM16_24K, task="order", variables={"name": 'A "B"'}, tools=[tool])
    await agent.start(start, Host())
    session = await server.session()
    assert session.path == "/v1/realtime?x=1&model=m"
    item = (await session.next("conversation.item.create"))["item"]
    assert item["role"] == "system" and r'{"name": "A \"B\""}' in item["content"][0]["text"]
    sent = session.seen[0]["session"]
    assert sent["instructions"] == "Be brief." and sent["tools"][0]["name"] == "look_up"
    assert sent["audio"]["output"]["voice"] == "marin"
    await agent.close()


async def test_the_callers_audio_goes_through_untouched_and_in_order(call):
    agent, _, session = call
    frames = [base64.b64encode(os.urandom(960)) for _ in range(200)]
    for frame in frames:
        agent.send_audio(frame)
    got = [(await session.next("input_audio_buffer.append"))["audio"] for _ in frames]
    assert got == [frame.decode() for frame in frames]
    assert agent.dropped == 0


async def test_what_the_caller_says_before_the_model_is_ready_is_kept_but_bounded(fast):
    async with RealtimeServer(updated=lambda event: None) as server:
        agent = RealtimeAgent(server.url, "m", fast=fast)
        starting = asyncio.ensure_future(agent.start(START, Host()))
        session = await server.session()
        update = await session.next("session.update")
        frames = [base64.b64encode(bytes([number]) * 960) for number in range(EARLY_FRAMES + 20)]
        for frame in frames:
            agent.send_audio(frame)
        assert [event["type"] for event in session.seen] == ["session.update"]
        await session.send(echo(update))
        await starting
        got = [(await session.next("input_audio_buffer.append"))["audio"] for _ in range(EARLY_FRAMES)]
        assert got == [frame.decode() for frame in frames[20:]]
        await agent.close()


async def test_speech_goes_through_untouched_turn_by_turn(call):
    _, host, session = call
    first, second = os.urandom(960), os.urandom(4800)
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", first)
    await session.delta("resp_1", "item_1", second)
    await session.audio_done("resp_1", "item_1")
    await session.delta("resp_1", "item_2", first)
    await session.done("resp_1")
    await host.until(lambda: len(host.of(TurnEnded)) == 2)
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
    await host.until(lambda: len(host.of(TurnEnded)) == 2)
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
async def test_garbage_is_reported_and_the_call_goes_on(call, text):
    _, host, session = call
    await session.send(text)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("bad_event", False)
    assert host.heard == b""
    await session.delta("resp_9", "item_9", b"ab")
    await host.until(lambda: host.heard)
    assert host.heard == b"ab"


async def test_what_is_said_and_who_speaks_is_reported(call):
    _, host, session = call
    await session.send({"type": "input_audio_buffer.speech_started", "audio_start_ms": 100, "item_id": "i"})
    await session.send({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 900, "item_id": "i"})
    said = "conversation.item.input_audio_transcription.completed"
    await session.send({"type": said, "item_id": "i", "transcript": " Hello? "})
    await session.send({"type": said, "item_id": "i", "transcript": ""})
    await session.send(
        {
            "type": "response.output_audio_transcript.done",
            "response_id": "r",
            "item_id": "j",
            "transcript": "Good day.",
        }
    )
    await host.until(lambda: len(host.of(Transcript)) == 2)
    assert host.log == [
        SpeechStarted(),
        SpeechStopped(),
        Transcript("caller", "Hello?"),
        Transcript("agent", "Good day.", "r/j"),
    ]


async def test_barge_in_cancels_truncates_and_drops_what_comes_late(call):
    agent, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", b"\x01" * 48_000)
    await session.delta("resp_1", "item_2", b"\x02" * 48_000)
    await host.until(lambda: len(host.heard) == 96_000)
    agent.flushed([Heard("resp_1/item_1", 420, 1000), Heard("resp_1/item_2", 0, 1000)])
    assert (await session.next("response.cancel"))["response_id"] == "resp_1"
    truncate = await session.next("conversation.item.truncate")
    assert (truncate["item_id"], truncate["content_index"], truncate["audio_end_ms"]) == ("item_1", 0, 420)
    await session.delta("resp_1", "item_2", b"\x03" * 960)
    await session.delta("resp_1", "item_3", b"\x03" * 960, later=1)
    await session.error("response_cancel_not_active", "cancel_resp_1")
    await session.done("resp_1", "cancelled")
    assert (await session.next("conversation.item.delete"))["item_id"] == "item_2"
    await session.created("resp_2")
    await session.delta("resp_2", "item_4", b"\x04" * 960)
    await host.until(lambda: len(host.heard) > 96_000)
    assert host.heard[96_000:] == b"\x04" * 960
    assert not host.of(Fault) and not host.of(TurnEnded)


@pytest.mark.parametrize(
    ("heard_ms", "sent"),
    [(0, "conversation.item.delete"), (500, "conversation.item.truncate"), (901, None), (1000, None)],
)
async def test_barge_in_after_the_response_is_done(call, heard_ms, sent):
    agent, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", bytes(48_000))
    await session.done("resp_1")
    await host.wait_for(TurnEnded)
    agent.flushed([Heard("resp_1/item_1", heard_ms, 1000)])
    agent.send_audio(FRAME)
    await session.next("input_audio_buffer.append")
    events = [event["type"] for event in session.seen if event["type"].startswith("conversation.item")]
    assert events == ([sent] if sent else [])
    assert "response.cancel" not in [event["type"] for event in session.seen]


async def test_one_response_at_a_time(call):
    agent, host, session = call
    await session.next("response.create")
    await agent.say("One moment.")
    await agent.tool_result("c1", {"ok": True})
    await agent.tool_result("c2", {"ok": True})
    await session.next("conversation.item.create")
    await session.created("resp_1")
    await session.done("resp_1")
    second = await session.next("response.create")
    assert second["response"]["instructions"] == "Say exactly: One moment."
    await session.error("conversation_already_has_active_response", second["event_id"])
    await session.created("resp_2")
    await session.done("resp_2")
    third = await session.next("response.create")
    assert third["response"] == second["response"] and third["event_id"] != second["event_id"]
    await session.created("resp_3")
    await session.done("resp_3")
    fourth = await session.next("response.create")  # one for both results
    assert "response" not in fourth
    await session.created("resp_4")
    await session.done("resp_4")
    agent.send_audio(FRAME)
    await session.next("input_audio_buffer.append")
    assert sum(event["type"] == "response.create" for event in session.seen) == 4
    assert not host.of(Fault)


async def test_a_model_that_never_answers_is_given_up(server, monkeypatch, fast):
    monkeypatch.setattr(realtime_responses, "RESPONSE_S", 0.05)
    agent, host = RealtimeAgent(server.url, "m", fast=fast), Host()
    await agent.start(START, host)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("response_late", True)
    await agent.close()


@pytest.mark.parametrize("begun", [False, True])
async def test_a_model_that_answers_but_does_not_speak_is_given_up(server, monkeypatch, fast, begun):
    monkeypatch.setattr(realtime, "FIRST_AUDIO_S", 0.2)
    agent, host = RealtimeAgent(server.url, "m", fast=fast), Host()
    await agent.start(START, host)
    session = await server.session()
    await session.created("resp_1")
    if begun:
        await session.delta("resp_1", "item_1", bytes(960))
        await host.wait_for(TurnStarted)
        await asyncio.sleep(0.3)
        assert not host.of(Fault)
    else:
        fault = await host.wait_for(Fault)
        assert (fault.code, fault.fatal) == ("response_late", True)
    await agent.close()


async def test_keys_are_told_as_text_when_complete(call):
    agent, _, session = call
    await session.next("response.create")
    await session.created("resp_1")
    await session.done("resp_1")
    for key in "4271#":
        agent.send_key(key)
    item = (await session.next("conversation.item.create"))["item"]
    assert item["content"] == [{"type": "input_text", "text": "[keypad] 4271#"}]
    await session.next("response.create")


async def test_keys_are_told_after_a_pause(call, monkeypatch):
    monkeypatch.setattr("media_host.agents.realtime.KEYS_PAUSE_S", 0.02)
    agent, _, session = call
    agent.send_key("1")
    agent.send_key("2")
    item = (await session.next("conversation.item.create"))["item"]
    assert item["content"][0]["text"] == "[keypad] 12"


def function_call(arguments, status="completed"):
    item = {
        "type": "function_call",
        "status": status,
        "call_id": "c1",
        "name": "look_up",
        "arguments": arguments,
    }
    return {"type": "response.output_item.done", "response_id": "r", "item": item}


async def test_a_function_call_becomes_a_tool_call_and_its_result_goes_back(call):
    agent, host, session = call
    await session.send(function_call('{"order": 7}', "incomplete"))
    await session.send(function_call('{"order": 7}'))
    assert await host.wait_for(ToolCall) == ToolCall("c1", "look_up", {"order": 7})
    assert len(host.of(ToolCall)) == 1
    await agent.tool_result("c1", {"state": "sent"})
    item = (await session.next("conversation.item.create"))["item"]
    assert item == {"type": "function_call_output", "call_id": "c1", "output": '{"state": "sent"}'}


async def test_arguments_that_are_no_object_are_answered_with_an_error(call):
    _, host, session = call
    await session.send(function_call("[1]"))
    item = (await session.next("conversation.item.create"))["item"]
    assert item["call_id"] == "c1" and "error" in item["output"]
    assert not host.of(ToolCall)


@pytest.mark.parametrize(
    ("code", "fatal"),
    [
        ("response_cancel_not_active", None),
        ("server_error", False),
        ("insufficient_quota", True),
        ("session_expired", True),
    ],
)
async def test_errors_by_class_and_without_their_text(call, code, fatal, caplog):
    _, host, session = call
    with caplog.at_level("DEBUG", "media_host"):
        await session.error(code)
        await session.delta("resp_1", "item_1", b"ab")
        if fatal is None:
            await host.until(lambda: host.heard)
            assert not host.of(Fault)
        else:
            fault = await host.wait_for(Fault)
            assert (fault.code, fault.fatal) == (code, fatal)
            assert "sk-secret" not in fault.message
    assert "sk-secret" not in caplog.text


@pytest.mark.parametrize(("spoken", "fatal"), [(False, True), (True, False)])
async def test_a_failed_response_is_fatal_only_if_the_caller_has_heard_nothing_yet(call, spoken, fatal):
    _, host, session = call
    await session.created("resp_1")
    if spoken:
        await session.delta("resp_1", "item_1", b"ab")
    await session.done("resp_1", "failed", status_details={"error": {"code": "rate_limit_exceeded"}})
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("rate_limit_exceeded", fatal)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
async def test_a_model_that_hangs_up_is_one_fatal_fault(call, code):
    agent, host, session = call
    await session.delta("resp_1", "item_1", b"ab")
    await session.socket.close(code)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("agent_lost", True) and str(code) in fault.message
    agent.send_audio(FRAME)
    agent.flushed([Heard("resp_1/item_1", 0, 10)])
    await agent.say("too late")
    await agent.tool_result("c", {})
    await agent.close()
    assert len(host.of(Fault)) == 1 and not host.of(Ended)


async def test_nothing_is_reported_after_a_fatal_fault(call):
    _, host, session = call
    await session.error("insufficient_quota")
    await session.delta("resp_1", "item_1", b"ab")
    await session.send({"type": "input_audio_buffer.speech_started"})
    await session.error("invalid_api_key")
    await session.socket.close()
    await session.ended.wait()
    await host.wait_for(Fault)
    assert len(host.log) == 1


async def test_close_ends_the_session_at_once_and_says_nothing(call):
    agent, host, session = call
    await agent.close()
    await agent.close()
    async with asyncio.timeout(patience(10)):
        await session.ended.wait()
    assert session.socket.close_code == 1000
    assert host.log == []


async def test_close_does_not_wait_for_a_model_that_is_stuck(fast):
    async def stuck(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(patience(60))

    server = await asyncio.start_server(stuck, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    agent = RealtimeAgent(f"ws://127.0.0.1:{port}/", "m", open_timeout_s=0.05, fast=fast)
    with pytest.raises(AgentUnavailable, match="in time"):
        await agent.start(START, Host())
    await agent.close()
    server.close()
    server.close_clients()
    await server.wait_closed()


@pytest.mark.parametrize(
    "status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.TOO_MANY_REQUESTS]
)
async def test_refused(status, fast):
    async with RealtimeServer(refuse=status) as server:
        with pytest.raises(AgentUnavailable):
            await RealtimeAgent(server.url, "m", fast=fast).start(START, Host())


async def test_nobody_there(fast):
    async with RealtimeServer() as server:
        url = server.url
    with pytest.raises(AgentUnavailable):
        await RealtimeAgent(url, "m", fast=fast).start(START, Host())


def wrong_format(event):
    event["session"]["audio"]["output"]["format"] = {"type": "audio/pcmu"}
    return echo(event)


def refused(event):
    return {
        "type": "error",
        "error": {"code": "unknown_parameter", "message": "sk-secret", "event_id": "cfg_1"},
    }


@pytest.mark.parametrize("updated", [wrong_format, refused, lambda event: None])
async def test_a_session_that_is_not_what_we_asked_for_does_not_begin(updated, fast):
    async with RealtimeServer(updated=updated) as server:
        host = Host()
        agent = RealtimeAgent(server.url, "m", open_timeout_s=0.3, fast=fast)
        with pytest.raises(AgentUnavailable) as caught:
            await agent.start(START, host)
        assert "sk-secret" not in str(caught.value)
        session = await server.session()
        async with asyncio.timeout(patience(10)):
            await session.ended.wait()
        assert host.log == []


async def test_a_model_that_hangs_up_before_it_is_configured(fast):
    async with RealtimeServer(updated=lambda event: None) as server:
        agent, host = RealtimeAgent(server.url, "m", fast=fast), Host()
        starting = asyncio.ensure_future(agent.start(START, host))
        await (await server.session()).socket.close(1011)
        with pytest.raises(AgentUnavailable, match="1011"):
            await starting
        assert host.log == []


async def test_a_cancelled_start_leaves_no_session_behind(fast):
    async with RealtimeServer(updated=lambda event: None) as server:
        starting = asyncio.ensure_future(RealtimeAgent(server.url, "m", fast=fast).start(START, Host()))
        session = await server.session()
        await session.next("session.update")
        starting.cancel()
        async with asyncio.timeout(patience(10)):
            await session.ended.wait()
        with pytest.raises(asyncio.CancelledError):
            await starting


async def test_only_24_khz(server):
    with pytest.raises(AgentUnavailable, match="24 kHz"):
        await RealtimeAgent(server.url, "m").start(AgentStart("c", Codec.PCM16_16K), Host())
    assert RealtimeAgent(server.url, "m").capabilities.codecs == (Codec.PCM16_24K,)
