"""What users of other voice projects have reported: what is sent to the model, and what is made of it.

A test is named after the repository and the number of the report (realtime.md section 13): one for each report that a WebSocket
can show. The model's side is a real server on 127.0.0.1.
"""

import asyncio
import base64
import subprocess
import sys

import pytest

from media_host.agents.base import Delayed, Fault, Transcript, TurnEnded
from media_host.agents.realtime import mcp as mcp_module
from media_host.agents.realtime.session_setup import McpTool
from shared.config.document import parse_config
from shared.config.realtime import TurnDetection
from shared.errors import AgentUnavailable, ConfigurationError
from tests.media_host.agents.realtime.field.support import talking
from tests.media_host.agents.realtime.support import FRAME, START, Host, agent
from tests.support.realtime_server import RealtimeServer, echo
from tests.support.virtual_loop import run_virtually


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
