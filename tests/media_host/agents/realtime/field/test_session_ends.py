"""What users of other voice projects have reported: the end of a session is not the end of the call.

A test is named after the repository and the number of the report (realtime.md section 13): one for each report that a WebSocket
can show. The model's side is a real server on 127.0.0.1.
"""

import asyncio

from media_host.agents.base import Delayed, Ended, Fault
from tests.media_host.agents.realtime.field.support import talking
from tests.media_host.agents.realtime.support import FRAME
from tests.support.realtime_server import RealtimeServer
from tests.support.timing import patience
from tests.support.virtual_loop import run_virtually


async def goes_on(server, one, host):
    """Another session carries the call."""
    second = await server.session()
    await second.next("session.update")
    one.send_audio(FRAME)
    await second.next("input_audio_buffer.append")
    assert not host.of(Fault) and not host.of(Ended)
    assert "response.create" not in second.types, "and nobody is greeted again"


async def test_pipecat_3170_the_call_does_not_stop_after_sixty_minutes(server, call):
    one, host, session = call
    await session.socket.close(1001)
    await goes_on(server, one, host)


async def test_livekit_2358_an_expired_session_does_not_end_the_call(server, call):
    one, host, session = call
    await session.error("session_expired")
    await session.socket.close(1001)
    await goes_on(server, one, host)


async def test_livekit_2341_a_session_that_ends_without_a_word_does_not_end_the_call(server, call):
    one, host, session = call
    session.socket.transport.abort()
    await goes_on(server, one, host)


async def test_livekit_1252_azures_vague_error_at_expiry_does_not_end_the_call(server, call):
    _one, host, session = call
    await session.error("server_error")
    await session.socket.close(1000)
    second = await server.session()
    await second.next("session.update")
    assert [fault.fatal for fault in host.of(Fault)] == [False]


async def test_livekit_1128_a_keepalive_that_failed_does_not_end_the_call(server, call):
    one, host, session = call
    await session.socket.close(1011, "keepalive ping timeout")
    await goes_on(server, one, host)


async def test_azure_sdk_for_python_45555_a_connection_that_is_closing_is_not_an_error_of_ours(server, call):
    one, host, session = call
    closing = asyncio.create_task(session.socket.close(1012))
    for _ in range(20):
        one.send_audio(FRAME)
        await one.send_text("The caller is silent.")
        await asyncio.sleep(0)
    await closing
    second = await server.session()
    await second.next("session.update")
    assert not host.of(Fault)


def test_openai_realtime_twilio_demo_7_a_session_is_renewed_before_it_expires():
    async def main():
        loop = asyncio.get_running_loop()
        async with RealtimeServer(created=lambda: {"expires_at": loop.time() + 1800}) as server:
            one, host, session = await talking(server, now=loop.time, max_session_s=7200)
            await asyncio.sleep(1800)
            assert server.connections == 2 and session.socket.close_code == 1000
            assert not host.of(Fault) and not host.of(Delayed)
            await one.close()

    run_virtually(main())


async def test_speech_assistant_openai_realtime_api_python_10_the_models_socket_is_closed_with_the_call(call):
    one, _, session = call
    began = asyncio.get_running_loop().time()
    session.socket.transport.pause_reading()  # the model is not even listening
    await one.close()
    assert asyncio.get_running_loop().time() - began < patience(1.0)
