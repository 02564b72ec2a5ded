"""Sessions that end: renewed in time, sought again when lost; the conversation goes on."""

import asyncio
import base64
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
from media_host.agents.realtime import agent as agent_module
from media_host.agents.realtime import hearing, renewal
from shared.config.realtime import FoundryAgent
from shared.errors import AgentUnavailable
from tests.media_host.agents.realtime.support import FRAME, START, Host, agent, settled
from tests.support.realtime_server import RealtimeServer, echo
from tests.support.timing import patience
from tests.support.virtual_loop import run_virtually


def numbered(number):
    return base64.b64encode(number.to_bytes(4) * 240)


def frames(session):
    """The numbers of the caller's frames that a session got."""
    return [
        int.from_bytes(base64.b64decode(event["audio"])[:4])
        for event in session.of("input_audio_buffer.append")
    ]


async def greeted(server, **changes):
    one, host = agent(server.endpoint, greeting="Good day.", **changes), Host()
    await one.start(START, host)
    session = await server.session()
    await session.next("response.create")
    await session.says("resp_1", "Good day.")
    await host.wait_for(Transcript)
    host.play(one)
    host.past.append(Said("agent", "Good day."))
    return one, host, session


async def virtually(test, *, life_s=None, **changes):
    """Run `test(server, one, host, session)` for an agent that has greeted, on a clock that jumps."""
    loop = asyncio.get_running_loop()

    def created():
        return {} if life_s is None else {"expires_at": loop.time() + life_s}

    async with RealtimeServer(created=created) as server:
        one, host, session = await greeted(server, now=loop.time, **changes)
        await test(server, one, host, session)
        await one.close()


def test_a_session_is_renewed_before_it_expires_and_told_what_was_said():
    async def test(server, one, host, session):
        host.past += [Said("caller", "My order?"), Said("agent", "It is on its way.")]
        for number in range(120 * 50):
            one.send_audio(numbered(number))
            await asyncio.sleep(0.02)
        second = await server.session()
        assert second.texts[-3:] == [
            ("assistant", "Good day."),
            ("user", "My order?"),
            ("assistant", "It is on its way."),
        ]
        first_frames, second_frames = frames(session), frames(second)
        assert first_frames + second_frames == list(range(120 * 50))
        assert abs(len(first_frames) - 100 * 50) < 50, "five sixths of its life"
        assert second.types.count("response.create") == 0 and server.connections == 2
        assert session.socket.close_code == 1000
        assert not host.of(Delayed) and not host.of(Fault)

    run_virtually(virtually(test, life_s=120.0))


def test_a_session_that_names_no_end_is_renewed_all_the_same():
    async def test(server, one, host, session):
        await asyncio.sleep(70)
        assert server.connections == 2

    run_virtually(virtually(test, max_session_s=60))


@pytest.mark.parametrize("busy", ["agent speaks", "caller speaks", "tool runs"])
def test_a_quiet_moment_is_waited_for_but_not_for_ever(busy):
    async def test(server, one, host, session):
        if busy == "agent speaks":
            host.unheard["resp_1/resp_1_item"] = 48
        elif busy == "caller speaks":
            await session.speech(started=True)
        else:
            await session.calls("resp_2", "look_up", "{}")
            await host.wait_for(ToolCall)
        await asyncio.sleep(115)
        assert server.connections == 1
        await asyncio.sleep(10)
        assert server.connections == 2, "the latest moment has come"
        second = await server.session()
        if busy == "tool runs":
            await one.tool_result("c1", {"state": "sent"})
            await second.next("response.create")
            assert "look_up" in second.texts[-1][1] and '"sent"' in second.texts[-1][1]
            assert "function_call_output" not in str(second.seen), "it does not know the call"
        if busy == "caller speaks":
            await second.next("response.create")
            assert "repeat" in second.texts[-1][1]

    run_virtually(virtually(test, max_session_s=60))


def test_when_the_quiet_moment_has_gone_the_next_session_waits_for_another_one():
    async def test(server, one, host, session):
        def slow(event):
            host.unheard["x"] = 1  # the agent begins to speak while the next session is configured
            return echo(event)

        server.updated = slow
        await asyncio.sleep(65)
        assert server.connections == 2 and session.socket.close_code is None
        second = await server.session()
        assert second.types == ["session.update"]
        host.past.append(Said("agent", "said meanwhile"))
        host.unheard.clear()
        await asyncio.sleep(1)
        assert session.socket.close_code == 1000
        assert second.texts[-1] == ("assistant", "said meanwhile"), "the history is the newest"

    run_virtually(virtually(test, max_session_s=60))


def test_a_session_lost_while_the_next_one_is_ready_costs_nothing():
    async def test(server, one, host, session):
        def busy(event):
            host.unheard["x"] = 1
            return echo(event)

        server.updated = busy
        await asyncio.sleep(65)
        second = await server.session()
        await session.socket.close(1001)
        one.send_audio(FRAME)
        await second.next("input_audio_buffer.append")
        assert server.connections == 2 and not host.of(Fault)

    run_virtually(virtually(test, max_session_s=60))


def test_a_renewal_that_fails_is_tried_again():
    async def test(server, one, host, session):
        server.refuse = HTTPStatus.SERVICE_UNAVAILABLE
        await asyncio.sleep(62)
        assert server.connections == 2
        server.refuse = None
        await asyncio.sleep(10)
        assert server.connections == 3 and session.socket.close_code == 1000
        (fault,) = host.of(Fault)
        assert (fault.code, fault.fatal) == ("renewal_failed", False)

    run_virtually(virtually(test, max_session_s=60))


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


def test_a_model_that_does_not_come_back_is_given_up_after_three_tries():
    async def test(server, one, host, session):
        server.refuse = HTTPStatus.SERVICE_UNAVAILABLE
        began = asyncio.get_running_loop().time()
        await session.socket.close(1012)
        fault = await host.wait_for(Fault)
        assert (fault.code, fault.fatal) == ("agent_lost", True)
        assert server.connections == 1 + renewal.TRIES
        assert asyncio.get_running_loop().time() - began < renewal.WITHIN_S
        one.send_audio(FRAME)
        await one.close()
        assert host.log[-1] is fault

    run_virtually(virtually(test))


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND])
def test_a_model_that_does_not_let_us_in_again_is_given_up_at_once(status):
    async def test(server, one, host, session):
        server.refuse = status
        await session.socket.close(1001)
        assert (await host.wait_for(Fault)).fatal
        assert server.connections == 2

    run_virtually(virtually(test))


def test_a_model_that_hangs_mid_handshake_is_given_up_in_time(monkeypatch):
    async def test(server, one, host, session):
        server.updated = lambda event: None
        began = asyncio.get_running_loop().time()
        await session.socket.close(1001)
        assert (await host.wait_for(Fault)).fatal
        assert asyncio.get_running_loop().time() - began <= renewal.WITHIN_S + 0.1

    run_virtually(virtually(test))


def test_a_model_that_is_lost_again_and_again_is_given_up():
    async def test(server, one, host, session):
        for _ in range(renewal.LOSSES):
            await session.socket.close(1011)
            session = await server.session()
            await session.next("session.update")
            await asyncio.sleep(0.1)
        await session.socket.close(1011)
        assert (await host.wait_for(Fault)).fatal
        assert len(host.of(Delayed)) == renewal.LOSSES

    run_virtually(virtually(test))


def test_a_rule_that_was_broken_is_not_broken_again():
    async def test(server, one, host, session):
        await session.socket.close(1008)
        assert (await host.wait_for(Fault)).fatal
        assert server.connections == 1

    run_virtually(virtually(test))


def test_more_connections_than_the_resource_allows_are_not_tried():
    async def test(server, one, host, session):
        await session.socket.close(1001)
        fault = await host.wait_for(Fault)
        assert fault.fatal and "connections" in fault.message
        assert server.connections == 1

    run_virtually(virtually(test, connections_per_minute=1))


async def test_a_mistake_of_ours_is_the_agents_last_word_and_not_its_silence(monkeypatch):
    def broken(*args):
        raise ZeroDivisionError

    async with RealtimeServer() as server:
        monkeypatch.setattr(agent_module, "Renewal", broken)
        one, host = agent(server.endpoint), Host()
        await one.start(AgentStart("c", Codec.PCM16_24K), host)
        fault = await host.wait_for(Fault)
        assert (fault.code, fault.fatal) == ("agent_crashed", True)
        await one.close()


async def test_closing_while_a_new_session_is_sought_leaves_nothing_behind():
    async with RealtimeServer() as server:
        one, _host, session = await greeted(server)
        server.updated = lambda event: None
        await session.socket.close(1001)
        second = await server.session()
        await second.next("session.update")
        await one.close()
        async with asyncio.timeout(patience(10)):
            await second.ended.wait()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("realtime")]


@pytest.mark.parametrize(
    ("life", "longest", "due", "latest"),
    [
        (3600, 7200, 3300, 3360),
        (3600, 1500, 1500, 1560),
        (1800, 7200, 1500, 1560),
        (120, 7200, 100, 116),
        (None, 1500, 1500, 1560),
        (-5, 1500, 1500, 1560),
    ],
)
def test_the_plan(life, longest, due, latest):
    plan = renewal.Renewal(1000.0, None if life is None else 1000.0 + life, longest)
    assert (plan.due - 1000, plan.latest - 1000) == (due, latest)


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


async def test_a_model_that_hangs_up_at_once_is_not_taken_for_a_session():
    async def hang_up(event):
        await (await server.session()).socket.close(1011)

    async with RealtimeServer() as server:
        hanging = []

        def updated(event):
            hanging.append(asyncio.create_task(hang_up(event)))
            return echo(event)

        server.updated = updated
        one, host = agent(server.endpoint), Host()
        try:
            await one.start(START, host)
        except AgentUnavailable:
            pass
        else:  # it was there for a moment: then it is lost as any other, not kept as a corpse
            await host.wait_for(Delayed)
        await asyncio.gather(*hanging)
        await one.close()


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
