"""Both vendors' clients hold a conversation with the emulated models: real speech in, real speech out."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

import openai
import pytest
import pytest_asyncio
from azure.ai.voicelive.aio import connect
from azure.ai.voicelive.models import FunctionCallOutputItem, InputTextContentPart, UserMessageItem
from azure.core.credentials import AzureKeyCredential

from emulator.realtime import EmulatedModel, ModelFaults, load_script
from emulator.realtime.script import SCRIPTS
from media_host.agents.embedded.grammar import compile_pattern
from media_host.speech import Speech
from media_host.speech.recogniser import dictionary_words
from media_host.tools.samples import ORDERS, lookup_order
from tests.support.timing import patience

pytestmark = pytest.mark.asyncio(loop_scope="module")

KEY = "a-key-of-the-emulator"
TOOLS = [
    {
        "type": "function",
        "name": name,
        "description": name,
        "parameters": {"type": "object", "properties": {}},
    }
    for name in ("lookup_order", "end_call")
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def speech():
    async with Speech() as speech:
        yield speech


class Talk:
    """One conversation; the clients of both SDKs have the same methods."""

    def __init__(self, client, user_text, tool_output):
        self.client = client
        self.user_text = user_text
        self.tool_output = tool_output

    async def until(self, *kinds):
        async with asyncio.timeout(patience(15)):
            while True:
                event = await self.client.recv()
                assert event.type != "error", event
                if event.type in kinds:
                    return event

    async def hear(self, pcm):
        for at in range(0, len(pcm), 4800):
            audio = base64.b64encode(pcm[at : at + 4800]).decode()
            await self.client.input_audio_buffer.append(audio=audio)

    async def words(self, kind):
        done = await self.until(f"{kind}.done")
        return done.transcript, done.item_id

    async def tell(self, item):
        await self.client.conversation.item.create(item=item)
        await self.client.response.create()


def written(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def output(call_id, output):
    return {"type": "function_call_output", "call_id": call_id, "output": output}


@asynccontextmanager
async def openai_client(model):
    client = openai.AsyncOpenAI(api_key=KEY, websocket_base_url=f"{model.endpoint}/v1")
    async with client.realtime.connect(model="gpt-realtime-2") as connection:
        transcription = {"model": "gpt-4o-mini-transcribe"}
        audio = {"input": {"transcription": transcription}}
        session = {"type": "realtime", "audio": audio, "tools": TOOLS}
        yield Talk(connection, written, output), session, "response.output_audio_transcript"


@asynccontextmanager
async def voicelive_client(model):
    credential = AzureKeyCredential(KEY)
    async with connect(endpoint=model.endpoint, credential=credential, model="gpt-realtime") as connection:
        session = {"input_audio_transcription": {"model": "azure-speech"}, "tools": TOOLS}
        talk = Talk(
            connection,
            lambda text: UserMessageItem(content=[InputTextContentPart(text=text)]),
            lambda call_id, output: FunctionCallOutputItem(call_id=call_id, output=output),
        )
        yield talk, session, "response.audio_transcript"


@pytest.mark.parametrize("connected", [openai_client, voicelive_client])
async def test_an_sdk_holds_a_conversation(connected, speech, spoken):
    script = load_script(SCRIPTS / "order_desk.yaml")
    async with (
        EmulatedModel(script, key=KEY, speech=speech, faults=ModelFaults(first_audio_s=0, speed=50)) as model,
        connected(model) as (talk, session, transcript),
    ):
        client = talk.client
        await talk.until("session.created")
        await client.session.update(session=session)
        await talk.until("session.updated")
        await client.response.create()
        assert "How can I help" in (await talk.words(transcript))[0]
        await talk.until("response.done")

        await talk.hear(spoken["where is my order"])
        await talk.until("input_audio_buffer.speech_stopped")
        heard = await talk.until("conversation.item.input_audio_transcription.completed")
        assert heard.transcript == "where is my order"
        assert "order number" in (await talk.words(transcript))[0]
        await talk.until("response.done")

        await talk.tell(talk.user_text("[keypad] 42719#"))
        call = await talk.until("response.function_call_arguments.done")
        assert (call.name, json.loads(call.arguments)) == ("lookup_order", {"order_number": "42719"})
        await talk.until("response.done")

        (server,) = model.sessions
        server.faults.speed = 2
        order = json.dumps(await lookup_order(json.loads(call.arguments)))
        await talk.tell(talk.tool_output(call.call_id, order))
        await talk.until(transcript.replace("_transcript", "") + ".delta")
        await talk.hear(spoken["stop that is enough"])
        await talk.until("input_audio_buffer.speech_started")
        said, item_id = await talk.words(transcript)
        assert said
        assert ORDERS["42719"]["summary"].startswith(said)
        assert said != ORDERS["42719"]["summary"]
        done = await talk.until("response.done")
        assert done.response.status == "cancelled"
        assert done.response.status_details.reason == "turn_detected"
        await client.conversation.item.truncate(item_id=item_id, content_index=0, audio_end_ms=20)
        await talk.until("conversation.item.truncated")
        server.faults.speed = 50
        assert "anything else" in (await talk.words(transcript))[0]
        await talk.until("response.done")

        await talk.hear(spoken["goodbye"])
        assert "Thank you for calling" in (await talk.words(transcript))[0]
        call = await talk.until("response.function_call_arguments.done")
        assert (call.name, json.loads(call.arguments)) == ("end_call", {"reason": "goodbye"})


async def test_openais_client_is_let_in_to_azure_by_its_own_header():
    async with EmulatedModel(key=KEY) as model:
        base = f"{model.endpoint}/openai/v1"
        client = openai.AsyncOpenAI(
            api_key="unused", websocket_base_url=base, default_headers={"api-key": KEY}
        )
        async with client.realtime.connect(model="deployment") as connection:
            talk = Talk(connection, written, output)
            await talk.until("session.created")
            await connection.session.update(session={"type": "realtime", "instructions": "be brief"})
            updated = await talk.until("session.updated")
            assert (updated.session.model, updated.session.instructions) == ("deployment", "be brief")


async def test_the_recogniser_knows_every_word_of_the_shipped_script(speech):
    script = load_script(SCRIPTS / "order_desk.yaml")
    words = set()
    for rule in script.file.rules:
        for pattern in rule.heard:
            words |= compile_pattern(pattern, script.file.macros).words
    assert words <= dictionary_words()
    assert script.grammar
    await speech.recogniser.prepare(script.grammar.jsgf)
