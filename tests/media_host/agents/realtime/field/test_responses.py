"""What users of other voice projects have reported: responses that do not come, or come twice.

A test is named after the repository and the number of the report (realtime.md section 13): one for each report that a WebSocket
can show. The model's side is a real server on 127.0.0.1.
"""

import asyncio

import pytest

from media_host.agents.base import Delayed, Fault, ToolCall, TurnEnded, TurnStarted
from media_host.agents.realtime import waiting
from tests.media_host.agents.realtime.field.support import SECOND, answering, talking
from tests.media_host.agents.realtime.support import settled
from tests.support.realtime_server import RealtimeServer
from tests.support.virtual_loop import run_virtually


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
