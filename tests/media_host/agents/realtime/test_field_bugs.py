"""What users of other voice projects have reported (realtime.md section 13): one test for each report that a WebSocket can show.

A test is named after the repository and the number of the report. The model's side is a real server on 127.0.0.1.
"""

import asyncio
import base64
import subprocess
import sys

import pytest

from media_host.agents.base import (
    Delayed,
    Ended,
    Fault,
    Heard,
    SpeechStarted,
    ToolCall,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.realtime import mcp as mcp_module
from media_host.agents.realtime import waiting
from media_host.agents.realtime.session_setup import McpTool
from shared.config.document import parse_config
from shared.config.realtime import TurnDetection
from shared.errors import AgentUnavailable, ConfigurationError
from tests.media_host.agents.realtime.support import FRAME, START, Host, agent, settled
from tests.support.realtime_server import RealtimeServer, echo
from tests.support.timing import patience
from tests.support.virtual_loop import run_virtually

SECOND = bytes(48_000)


async def talking(server, **changes):
    """An agent that has greeted and is asked for nothing."""
    one, host = agent(server.endpoint, **changes), Host()
    await one.start(START, host)
    session = await server.session()
    await session.next("response.create")
    await session.says("resp_0", "Good day.")
    await host.wait_for(TurnEnded)
    host.play(one)
    host.log.clear()
    return one, host, session


@pytest.fixture
async def server():
    async with RealtimeServer() as server:
        yield server


@pytest.fixture
async def call(server):
    one, host, session = await talking(server)
    host.agent = one
    yield one, host, session
    await one.close()


async def answering(host, session, response="resp_9"):
    """The call goes on: the model answers, and the host hears it."""
    await session.says(response, "Yes.", b"\x09" * 960)
    await host.until(lambda: any(turn.turn.startswith(response) for turn in host.of(TurnEnded)))
    assert host.heard.endswith(b"\x09" * 960)


def of_items(session):
    return [kind for kind in session.types if kind.startswith("conversation.item.")]


# --- interruptions ---------------------------------------------------------------------------------------------


async def test_pipecat_3677_a_refused_truncation_does_not_silence_the_agent(call):
    _, host, session = call
    await session.says("resp_1", "A long story.", SECOND)
    await host.wait_for(TurnEnded)
    await session.speech(started=True)
    cut = await session.next("conversation.item.delete")
    await session.error("invalid_value", cut["event_id"])
    await session.error("item_truncate_invalid_item_id")
    await answering(host, session)
    assert not host.of(Fault)


async def test_pipecat_1963_talking_over_the_answer_after_a_tool_is_not_fatal(call):
    one, host, session = call
    await session.calls("resp_1", "look_up", "{}")
    await host.wait_for(ToolCall)
    await one.tool_result("c1", {"state": "sent"})
    await session.next("response.create")
    await session.created("resp_2")
    await session.delta("resp_2", "item_2", SECOND)
    await host.wait_for(TurnStarted)
    await session.speech(started=True)
    cancel = await session.next("response.cancel")
    await session.error("response_cancel_not_active", cancel["event_id"])
    await session.done("resp_2", "cancelled")
    await session.next("conversation.item.delete")
    await answering(host, session)
    assert not host.of(Fault)


async def test_pipecat_2106_what_was_heard_nearly_to_its_end_is_not_truncated(call):
    one, host, session = call
    await session.says("resp_1", "A story.", SECOND)
    await host.wait_for(TurnEnded)
    one.flushed([Heard("resp_1/resp_1_item", 1000 - 85, 1000)])
    await settled(one, session)
    assert of_items(session) == []


async def test_pipecat_3077_no_stale_syllable_after_an_interruption(call):
    _, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await host.wait_for(TurnStarted)
    await session.speech(started=True)
    for _ in range(5):
        await session.delta("resp_1", "item_1", b"\x01" * 960)
    await session.done("resp_1", "cancelled")
    await session.delta("resp_1", "item_1", b"\x01" * 960)  # even after its end
    await answering(host, session)
    assert b"\x01" not in host.heard


async def test_pipecat_3191_the_phone_is_flushed_before_anything_is_said_to_the_model(call):
    _, host, session = call
    sent = []
    flush = host.flush

    def flushing(*args):
        sent.append(len(session.seen))
        return flush(*args)

    host.flush = flushing
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await host.wait_for(TurnStarted)
    before = len(session.seen)
    await session.speech(started=True)
    await session.next("response.cancel")
    assert sent == [before]


async def test_openai_agents_js_1173_all_audio_has_come_and_the_caller_interrupts_all_the_same(call):
    one, host, session = call
    await session.says("resp_1", "A long story.", SECOND)
    await host.wait_for(TurnEnded)
    host.agent = None
    await session.speech(started=True)
    await host.wait_for(SpeechStarted)
    host.barge_in(one, heard_ms=400)
    assert (await session.next("conversation.item.truncate"))["audio_end_ms"] == 400
    assert "response.cancel" not in session.types


async def test_speech_assistant_openai_realtime_api_python_22_never_truncated_beyond_its_length(call):
    one, host, session = call
    await session.says("resp_1", "A story.", SECOND)
    await host.wait_for(TurnEnded)
    one.flushed([Heard("resp_1/resp_1_item", 55_960, 1000)])
    await settled(one, session)
    assert of_items(session) == []


async def test_openclaw_pr_90749_nothing_that_was_buffered_before_an_interruption_is_heard_after_it(call):
    _, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await session.speech(started=True)  # in one go with what follows
    await session.delta("resp_1", "item_1", b"\x01" * 960)
    await session.delta("resp_1", "item_2", b"\x02" * 960)
    await session.audio_done("resp_1", "item_1")
    await host.wait_for(SpeechStarted)
    await answering(host, session)
    at = next(index for index, entry in enumerate(host.log) if isinstance(entry, SpeechStarted))
    assert {entry[0] for entry in host.log[at:] if isinstance(entry, tuple)} == {"resp_9/resp_9_item"}


async def test_aisearch_openai_rag_audio_102_the_agent_stops_when_the_caller_talks(call):
    _, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await host.wait_for(TurnStarted)
    await session.speech(started=True)
    await session.next("response.cancel")
    assert host.quiet


async def test_openclaw_91052_room_tone_and_silence_reach_the_model(call):
    one, _, session = call
    for _ in range(50):
        one.send_audio(FRAME)  # nothing but zeros
    for _ in range(50):
        await session.next("input_audio_buffer.append")


# --- responses -------------------------------------------------------------------------------------------------


async def test_livekit_1056_an_active_response_is_waited_for(call):
    one, _, session = call
    await one.send_text("The caller is silent.")
    asked = await session.next("response.create")
    await session.created("resp_1")  # the model's own, a moment earlier
    await session.error("conversation_already_has_active_response", asked["event_id"])
    await settled(one, session)
    assert session.types.count("response.create") == 2
    await session.done("resp_1")
    await session.next("response.create")


async def test_openai_agents_python_1466_a_text_while_the_agent_speaks_waits_for_its_end(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await host.wait_for(TurnStarted)
    await one.send_text("The transfer has failed.")
    await settled(one, session)
    assert session.types.count("response.create") == 1
    await session.done("resp_1")
    await session.next("response.create")


@pytest.mark.parametrize("number", [1156, 1136])
async def test_openai_agents_python_1156_and_1136_the_result_of_a_tool_is_spoken(call, number):
    one, host, session = call
    if number == 1156:
        await session.calls("resp_1", "look_up", "{}")
    else:  # something was said beside the call
        await session.created("resp_1")
        await session.delta("resp_1", "item_1", bytes(960))
        await session.function_call("resp_1", "look_up", "{}")
        await session.done("resp_1")
    await host.wait_for(ToolCall)
    await one.tool_result("c1", {"state": "sent"})
    await session.next("response.create")
    await answering(host, session)


async def test_livekit_3418_no_silence_after_a_tool_that_was_called_near_an_interruption(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await session.function_call("resp_1", "look_up", "{}")
    await host.wait_for(ToolCall)
    await session.speech(started=True)
    await session.next("response.cancel")
    await session.done("resp_1", "cancelled")
    await session.speech(started=False)
    await settled(one, session)
    await one.tool_result("c1", {"state": "sent"})
    asked = await session.next("response.create")
    await session.created("resp_2")  # the model's own answer to the interruption came first
    await session.error("conversation_already_has_active_response", asked["event_id"])
    await session.done("resp_2")
    await session.next("response.create")
    await answering(host, session)


async def test_livekit_6569_a_result_that_comes_twice_late_or_for_nobody_does_not_wedge_the_session(call):
    one, host, session = call
    await one.tool_result("never-called", {})
    await session.calls("resp_1", "look_up", "{}")
    await host.wait_for(ToolCall)
    await one.tool_result("c1", {"state": "sent"})
    await one.tool_result("c1", {"state": "sent"})
    await session.next("response.create")
    await answering(host, session)
    given = [event for event in session.of("conversation.item.create") if "call_id" in event["item"]]
    assert len(given) == 1


async def test_hybridclaw_1503_line_noise_gets_no_answer_while_a_tool_is_awaited(call):
    one, _host, session = call
    await session.calls("resp_1", "slow", "{}")
    update = await session.next("session.update")
    turns = update["session"]["audio"]["input"]["turn_detection"]
    assert (turns["create_response"], turns["interrupt_response"]) == (False, False)
    await session.caller_turn("noise")
    await settled(one, session)
    assert session.types.count("response.create") == 1
    await one.tool_result("c1", {"state": "sent"})
    await session.next("response.create")


def test_livekit_1988_a_long_answer_is_heard_to_its_end():
    async def main():
        async with RealtimeServer() as server:
            one, host, session = await talking(server)
            await session.created("resp_1")
            for _ in range(25):
                await session.delta("resp_1", "item_1", SECOND)
            await session.done("resp_1")
            await host.wait_for(TurnEnded)
            await asyncio.sleep(25)  # it is still being heard
            assert not host.of(Fault) and not host.of(Delayed) and host.interrupts == 0
            assert len(host.heard) == 25 * len(SECOND)
            await one.close()

    run_virtually(main())


def test_eliza_19385_a_stall_after_the_greeting_is_not_silence():
    async def main():
        async with RealtimeServer() as server:
            one, host, session = await talking(server)
            await session.caller_turn("item_1", "My order?")
            began = asyncio.get_running_loop().time()
            assert (await host.wait_for(Delayed)).code == "response_late"
            assert asyncio.get_running_loop().time() - began <= waiting.LATE_S + 0.1
            assert (await host.wait_for(Fault)).fatal
            await one.close()

    run_virtually(main())


# --- the end of a session --------------------------------------------------------------------------------------


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


# --- what is sent, and what is made of it ----------------------------------------------------------------------


def wrong(place, value):
    def updated(event):
        answer = echo(event)
        *path, name = ["session", *place.split(".")]
        part = answer
        for step in path:
            part = part[step]
        part[name] = value
        return answer

    return updated


async def test_livekit_2598_a_setting_that_the_service_ignores_is_named():
    ignoring = wrong("audio.input.turn_detection.silence_duration_ms", 200)
    async with RealtimeServer(updated=ignoring) as server:
        one, host = agent(server.endpoint, turn_detection=TurnDetection(silence_duration_ms=700)), Host()
        await one.start(START, host)
        (fault,) = host.of(Fault)
        assert not fault.fatal and "silence_duration_ms" in fault.message
        await one.close()


@pytest.mark.parametrize(
    ("side", "form"), [("input", {"type": "audio/pcm", "rate": 16000}), ("output", {"type": "audio/pcmu"})]
)
async def test_patter_154_and_speech_assistant_python_6_another_format_is_refused_before_audio_flows(
    side, form
):
    async with RealtimeServer(updated=wrong(f"audio.{side}.format", form)) as server:
        one = agent(server.endpoint)
        one.send_audio(FRAME)
        with pytest.raises(AgentUnavailable, match="audio format"):
            await one.start(START, Host())
        session = await server.session()
        await session.ended.wait()
        assert session.types == ["session.update"] and len(session.seen) == 1


async def test_openai_agents_js_466_a_field_that_the_service_rejects_is_known_before_the_greeting():
    def rejects(event):
        error = {"type": "invalid_request_error", "code": "unknown_parameter", "param": "session.x"}
        return {"type": "error", "event_id": "e", "error": error | {"message": "m", "event_id": "cfg_1"}}

    async with RealtimeServer(updated=rejects) as server:
        with pytest.raises(AgentUnavailable, match="unknown_parameter"):
            await agent(server.endpoint).start(START, Host())


async def test_openai_python_2638_and_livekit_3489_each_service_gets_its_own_shape(server):
    for service in ("azure-openai", "voice-live"):
        one = agent(server.endpoint, service=service)
        await one.start(START, Host())
        session = await server.session()
        asked = session.seen[0]["session"]
        if service == "azure-openai":
            assert asked["type"] == "realtime" and asked["output_modalities"] == ["audio"]
            assert session.path.startswith("/openai/v1/realtime") and "api-version" not in session.path
        else:
            assert not {"type", "output_modalities", "audio"} & asked.keys()
        await one.close()


def realtime_yaml(**fields):
    lines = "".join(f"\n    {name}: {value}" for name, value in fields.items())
    return f"""
agents:
  reception:
    kind: realtime
    service: azure-openai
    endpoint: https://name.openai.azure.com
    model: deployment
    auth: entra{lines}
routes:
  - {{name: all, to: ["*"], agent: reception}}
""".encode()


def test_livekit_pr_6871_semantic_vad_is_refused_on_azure_openai():
    parse_config(realtime_yaml(turn_detection="{type: server_vad}"))
    with pytest.raises(ConfigurationError, match="semantic_vad"):
        parse_config(realtime_yaml(turn_detection="{type: semantic_vad}"))


def test_openai_agents_python_1941_a_voice_that_is_noise_on_realtime_is_refused():
    parse_config(realtime_yaml(voice="marin"))
    with pytest.raises(ConfigurationError, match="voice"):
        parse_config(realtime_yaml(voice="fable"))


async def test_openai_agents_js_297_words_that_cannot_be_had_are_not_fatal(call):
    _, host, session = call
    for item in ("a", "b"):
        await session.caller_turn(item)
        await session.send(
            {
                "type": "conversation.item.input_audio_transcription.failed",
                "item_id": item,
                "content_index": 0,
                "error": {"type": "server_error", "code": "deployment_not_found", "message": "sk-secret"},
            }
        )
    await session.caller_turn("c", "Hello?")
    assert (await host.wait_for(Transcript)).text == "Hello?"
    assert not host.of(Fault)


async def test_yapcode_22_the_thresholds_of_patchcord_yaml_reach_the_model(server):
    wanted = TurnDetection(threshold=0.6, silence_duration_ms=800)
    one = agent(server.endpoint, service="azure-openai", turn_detection=wanted)
    await one.start(START, Host())
    turns = (await server.session()).seen[0]["session"]["audio"]["input"]["turn_detection"]
    assert (turns["threshold"], turns["silence_duration_ms"]) == (0.6, 800)
    await one.close()


async def test_asterisk_to_openai_rt_9_no_sample_is_split_and_no_rest_is_lost(call):
    _, host, session = call
    audio = bytes(range(256)) * 15
    await session.created("resp_1")
    at = 0
    for size in (1, 2, 3, 961, 959, 7, 1000, len(audio)):
        await session.delta("resp_1", "item_1", audio[at : at + size])
        at += size
    await session.audio_done("resp_1", "item_1")
    await host.wait_for(TurnEnded)
    assert host.heard == audio
    assert all(len(base64.b64decode(data)) % 2 == 0 for _, data in host.of(tuple))


def test_voicelive_samples_320_a_slow_mcp_server_holds_the_greeting_up_by_three_seconds_at_most():
    async def main():
        async def servers():
            return (McpTool("crm", "https://crm.example/mcp"),)

        loop = asyncio.get_running_loop()
        async with RealtimeServer() as server:
            one, host = agent(server.endpoint, service="voice-live", mcp=servers), Host()
            await one.start(START, host)
            began = loop.time()
            session = await server.session()
            await session.next("response.create")
            assert loop.time() - began <= mcp_module.PATIENCE_S + 0.1
            assert host.of(Delayed), "and the caller is told before"
            await one.close()

    run_virtually(main())


async def test_azure_sdk_for_net_55013_silence_is_the_hosts_to_mind_and_a_reminder_is_spoken(server):
    one, _host, session = await talking(server, service="voice-live")
    assert not one.capabilities.minds_silence
    await one.send_text("The caller has been silent for 8 seconds.")
    await session.next("response.create")
    await one.close()


def test_openai_python_3084_and_1181_no_sdk_and_no_pydantic_is_loaded():
    code = "import sys, media_host.agents.realtime; print(*{'openai', 'pydantic', 'azure.ai.voicelive'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
