"""Who answers whom: one response at a time, keys, an agent that only listens, responses that are tried again."""

import pytest

from media_host.agents.base import Fault, Transcript, TurnStarted
from media_host.agents.realtime import keys, responses, waiting
from shared.errors import AgentUnavailable
from tests.media_host.agents.realtime.support import START, Host, agent, settled


async def test_one_response_at_a_time(call):
    one, host, session = call
    await session.next("response.create")
    await one.say("One moment.")
    await one.send_text("a")
    await one.send_text("b")
    await session.next("conversation.item.create")
    await session.says("resp_1", "Good day.")
    second = await session.next("response.create")
    assert "One moment." in str(second["response"])
    await session.error("conversation_already_has_active_response", second["event_id"])
    await session.says("resp_2", "by itself")
    third = await session.next("response.create")
    assert third["response"] == second["response"] and third["event_id"] != second["event_id"]
    await session.says("resp_3", "One moment.")
    fourth = await session.next("response.create")  # one for both texts
    assert "response" not in fourth
    await session.says("resp_4", "c")
    await settled(one, session)
    assert session.types.count("response.create") == 4
    assert not host.of(Fault)


async def test_a_model_that_never_answers_is_given_up(server, monkeypatch):
    monkeypatch.setattr(waiting, "FIRST_AUDIO_S", 0.05)
    one, host = agent(server.endpoint), Host()
    await one.start(START, host)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("response_late", True)
    await one.close()


async def test_a_request_that_is_not_taken_up_is_made_again(server, monkeypatch):
    monkeypatch.setattr(responses, "REQUEST_S", 0.02)
    one, host = agent(server.endpoint, greeting="Good day."), Host()
    await one.start(START, host)
    session = await server.session()
    first = await session.next("response.create")
    second = await session.next("response.create")
    assert first["response"] == second["response"] and first["event_id"] != second["event_id"]
    assert not (await host.wait_for(Fault)).fatal
    await one.close()


async def test_keys_are_told_as_text_when_complete_and_silence_the_agent(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", bytes(48_000))
    await host.until(lambda: host.heard)
    for key in "4271#":
        one.send_key(key)
    assert host.interrupts == 1 and host.quiet
    assert (await session.next("response.cancel"))["response_id"] == "resp_1"
    item = (await session.next("conversation.item.create"))["item"]
    assert item["content"] == [{"type": "input_text", "text": "[keypad] 4271#"}]
    await session.done("resp_1", "cancelled")
    await session.next("response.create")


async def test_keys_are_told_after_a_pause(call, monkeypatch):
    monkeypatch.setattr(keys, "PAUSE_S", 0.02)
    one, _, session = call
    one.send_key("1")
    one.send_key("2")
    item = (await session.next("conversation.item.create"))["item"]
    assert item["content"][0]["text"] == "[keypad] 12"


async def test_a_listener_says_nothing_and_hears_on(call):
    one, host, session = call
    await session.created("resp_1")
    await session.delta("resp_1", "item_1", b"ab")
    await host.wait_for(TurnStarted)
    await one.listen_only()
    assert (await session.next("response.cancel"))["response_id"] == "resp_1"
    await session.next("session.update")
    assert session.of("session.update")[-1]["session"] != session.seen[0]["session"]
    assert '"create_response": False' in str(session.of("session.update")[-1]).replace("'", '"')
    await session.done("resp_1", "cancelled")
    await session.caller_turn("i", "Hello.")
    one.send_key("1")
    await one.send_text("x")
    with pytest.raises(AgentUnavailable):
        await one.say("too late")
    await host.wait_for(Transcript)
    await session.created("resp_2")  # the model had begun before it knew
    assert (await session.next("response.cancel"))["response_id"] == "resp_2"
    await settled(one, session)
    assert session.types.count("response.create") == 1, "the greeting's"


@pytest.mark.parametrize("spoken", [False, True])
async def test_a_failed_response_is_asked_for_once_more_unless_the_caller_has_heard_nothing_yet(call, spoken):
    one, host, session = call
    await session.next("response.create")
    failed = {"status_details": {"type": "failed", "error": {"code": "rate_limit_exceeded"}}}
    if spoken:
        await session.says("resp_1", "Good day.")
        host.play(one)
    await session.created("resp_2")
    await session.done("resp_2", "failed", **failed)
    fault = await host.wait_for(Fault)
    assert (fault.code, fault.fatal) == ("rate_limit_exceeded", not spoken)
    if spoken:
        await session.next("response.create")
        await session.created("resp_3")
        await session.done("resp_3", "failed", **failed)
        assert (await host.wait_for(Fault, 2)).fatal, "twice is enough"


async def test_a_model_that_writes_instead_of_speaking_is_asked_to_speak_once(call):
    one, _host, session = call
    await session.next("response.create")
    for response in ("resp_1", "resp_2"):
        await session.created(response)
        kind = "response.text.done" if session.flat else "response.output_text.done"
        await session.send({"type": kind, "response_id": response, "item_id": "i", "text": "Good day."})
        await session.done(response)
    assert "Good day." in str((await session.next("response.create"))["response"])
    await settled(one, session)
    assert session.types.count("response.create") == 2
