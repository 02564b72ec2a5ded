"""`voice-agent.v1`: its JSON Schema, its page and its examples, held against each other and against what we send."""

import asyncio
import base64
import json
import math
import os
import re
import shutil
import struct
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import jsonschema
import msgspec
import pytest

from emulator.phone.script import load_script
from media_host.agents import voice_protocol
from media_host.agents.base import (
    AgentStart,
    Codec,
    Ended,
    Heard,
    Said,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    ToolSpec,
    Transcript,
    TransferType,
    TurnEnded,
)
from media_host.agents.websocket import LIMITS, WebSocketAgent
from shared.config.agents import WebSocketAgentConfig
from shared.config.document import parse_config
from shared.errors import AgentUnavailable, InvalidInput
from tests.support.agent_host import NotingHost
from tests.support.node import node_modules
from tests.support.tap import Tap
from tests.support.timing import patience

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = DOCS / "examples"
SCHEMA = json.loads((DOCS / "voice-agent.v1.schema.json").read_text())
DEFS = SCHEMA["$defs"]
PAGE = (DOCS / "voice-agent.md").read_text()


def types_of(side):
    return [ref["$ref"].rpartition("/")[2] for ref in DEFS[side]["oneOf"]]


def validator_of(name):
    return jsonschema.Draft202012Validator({**SCHEMA, "oneOf": [{"$ref": f"#/$defs/{name}"}]})


HOST, AGENT = types_of("hostMessage"), types_of("agentMessage")


def check(message, side="hostMessage"):
    """The message is as the schema says, and has no field that the schema does not know."""
    validator_of(side).validate(message)
    assert set(message) <= set(DEFS[message["type"]]["properties"])


# --- the schema


def test_the_schema_is_one_and_describes_everything():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for type in HOST + AGENT:
        message = DEFS[type]
        assert message["properties"]["type"] == {"const": type}
        assert message["description"].endswith(".")
        assert message["examples"]


@pytest.mark.parametrize("type", HOST + AGENT)
def test_its_examples_are_as_it_says_and_we_take_those_of_agents(type):
    for example in DEFS[type]["examples"]:
        check(example, "hostMessage" if type in HOST else "agentMessage")
        if type in AGENT:
            message = voice_protocol.decode(json.dumps(example).encode())
            assert message is not None
            told = {"type": type, **msgspec.to_builtins(message)}
            defaults = {name: field.get("default") for name, field in DEFS[type]["properties"].items()}
            left_out = {
                name for name in set(example) - set(told) if example[name] in (defaults[name], {}, "")
            }
            assert told == {name: value for name, value in example.items() if name not in left_out}


def test_it_knows_the_very_messages_that_we_take():
    assert set(voice_protocol._DECODERS) == set(AGENT)
    for type, decoder in voice_protocol._DECODERS.items():
        fields = {field.encode_name: field for field in msgspec.structs.fields(decoder.type)}
        described = DEFS[type]
        assert set(fields) | {"type"} == set(described["properties"])
        assert {name for name, field in fields.items() if field.required} == set(described["required"]) - {
            "type"
        }


def wrong(example):
    """Variations of a good message, most of which are no longer good."""
    for name, value in example.items():
        if name == "type":
            continue
        yield {key: kept for key, kept in example.items() if key != name}
        for other in (
            None,
            17,
            -1,
            1.5,
            True,
            "",
            "x",
            "x y",
            "x" * 70,
            "X" * 17_000,
            [],
            [1],
            {},
            {"a": 1},
            {"a": "b"},
        ):
            yield {**example, name: other}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield from ({**example, name: [part]} for part in wrong(value[0]))


@pytest.mark.parametrize("type", AGENT)
def test_what_it_refuses_we_refuse_and_what_it_takes_we_take(type):
    validator = validator_of(type)
    for example in DEFS[type]["examples"]:
        for message in wrong(example):
            try:
                voice_protocol.decode(json.dumps(message).encode())
                taken = True
            except InvalidInput:
                taken = False
            if type == "ready" and isinstance(message.get("codec"), str):
                assert taken or not validator.is_valid(
                    message
                )  # any name of a format: the call is refused by it
            else:
                assert taken is validator.is_valid(message), message


# --- the page


def test_the_page_names_every_message_and_every_limit():
    for type in HOST + AGENT:
        assert f"`{type}`" in PAGE
        for field in set(DEFS[type]["properties"]) - {"type"}:
            assert re.search(rf"`{field}`|\"{field}\"", PAGE), f"{type}.{field}"
    for limit in (
        voice_protocol.MAX_MESSAGE // 1024,
        voice_protocol.MAX_VARIABLES,
        voice_protocol.MAX_HISTORY,
        LIMITS.rate,
    ):
        assert str(limit) in PAGE.replace(",", "")


def test_every_json_object_of_the_page_is_a_message():
    found = re.findall(r"^(?:→|←) (\{.*\})$", PAGE, re.MULTILINE)
    assert len(found) > 8
    for text in found:
        message = json.loads(text)
        check(message, "hostMessage" if message["type"] in HOST else "agentMessage")


def test_the_pages_configuration_and_its_callers_script_are_good():
    text = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)[1]
    others = "  reception: {kind: embedded, dialogue: d.yaml}\nroutes:"
    tool = "tools: {lookup_order: {kind: python, entry_point: 'a:b', description: x}}\n"
    config = parse_config((text.replace("routes:", others) + tool).encode())
    assert isinstance(config.agents["mine"], WebSocketAgentConfig)
    assert load_script(EXAMPLES / "voice_agent_call.yaml").to == config.routes[0].to[0]


# --- the examples


@asynccontextmanager
async def running(command, folder, **environment):
    """An example as a process; its address."""
    process = await asyncio.create_subprocess_exec(
        *command, "0", cwd=folder, env={**os.environ, **environment}, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(patience(20)):
            printed = await process.stdout.readline()
        yield re.search(rb"ws://[\d.:]+", printed)[0].decode()
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


@pytest.fixture(params=["python", "javascript"])
def command(request, tmp_path):
    """How to run an example, and where: JavaScript in a folder of its own, as a project with its `node_modules` would be."""
    if request.param == "python":
        return [sys.executable, str(EXAMPLES / "voice_agent.py")], tmp_path
    modules = node_modules(EXAMPLES / "package.json")
    shutil.copy(EXAMPLES / "voice_agent.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(modules)
    return ["node", "voice_agent.mjs"], tmp_path


class Key:
    async def get(self, reference):
        return "right" if reference == "RIGHT" else "wrong"


def agent_at(url, key="RIGHT"):
    return WebSocketAgent(
        WebSocketAgentConfig(url=url, key=key, greeting="Hi {{name}}"), Key(), start_s=patience(10)
    )


def caller(agent, level, ms):
    """So much of the caller's voice: a square wave of that level, in 20 ms frames."""
    frame = struct.pack("<480h", *(level if n % 40 < 20 else -level for n in range(480)))
    for _ in range(ms // 20):
        agent.send_audio(base64.b64encode(frame))
    return frame * (ms // 20)


TOOL = ToolSpec("lookup_order", "Finds an order.", {"type": "object", "properties": {}})
START = AgentStart("call-1", Codec.PCM16_24K, "order_desk", {"name": "Ann"}, [TOOL])


async def test_a_whole_call_with_an_example_every_message_as_the_schema_says(command):
    async with running(*command, AGENT_KEY="right") as url, Tap(url, voice_protocol.SUBPROTOCOL) as tap:
        host = NotingHost([Said("caller", "before")])
        agent = agent_at(tap.url)
        await agent.start(START, host)

        await host.got(TurnEnded)
        assert host.of(Transcript) == [Transcript("agent", "Hi Ann", "t1", [])]
        tone = struct.unpack("<9600h", host.sound["t1"])
        assert (max(tone), tone[0], round(tone[100])) == (
            6000,
            0,
            math.trunc(6000 * math.sin(2 * math.pi * 440 * 100 / 24000)),
        )
        agent.played("t1")

        words = caller(agent, 5000, 300)
        await host.got(SpeechStarted)
        agent.flushed([Heard("t1", 100, 400)])
        words += caller(agent, 0, 600)
        await host.got(SpeechStopped)
        await host.got(TurnEnded, 2)
        assert host.sound["t2"] == words

        agent.send_key("7")
        await host.got(TurnEnded, 3)
        agent.send_key("#")
        (call,) = await host.got(ToolCall)
        assert (call.name, call.arguments) == ("lookup_order", {"order_number": "7"})
        await agent.tool_result(call.id, {"status": "shipped"})
        await host.got(TurnEnded, 4)
        await agent.say("One moment.")
        await agent.send_text("silence")
        await host.got(TurnEnded, 6)
        assert [said.text for said in host.of(Transcript)][2:] == [
            "You pressed 7.", host.of(Transcript)[3].text, "One moment.", "silence",
        ]  # fmt: skip
        assert json.loads(host.of(Transcript)[3].text) == {"status": "shipped"}
        await agent.listen_only()
        agent.send_key("0")
        (end,) = await host.got(Ended)
        assert (end.outcome, end.target, end.task) == (TransferType.AGENT, "human", "order_desk")
        await agent.close()
    for message in tap.to_server:
        check(message, "hostMessage")
    for message in tap.to_client:
        check(message, "agentMessage")
    assert {message["type"] for message in tap.to_server} == set(HOST)
    assert {message["type"] for message in tap.to_client} == set(AGENT) - {"error"}
    assert tap.audio[0] == len(words)


async def test_an_example_refuses_whoever_does_not_know_the_key_and_formats_that_it_does_not_speak(command):
    async with running(*command, AGENT_KEY="right") as url:
        with pytest.raises(AgentUnavailable, match="HTTP 401"):
            await agent_at(url, key="OTHER").start(START, NotingHost())
        with pytest.raises(AgentUnavailable, match="HTTP 401"):
            await agent_at(url, key="").start(START, NotingHost())
        with pytest.raises(AgentUnavailable, match="codec: only pcm16"):
            await agent_at(url).start(AgentStart("c", Codec.ULAW_8K), NotingHost())
