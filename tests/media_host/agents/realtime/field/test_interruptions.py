"""What users of other voice projects have reported: interruptions.

A test is named after the repository and the number of the report (realtime.md section 13): one for each report that a WebSocket
can show. The model's side is a real server on 127.0.0.1.
"""

from media_host.agents.base import Fault, Heard, SpeechStarted, ToolCall, TurnEnded, TurnStarted
from tests.media_host.agents.realtime.field.support import SECOND, answering
from tests.media_host.agents.realtime.support import FRAME, settled


def of_items(session):
    return [kind for kind in session.types if kind.startswith("conversation.item.")]


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
