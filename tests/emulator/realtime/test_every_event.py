"""Each event type that the emulated models send, judged by the vendors' SDKs."""

import pytest

from emulator.realtime import Call, CallMcp, EmulatedModel, ModelFaults, Say
from tests.emulator.realtime.oracle import CHECKS, check_flat, check_ga
from tests.emulator.realtime.raw_client import CREATED, TRANSCRIBED, WRITTEN, raw_client

BOTH = {
    "session.created",
    "session.updated",
    "error",
    "input_audio_buffer.committed",
    "input_audio_buffer.cleared",
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "conversation.item.input_audio_transcription.completed",
    "conversation.item.input_audio_transcription.failed",
    "conversation.item.truncated",
    "conversation.item.deleted",
    "conversation.item.retrieved",
    "response.created",
    "response.done",
    "response.output_item.added",
    "response.output_item.done",
    "response.content_part.added",
    "response.content_part.done",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.mcp_call_arguments.delta",
    "response.mcp_call_arguments.done",
    "response.mcp_call.in_progress",
    "response.mcp_call.completed",
    "mcp_list_tools.in_progress",
    "mcp_list_tools.completed",
    "mcp_list_tools.failed",
}
ONLY = {
    "ga": {
        "conversation.item.added",
        "conversation.item.done",
        "rate_limits.updated",
        "input_audio_buffer.timeout_triggered",
        *(f"response.output_{kind}" for kind in ("audio.delta", "audio.done", "text.delta", "text.done")),
        "response.output_audio_transcript.delta",
        "response.output_audio_transcript.done",
    },
    "flat": {
        "conversation.item.created",
        "response.audio.delta",
        "response.audio.done",
        "response.audio_timestamp.delta",
        "response.audio_timestamp.done",
        "response.audio_transcript.delta",
        "response.audio_transcript.done",
        "response.text.delta",
        "response.text.done",
    },
}


def mind():
    """Answers by what the client writes: `say`, `call`, `mcp`."""

    def answer(prompt):
        wanted = (
            prompt.news[-1]["content"][0].get("text")
            if prompt.news and "content" in prompt.news[-1]
            else "say"
        )
        return {
            "call": [Say("hm"), Call("look_up", {"n": 1})],
            "mcp": [CallMcp("crm", "find", {"who": "me"})],
        }.get(wanted, [Say("one two three", bytes(4800))])

    return answer


def mcp(label, approval):
    return {
        "type": "mcp",
        "server_label": label,
        "server_url": "https://crm.example",
        "require_approval": approval,
    }


TOOL = {"type": "function", "name": "look_up", "description": "Looks up.", "parameters": {"type": "object"}}
TEXT = {"ga": {"output_modalities": ["text"]}, "flat": {"modalities": ["text"]}}
WORDS = {"ga": {}, "flat": {"output_audio_timestamp_types": ["word"]}}


@pytest.mark.parametrize("dialect", ["ga", "flat"])
async def test_every_event_is_what_the_sdk_expects(dialect, spoken):
    faults = ModelFaults(first_audio_s=0, speed=0)
    servers = {"crm": ["find", "hide"]}
    async with (
        EmulatedModel(answer=mind, faults=faults, mcp=servers) as model,
        raw_client(model, dialect) as client,
    ):
        tools = [TOOL, mcp("crm", "always"), mcp("gone", "never")]
        await client.update({**TRANSCRIBED[dialect], **WORDS[dialect], "tools": tools})
        await client.until("mcp_list_tools.failed")
        await client.hear(spoken["where is my order"])
        await client.until("conversation.item.input_audio_transcription.completed")
        await client.done()
        spoken_item = client.of("response.output_item.done")[-1]["item"]["id"]
        for kind, more in (
            ("retrieve", {}),
            ("truncate", {"content_index": 0, "audio_end_ms": 40}),
            ("delete", {}),
        ):
            await client.send(f"conversation.item.{kind}", item_id=spoken_item, **more)
        await client.until("conversation.item.deleted")
        await client.send("response.cancel", event_id="c")
        assert (await client.error("c"))["code"] == "response_cancel_not_active"
        # a function, its output, a text
        await client.user("call")
        await client.send("response.create")
        call = (await client.done())["output"][1]
        item = {"type": "function_call_output", "call_id": call["call_id"], "output": "{}"}
        await client.send("conversation.item.create", item=item)
        content = [{"type": WRITTEN[dialect], "text": "before"}]
        item = {"type": "message", "role": "assistant", "content": content}
        await client.send("conversation.item.create", item=item, previous_item_id="root")
        await client.until(CREATED[dialect], previous_item_id=None)
        await client.send("response.create", response=TEXT[dialect])
        await client.done()
        # an MCP server: asked for, approved; then never asked for
        await client.user("mcp")
        await client.send("response.create")
        request = (await client.done())["output"][0]
        assert request["type"] == "mcp_approval_request"
        item = {"type": "mcp_approval_response", "approval_request_id": request["id"], "approve": True}
        await client.send("conversation.item.create", item=item)
        await client.until("response.mcp_call.completed")
        await client.update({"tools": [mcp("crm", "never")]})
        await client.user("mcp")
        await client.send("response.create")
        await client.done()
        # by hand; a transcription that fails; a buffer that is cleared
        await client.turn_detection(None)
        session = await model.session()
        session.faults.transcription_failed = 1
        await client.hear(bytes(9600))
        await client.send("input_audio_buffer.commit")
        await client.until("conversation.item.input_audio_transcription.failed")
        await client.send("input_audio_buffer.clear")
        await client.until("input_audio_buffer.cleared")
        # ends: cancelled, failed
        session.faults.speed = 0.01
        await client.send("response.create")
        await client.until("response.content_part.added")
        await client.send("response.cancel")
        assert (await client.done())["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
        session.faults.failed_responses = 1
        await client.send("response.create")
        assert (await client.done())["status_details"]["error"]["code"] == "rate_limit_exceeded"
        if dialect == "ga":
            session.faults.speed = 0
            await client.turn_detection({"type": "server_vad", "idle_timeout_ms": 1})
            await client.send("response.create")
            await client.until("input_audio_buffer.timeout_triggered")
        for event in client.events:
            CHECKS[dialect](event)
    seen = {event["type"] for event in client.events}
    assert seen == (BOTH | ONLY[dialect]), seen ^ (BOTH | ONLY[dialect])


async def test_a_session_of_a_foundry_agent(spoken):
    path = (
        "/voice-live/realtime?api-version=2026-07-15&agent-name=desk&agent-project-name=p&conversation-id=c1"
    )
    async with EmulatedModel() as model, raw_client(model, "flat", path) as client:
        created = await client.until("session.created")
        assert check_flat(created).session.agent.thread_id == "c1"
        await client.send("session.update", session={"instructions": "no"}, event_id="cfg")
        error = await client.error("cfg")
        assert (error["code"], error["param"]) == ("invalid_value", "session.instructions")
        assert (await client.update({"metadata": {"call": "1"}}))["agent"]["name"] == "desk"


def test_the_judges_see_a_wrong_field():
    event = {"type": "input_audio_buffer.cleared", "event_id": "e"}
    check_ga(event)
    check_flat(event)
    for check in (check_ga, check_flat):
        with pytest.raises(AssertionError):
            check({**event, "colour": "red"})
