"""A model that cannot be had, errors that it reports, and the end of a call."""

import asyncio
from http import HTTPStatus

import pytest

from media_host.agents.base import AgentStart, Codec, Fault, Heard, SpeechStopped, Transcript
from shared.errors import AgentUnavailable
from tests.media_host.agents.realtime.support import FRAME, START, Host, agent
from tests.support.realtime_server import RealtimeServer, echo
from tests.support.timing import patience


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
