"""Barge-in: what the model is told when the caller talks over the agent, and prompts that must be heard out."""

import pytest

from media_host.agents.base import Delayed, Fault, Heard, SpeechStopped, Transcript, TurnEnded, TurnStarted
from media_host.agents.realtime import waiting
from tests.media_host.agents.realtime.support import START, Host, agent, settled

SECOND = bytes(48_000)


async def begun(server, **changes):
    one, host = agent(server.endpoint, **changes), Host()
    host.agent = one
    await one.start(START, host)
    return one, host, await server.session()


def manual(update):
    """Whether a session.update leaves turn-taking to us."""
    session = update["session"]
    turns = (session["audio"]["input"] if "audio" in session else session)["turn_detection"]
    assert turns["create_response"] == turns["interrupt_response"]
    return not turns["create_response"]


async def test_barge_in_cancels_then_cuts_and_drops_what_comes_late(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await session.delta("resp_1", "item_2", SECOND)
    await host.until(lambda: len(host.heard) == 96_000)
    host.unheard.clear()
    one.flushed([Heard("resp_1/item_1", 420, 1000), Heard("resp_1/item_2", 0, 1000)])
    assert (await session.next("response.cancel"))["response_id"] == "resp_1"
    await session.delta("resp_1", "item_2", b"\x03" * 960)
    await session.delta("resp_1", "item_3", b"\x03" * 960, later=1)
    await session.error("response_cancel_not_active", "cancel_1")
    await settled(one, session)
    assert "conversation.item.truncate" not in session.types, "it is still being made"
    await session.done("resp_1", "cancelled")
    truncate = await session.next("conversation.item.truncate")
    assert (truncate["item_id"], truncate["content_index"], truncate["audio_end_ms"]) == ("item_1", 0, 420)
    deleted = [(await session.next("conversation.item.delete"))["item_id"] for _ in range(2)]
    assert deleted == ["item_2", "item_3"], "the caller heard neither"
    await session.created("resp_2")
    await session.delta("resp_2", "item_4", b"\x04" * 960)
    await host.until(lambda: len(host.heard) > 96_000)
    assert host.heard[96_000:] == b"\x04" * 960
    assert not host.of(Fault) and not host.of(TurnEnded)


@pytest.mark.parametrize(
    ("heard_ms", "sent"),
    [(0, "conversation.item.delete"), (500, "conversation.item.truncate"), (901, None), (1000, None)],
)
async def test_barge_in_after_the_response_is_done(call, heard_ms, sent):
    one, host, session = call
    await session.says("resp_1", "A sentence.", SECOND)
    await host.wait_for(TurnEnded)
    one.flushed([Heard("resp_1/resp_1_item", heard_ms, 1000)])
    await settled(one, session)
    events = [kind for kind in session.types if kind.startswith("conversation.item")]
    assert events == ([sent] if sent else [])
    assert "response.cancel" not in session.types


async def test_what_was_cut_off_is_told_with_the_words_so_far_and_only_once(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", SECOND)
    await session.words("resp_1", "item_1", "This is ", done=False)
    await session.words("resp_1", "item_1", "a long", done=False)
    await session.speech(started=False)
    await host.wait_for(SpeechStopped)
    one.flushed([Heard("resp_1/item_1", 500, 1000)])
    assert host.of(Transcript) == [Transcript("agent", "This is a long", "resp_1/item_1")]
    await session.words("resp_1", "item_1", "This is a long sentence.")
    await session.done("resp_1", "cancelled")
    await settled(one, session)
    await session.speech(started=False)
    await host.wait_for(SpeechStopped, 2)
    assert len(host.of(Transcript)) == 1


async def test_a_flush_of_turns_that_nobody_knows_is_harmless(call):
    one, _host, session = call
    one.flushed([Heard("other/turn", 10, 1000)])
    one.played("other/turn")
    await settled(one, session)
    assert not [kind for kind in session.types if kind.startswith("conversation.item")]


# --- prompts that must be heard --------------------------------------------------------------------------------


async def test_a_greeting_that_must_be_heard_out(server):
    one, host, session = await begun(server, greeting="This call is recorded.", greeting_barge_in="never")
    assert manual(await session.next("session.update"))
    await session.next("response.create")
    await session.speech(started=True)  # before it has begun
    await session.speech(started=False)
    await session.says("resp_1", "This call is recorded.", SECOND)
    await host.wait_for(TurnEnded)
    assert host.of(TurnStarted) == [TurnStarted("resp_1/resp_1_item", "never")]
    await session.speech(
        started=True
    )  # and while it is heard; this host flushes at once, so it is told not to
    host.agent = None
    await session.speech(started=False)
    await settled(one, session)
    assert session.types.count("session.update") == 1 and session.types.count("response.create") == 1


async def test_what_is_said_over_a_protected_greeting_is_not_answered_and_later_all_is_as_usual(server):
    one, host, session = await begun(server, greeting="This call is recorded.", greeting_barge_in="never")
    host.agent = None  # the host keeps the greeting going
    await session.next("session.update")
    await session.next("response.create")
    await session.says("resp_1", "This call is recorded.", SECOND)
    await host.wait_for(TurnEnded)
    await session.caller_turn("i", "Hello?")
    await settled(one, session)
    assert session.types.count("response.create") == 1 and "response.cancel" not in session.types
    one.send_key("1")
    assert host.interrupts == 0, "a key does not silence it either"
    host.play(one)
    assert not manual(await session.next("session.update")), "restored as soon as it was heard"
    await session.caller_turn("j", "Hello?")
    await settled(one, session)
    assert session.types.count("response.create") == 1, "from now on the model answers by itself"
    await one.close()


async def test_speech_that_outlasts_a_protected_greeting_is_answered(server):
    one, host, session = await begun(server, greeting="Recorded.", greeting_barge_in="never")
    host.agent = None
    await session.next("response.create")
    server.updated = lambda event: None  # the restoring update is not confirmed before the caller stops
    await session.says("resp_1", "Recorded.", SECOND)
    await host.wait_for(TurnEnded)
    await session.speech(started=True)
    await settled(one, session)
    host.play(one)
    await session.speech(started=False)
    await session.next("response.create")
    await one.close()


async def test_confirmed_speech_interrupts_and_is_answered_by_our_asking(server):
    one, host, session = await begun(server, barge_in="confirmed", greeting_barge_in="confirmed")
    host.agent = None
    assert manual(await session.next("session.update"))
    await session.next("response.create")
    await session.says("resp_1", "A long story.", SECOND)
    await host.wait_for(TurnEnded)
    await session.speech(started=True)  # mhm
    await session.speech(started=False)
    await settled(one, session)
    assert session.types.count("response.create") == 1
    await session.speech(started=True)
    await settled(one, session)
    host.barge_in(one, heard_ms=300)  # it lasted
    await session.next("conversation.item.truncate")
    await session.speech(started=False)
    await session.next("response.create")
    await session.says("resp_2", "Yes?", SECOND)
    await host.wait_for(TurnEnded, 2)
    host.play(one)
    await session.caller_turn("i")  # into silence
    await session.next("response.create")
    assert session.types.count("session.update") == 1, "nothing to restore"
    assert {turn.barge_in for turn in host.of(TurnStarted)} == {"confirmed"}
    await one.close()


async def test_an_answer_that_nobody_has_heard_yet_gives_way_to_what_the_caller_adds(server):
    one, host, session = await begun(server, barge_in="confirmed")
    await session.next("response.create")
    await session.says("resp_1", "Good day.")
    await host.wait_for(TurnEnded)
    host.play(one)
    await session.caller_turn("i")
    await session.next("response.create")
    await session.created("resp_2")
    await session.speech(started=True)
    assert (await session.next("response.cancel"))["response_id"] == "resp_2"
    await session.done("resp_2", "cancelled")
    await session.speech(started=False)
    await session.next("response.create")
    await one.close()


# --- late ------------------------------------------------------------------------------------------------------


async def test_a_late_answer_is_announced_asked_for_and_then_given_up(server, monkeypatch):
    monkeypatch.setattr(waiting, "LATE_S", 0.03)
    monkeypatch.setattr(waiting, "GIVE_UP_S", 0.1)
    one, host, session = await begun(server)
    await session.next("response.create")
    await session.says("resp_1", "Good day.")
    await host.wait_for(TurnEnded)
    host.play(one)
    await session.caller_turn("i")
    assert (await host.wait_for(Delayed)).code == "response_late"
    await session.next("response.create")  # the model forgot: it is asked
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("response_late", True)
    await one.close()


async def test_nobody_is_told_to_wait_while_the_agent_is_heard(server, monkeypatch):
    monkeypatch.setattr(waiting, "LATE_S", 0.03)
    one, host, session = await begun(server)
    await session.next("response.create")
    await session.says("resp_1", "Good day.", SECOND)
    await host.wait_for(TurnEnded)
    await one.say("And another thing.")
    second = await session.next("response.create")
    assert "another" in str(second)
    await session.created("resp_2")
    await session.delta("resp_2", "item_2", SECOND)
    await host.wait_for(TurnStarted, 2)
    await settled(one, session)
    assert not host.of(Delayed)
    await one.close()
