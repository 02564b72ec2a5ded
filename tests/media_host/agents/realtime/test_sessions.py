"""Lost sessions are replaced; the conversation goes on."""

import asyncio
from http import HTTPStatus

import pytest

from media_host.agents.base import (
    AgentStart,
    Codec,
    Delayed,
    Ended,
    Fault,
    Said,
    SpeechStarted,
    SpeechStopped,
    ToolCall,
    Transcript,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.realtime import hearing
from shared.config.realtime import FoundryAgent
from tests.media_host.agents.realtime.lasting import frames, numbered, virtually
from tests.media_host.agents.realtime.support import FRAME, START, Host, agent, settled
from tests.support.realtime_server import RealtimeServer
from tests.support.virtual_loop import run_virtually


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 1013, "session_expired"])
def test_a_lost_session_is_replaced_and_no_frame_is_lost(code):
    async def test(server, one, host, session):
        host.past.append(Said("caller", "My order?"))
        for number in range(10):
            one.send_audio(numbered(number))
        await settled(one, session)
        if code == "session_expired":
            await session.error("session_expired")
        elif code == 1006:
            session.socket.transport.abort()
        else:
            await session.socket.close(code)
        await host.wait_for(Delayed)
        for number in range(10, 20):
            one.send_audio(numbered(number))
        second = await server.session()
        await second.next("input_audio_buffer.append")
        await settled(one, second)
        assert frames(second)[:10] == list(range(10, 20))
        assert second.texts == [("assistant", "Good day."), ("user", "My order?")]
        assert [event.code for event in host.of(Delayed)] == ["agent_reconnecting"]
        assert "response.create" not in second.types, "nobody waits for an answer"
        assert not host.of(Fault) and not host.of(Ended)

    run_virtually(virtually(test))


def test_a_session_lost_in_a_response_goes_on_without_another_greeting():
    async def test(server, one, host, session):
        await session.created("resp_2")
        await session.delta("resp_2", "item_2", bytes(48_000))
        await session.words("resp_2", "item_2", "Your order is", done=False)
        await host.wait_for(TurnStarted, 2)
        await asyncio.sleep(0)
        await session.socket.close(1011)
        second = await server.session()
        await second.next("response.create")
        assert host.of(TurnEnded)[-1].turn == "resp_2/item_2", "what has come is heard"
        assert second.texts[-2][0:2] == ("assistant", "Your order is")
        assert "do not greet" in second.texts[-1][1]
        await second.created("resp_2")  # its names mean other things
        await second.delta("resp_2", "item_2", bytes(960))
        await host.wait_for(TurnStarted, 3)
        assert host.of(TurnStarted)[-1].turn != "resp_2/item_2"
        host.barge_in(one)
        await second.next("response.cancel")
        await second.done("resp_2", "cancelled")
        deleted = [await second.next("conversation.item.delete")]
        await settled(one, second)
        assert len(deleted) == len(second.of("conversation.item.delete")), "only what this session knows"

    run_virtually(virtually(test))


def test_a_greeting_that_was_not_begun_is_said_by_the_next_session_once():
    async def main():
        async with RealtimeServer() as server:
            one, host = agent(server.endpoint, greeting="Good day."), Host()
            await one.start(START, host)
            session = await server.session()
            await session.next("response.create")
            await session.created("resp_1")
            await session.socket.close(1011)
            second = await server.session()
            await second.next("response.create")
            await second.says("resp_1", "Good day.")
            await host.wait_for(TurnEnded)
            await settled(one, second)
            assert second.types.count("response.create") == 1
            await one.close()

    run_virtually(main())


@pytest.mark.parametrize(("while_speaking_s", "asks"), [(0.5, False), (1.5, True)])
def test_who_loses_more_than_a_second_is_asked_to_repeat(while_speaking_s, asks):
    async def test(server, one, host, session):
        await session.speech(started=True)
        await settled(one, session)
        await asyncio.sleep(while_speaking_s)
        await session.socket.close(1011)
        second = await server.session()
        await second.next("input_audio_buffer.append") if not asks else await second.next("response.create")
        assert ("repeat" in str(second.texts)) is asks

    async def sending(server, one, host, session):
        async def speak():
            while True:
                one.send_audio(FRAME)
                await asyncio.sleep(0.02)

        speaker = asyncio.create_task(speak())
        try:
            await test(server, one, host, session)
        finally:
            speaker.cancel()

    run_virtually(virtually(sending))


def test_what_is_told_while_there_is_no_session_reaches_the_next_one():
    async def test(server, one, host, session):
        await session.calls("resp_2", "look_up", "{}")
        await host.wait_for(ToolCall)
        await session.socket.close(1011)
        await host.wait_for(Delayed)
        for key in "12#":
            one.send_key(key)
        await one.tool_result("c1", {"state": "sent"})
        await one.send_text("The caller is silent.")
        second = await server.session()
        await second.next("response.create")
        assert [role for role, _ in second.texts] == ["assistant", "user", "system", "system"]
        assert second.texts[1][1] == "[keypad] 12#" and '"sent"' in second.texts[2][1]
        await second.created("resp_1")
        await second.done("resp_1")
        await settled(one, second)
        assert second.types.count("response.create") == 1, "one answer to all of it"

    run_virtually(virtually(test))


def test_a_foundry_agents_thread_is_gone_on_with_and_given_up_if_it_is_refused():
    foundry = FoundryAgent(name="a", project="p")

    def created():
        return {"agent": {"type": "agent", "name": "a", "thread_id": "thread_1"}}

    async def main():
        async with RealtimeServer(created=created) as server:
            one, host = agent(server.endpoint, service="voice-live", model="", foundry_agent=foundry), Host()
            host.past.append(Said("caller", "My order?"))
            await one.start(AgentStart("c", Codec.PCM16_24K, resumed=True), host)
            session = await server.session()
            assert "conversation-id" not in session.path
            await session.next("response.create")
            await session.says("resp_1", "Here I am.")
            await host.wait_for(TurnEnded)
            host.play(one)
            await session.socket.close(1001)
            second = await server.session()
            await second.next("session.update")
            await settled(one, second)
            assert second.path.endswith("conversation-id=thread_1") and second.texts == []
            server.refuse = HTTPStatus.NOT_FOUND
            await second.socket.close(1001)
            await asyncio.sleep(0.1)
            server.refuse = None
            third = await server.session()
            await third.next("session.update")
            await settled(one, third)
            assert "conversation-id" not in third.path and third.texts == [("user", "My order?")]
            assert not host.of(Fault)
            await one.close()

    run_virtually(main())


def test_what_an_expired_session_still_says_is_not_heard():
    async def test(server, one, host, session):
        expired = '{"type":"error","event_id":"e","error":{"type":"x","code":"session_expired","message":""}}'
        session.socket.transport.pause_reading()
        for text in (
            expired,
            '{"type":"input_audio_buffer.speech_started","audio_start_ms":1,"item_id":"i"}',
        ):
            await session.send(text)
        await host.wait_for(Delayed)
        second = await server.session()
        await second.next("session.update")
        await settled(one, second)
        assert not host.of(SpeechStarted)

    run_virtually(virtually(test))


def test_the_model_goes_on_for_a_caller_who_was_waiting():
    async def test(server, one, host, session):
        await one.send_text("The caller is silent.")
        await session.next("response.create")
        await session.created("resp_2")
        await session.speech(started=False)
        await host.wait_for(SpeechStopped)
        await session.socket.close(1011)
        second = await server.session()
        await second.next("response.create")
        await settled(one, second)
        assert second.types.count("response.create") == 1

    run_virtually(virtually(test))


def test_words_that_do_not_come_do_not_keep_the_others_back():
    async def test(server, one, host, session):
        await session.caller_turn("a")
        await session.caller_turn("b", "Second.", previous="a")
        said = len(host.of(Transcript))
        await asyncio.sleep(hearing.WORDS_S + 0.1)
        assert [event.text for event in host.of(Transcript)[said:]] == ["Second."]

    run_virtually(virtually(test))


def test_a_protected_greeting_that_was_cut_short_does_not_protect_what_follows():
    async def main():
        async with RealtimeServer() as server:
            one, host = agent(server.endpoint, greeting="Recorded.", greeting_barge_in="never"), Host()
            await one.start(START, host)
            session = await server.session()
            await session.next("response.create")
            await session.created("resp_1")
            await session.delta("resp_1", "item_1", bytes(960))
            await host.wait_for(TurnStarted)
            await session.socket.close(1011)
            second = await server.session()
            await second.next("response.create")
            await settled(one, second)
            assert second.types.count("session.update") == 1, "what has come of it is not heard yet"
            host.play(one)
            await settled(one, second)
            update = second.of("session.update")[-1]["session"]["audio"]["input"]["turn_detection"]
            assert update["create_response"] is True
            await one.close()

    run_virtually(main())
