import asyncio
import base64
import os
from http import HTTPStatus

import pytest

from media_host.agents.base import (
    AgentStart,
    Codec,
    Fault,
    Heard,
    Said,
    SpeechStarted,
    SpeechStopped,
    SpokenWord,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.realtime import keys, responses, waiting
from media_host.agents.realtime.agent import EARLY_FRAMES
from shared.errors import AgentUnavailable
from tests.media_host.agents.realtime.support import FRAME, START, Host, agent, settled
from tests.support.realtime_server import RealtimeServer, echo
from tests.support.timing import patience

SERVICES = ["openai", "voice-live"]


@pytest.fixture
async def server():
    async with RealtimeServer() as server:
        yield server


@pytest.fixture(params=SERVICES)
async def call(request, server):
    one, host = agent(server.endpoint, service=request.param), Host()
    await one.start(START, host)
    session = await server.session()
    yield one, host, session
    await one.close()


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


async def test_one_response_at_a_time(call):
    one, host, session = call
    await session.next("response.create")
    await one.say("One moment.")
    await one.send_text("a")
    await one.send_text("b")
    await session.next("conversation.item.create")
    await session.says("resp_1", "Good day.")
    second = await session.next("response.create")
    assert "One moment." in str(second["response"])
    await session.error("conversation_already_has_active_response", second["event_id"])
    await session.says("resp_2", "by itself")
    third = await session.next("response.create")
    assert third["response"] == second["response"] and third["event_id"] != second["event_id"]
    await session.says("resp_3", "One moment.")
    fourth = await session.next("response.create")  # one for both texts
    assert "response" not in fourth
    await session.says("resp_4", "c")
    await settled(one, session)
    assert session.types.count("response.create") == 4
    assert not host.of(Fault)


async def test_a_model_that_never_answers_is_given_up(server, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_AUDIO_S", 0.05)
    one, host = agent(server.endpoint), Host()
    await one.start(START, host)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("response_late", True)
    await one.close()


async def test_a_request_that_is_not_taken_up_is_made_again(server, monkeypatch):
    monkeypatch.setattr(responses, "REQUEST_S", 0.02)
    one, host = agent(server.endpoint, greeting="Good day."), Host()
    await one.start(START, host)
    session = await server.session()
    first = await session.next("response.create")
    second = await session.next("response.create")
    assert first["response"] == second["response"] and first["event_id"] != second["event_id"]
    assert not (await host.wait_for(Fault)).fatal
    await one.close()


async def test_keys_are_told_as_text_when_complete_and_silence_the_agent(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", bytes(48_000))
    await host.until(lambda: host.heard)
    for key in "4271#":
        one.send_key(key)
    assert host.interrupts == 1 and host.quiet
    assert (await session.next("response.cancel"))["response_id"] == "resp_1"
    item = (await session.next("conversation.item.create"))["item"]
    assert item["content"] == [{"type": "input_text", "text": "[keypad] 4271#"}]
    await session.done("resp_1", "cancelled")
    await session.next("response.create")


async def test_keys_are_told_after_a_pause(call, monkeypatch):
    monkeypatch.setattr(keys, "PAUSE_S", 0.02)
    one, _, session = call
    one.send_key("1")
    one.send_key("2")
    item = (await session.next("conversation.item.create"))["item"]
    assert item["content"][0]["text"] == "[keypad] 12"


async def test_a_listener_says_nothing_and_hears_on(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", b"ab")
    await host.wait_for(TurnStarted)
    await one.listen_only()
    assert (await session.next("response.cancel"))["response_id"] == "resp_1"
    await session.next("session.update")
    assert session.of("session.update")[-1]["session"] != session.seen[0]["session"]
    assert '"create_response": False' in str(session.of("session.update")[-1]).replace("'", '"')
    await session.done("resp_1", "cancelled")
    await session.caller_turn("i", "Hello.")
    one.send_key("1")
    await one.send_text("x")
    with pytest.raises(AgentUnavailable):
        await one.say("too late")
    await host.wait_for(Transcript)
    await session.created("resp_2")  # the model had begun before it knew
    assert (await session.next("response.cancel"))["response_id"] == "resp_2"
    await settled(one, session)
    assert session.types.count("response.create") == 1, "the greeting's"


@pytest.mark.parametrize(
    ("code", "fatal"),
    [("response_cancel_not_active", None), ("server_error", False), ("insufficient_quota", True)],
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


@pytest.mark.parametrize("spoken", [False, True])
async def test_a_failed_response_is_asked_for_once_more_unless_the_caller_has_heard_nothing_yet(call, spoken):
    one, host, session = call
    await session.next("response.create")
    failed = {"status_details": {"type": "failed", "error": {"code": "rate_limit_exceeded"}}}
    if spoken:
        await session.says("resp_1", "Good day.")
        host.play(one)
    await session.created("resp_2")
    await session.done("resp_2", "failed", **failed)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("rate_limit_exceeded", not spoken)
    if spoken:
        await session.next("response.create")
        await session.created("resp_3")
        await session.done("resp_3", "failed", **failed)
        assert (await host.wait_for(Fault, 2)).fatal, "twice is enough"


async def test_a_model_that_writes_instead_of_speaking_is_asked_to_speak_once(call):
    one, _host, session = call
    await session.next("response.create")
    for response in ("resp_1", "resp_2"):
        await session.created(response)
        kind = "response.text.done" if session.flat else "response.output_text.done"
        await session.send({"type": kind, "response_id": response, "item_id": "i", "text": "Good day."})
        await session.done(response)
    assert "Good day." in str((await session.next("response.create"))["response"])
    await settled(one, session)
    assert session.types.count("response.create") == 2


async def test_what_the_model_did_not_take_is_said_once():
    def deaf_ear(event):
        answer = echo(event)
        answer["session"]["audio"]["output"]["voice"] = "other"
        return answer

    async with RealtimeServer(updated=deaf_ear) as server:
        one, host = agent(server.endpoint, voice="marin"), Host()
        await one.start(START, host)
        (fault,) = host.of(Fault)
        assert (fault.code, fault.fatal) == ("session_differs", False) and "voice" in fault.message
        await one.close()


async def test_nothing_is_reported_after_a_fatal_fault(call):
    _, host, session = call
    await session.error("insufficient_quota")
    await session.delta("resp_1", "item_1", b"ab")
    await session.speech(started=True)
    await session.error("invalid_api_key")
    await session.socket.close()
    await session.ended.wait()
    await host.wait_for(Fault)
    assert len(host.log) == 1


async def test_close_ends_the_session_at_once_and_says_nothing(call):
    one, host, session = call
    await one.close()
    await one.close()
    async with asyncio.timeout(patience(10)):
        await session.ended.wait()
    assert session.socket.close_code == 1000
    assert host.log == []
    one.send_audio(FRAME)
    one.flushed([Heard("resp_1/item_1", 0, 10)])
    one.send_key("1")
    await one.tool_result("c", {})
    await one.send_text("too late")
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("realtime")]


async def test_close_tells_what_was_being_said(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", b"ab")
    await session.words("resp_1", "item_1", "Good ", done=False)
    await session.words("resp_1", "item_1", "day", done=False)
    await session.send({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 9, "item_id": "i"})
    await host.wait_for(SpeechStopped)
    await one.close()
    assert host.of(Transcript) == [Transcript("agent", "Good day", "resp_1/item_1")]


async def test_close_does_not_wait_for_a_model_that_is_stuck():
    async def stuck(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(patience(60))

    server = await asyncio.start_server(stuck, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    one = agent(f"ws://127.0.0.1:{port}")
    starting = asyncio.ensure_future(one.start(START, Host()))
    await asyncio.sleep(0.05)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await one.close()
    server.close()
    server.close_clients()
    await server.wait_closed()


async def test_a_model_that_does_not_answer_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("media_host.agents.realtime.agent.OPEN_S", 0.05)
    async with RealtimeServer(updated=lambda event: None) as server:
        with pytest.raises(AgentUnavailable, match="in time"):
            await agent(server.endpoint).start(START, Host())
        session = await server.session()
        async with asyncio.timeout(patience(10)):
            await session.ended.wait()


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS])
async def test_refused(status):
    async with RealtimeServer(refuse=status) as server:
        with pytest.raises(AgentUnavailable):
            await agent(server.endpoint).start(START, Host())


async def test_nobody_there():
    async with RealtimeServer() as server:
        endpoint = server.endpoint
    with pytest.raises(AgentUnavailable):
        await agent(endpoint).start(START, Host())


async def test_a_redirect_is_not_followed():
    asked = []

    async def elsewhere(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    other = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
    target = f"ws://127.0.0.1:{other.sockets[0].getsockname()[1]}/"

    async def redirect(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with other, await asyncio.start_server(redirect, "127.0.0.1", 0) as server:
        with pytest.raises(AgentUnavailable, match="302"):
            await agent(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}").start(START, Host())
    assert asked == [], "the key would have gone there too"


def wrong_format(event):
    answer = echo(event)
    answer["session"]["audio"]["output"]["format"] = {"type": "audio/pcmu"}
    return answer


def refuse(event):
    error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "sk-secret"}
    return {"type": "error", "event_id": "e", "error": error}


@pytest.mark.parametrize("updated", [wrong_format, refuse])
async def test_a_session_that_is_not_as_asked_for_is_refused(updated):
    async with RealtimeServer(updated=updated) as server:
        with pytest.raises(AgentUnavailable) as raised:
            await agent(server.endpoint).start(START, Host())
        assert "sk-secret" not in str(raised.value)


async def test_a_format_that_the_service_does_not_take_is_refused_at_once(server):
    with pytest.raises(AgentUnavailable):
        await agent(server.endpoint).start(AgentStart("c", Codec.PCM16_16K), Host())
    assert server.connections == 0
