import asyncio

import pytest

from shared.calls.events import EventKind, pack, unpack
from shared.ivr import runner
from shared.ivr.runner import TABLE, Row
from shared.ivr.state import IvrState
from shared.store.entities import Entity
from tests.shared.ivr.flows import AGENT, FLOW, IVR
from tests.shared.ivr.world import open_ivr_world
from tests.support.acs_rest import Told
from tests.support.call_world import CALLER, START

PIN = ("seven", "three", "nine", "one")


async def row(world, call):
    return await world.store.get(TABLE, "default", call.first.call_id)


async def state(world, call):
    return unpack((await row(world, call)).values, Row).state


async def connected(world, **more):
    call = await world.call(**more)
    await call.callback("CallConnected")
    return call


async def at_the_choice(world, **more):
    call = await connected(world, **more)
    await call.callback("PlayCompleted")
    await call.keys("zero", "zero", "one", "two", "three", "pound")
    await call.keys(*PIN)
    return call


async def test_it_is_answered_without_audio_of_ours_and_needs_no_media_host(world):
    call = await world.call(customContext={"voipHeaders": {"name": "Zoë"}})
    [answer] = world.acs.requests
    assert answer.body["callIntelligenceOptions"] == {"cognitiveServicesEndpoint": "https://speech.example"}
    assert "mediaStreamingOptions" not in answer.body
    record = call.first
    assert (record.ivr, record.agent, record.state.value) == ("bank", "", "answered")
    assert call.asked == [], "nothing is said before the call is connected"
    await call.callback("CallConnected")
    [play] = call.asked
    assert play.operation == "play"
    assert play.body["playSources"][0]["text"] == {"text": "Hello Zoë.", "voiceName": "en-US-JennyNeural"}
    assert play.body["operationContext"] == "1.1.hello"


async def test_digits_and_a_choice_are_asked_for(world):
    call = await at_the_choice(world)
    account, pin, choice = call.asked[1:]
    options = account.body["recognizeOptions"]
    assert account.body["recognizeInputType"] == "dtmf"
    assert options["targetParticipant"]["phoneNumber"]["value"] == CALLER
    assert (options["interruptPrompt"], options["initialSilenceTimeoutInSeconds"]) == (True, 5)
    assert options["dtmfOptions"] == {
        "interToneTimeoutInSeconds": 4,
        "maxTonesToCollect": 9,
        "stopTones": ["pound"],
    }
    assert pin.body["playPrompts"][0]["file"] == {"uri": "https://files.example/pin.wav"}
    assert pin.body["recognizeOptions"]["dtmfOptions"]["maxTonesToCollect"] == 4
    assert choice.body["recognizeInputType"] == "choices"
    assert choice.body["recognizeOptions"]["speechLanguage"] == "en-US"
    assert choice.body["recognizeOptions"]["choices"][0] == {
        "label": "balance",
        "phrases": ["my balance", "balance"],
        "tone": "one",
    }


async def test_a_choice_by_keys_alone(world):
    headers = {"transferType": "SYSTEM", "returnStep": "back", "result": "good"}
    call = await connected(world, to=IVR, customContext={"voipHeaders": headers})
    [asked] = call.asked
    assert asked.body["recognizeInputType"] == "dtmf"
    assert asked.body["recognizeOptions"]["dtmfOptions"] == {"maxTonesToCollect": 1}
    await call.keys("asterisk")
    assert call.operations[-1] == "terminate"


async def test_the_record_tells_steps_and_variables_but_no_secret(world, caplog):
    caplog.set_level("DEBUG")
    call = await at_the_choice(world, customContext={"voipHeaders": {"name": "Zoë"}})
    record = await call.record()
    shown = record.to_json()["ivr"]
    assert shown["name"] == "bank"
    assert [one["step"] for one in shown["steps"]][-2:] == ["mark", "what"]
    assert shown["variables"] == {"name": "Zoë", "account": "00123", "plain": "A00123"}
    assert "7391" not in str(record.to_json())
    assert "7391" not in caplog.text and "00123" not in caplog.text, "pressed keys are in no log"
    assert (await state(world, call)).variables["pin"] == "7391"
    await call.callback("CallDisconnected")
    assert "7391" not in str((await row(world, call)).values), "nothing is kept when the call is over"


async def test_a_transfer_tells_the_agent_where_to_give_the_caller_back(world):
    call = await at_the_choice(world)
    await call.callback("RecognizeCompleted", choiceResult={"label": "balance"})
    transfer = call.asked[-1]
    assert transfer.operation == "transferToParticipant"
    assert transfer.body["targetParticipant"]["communicationUser"]["id"] == AGENT
    assert transfer.body["customCallingContext"]["voipHeaders"] == {
        "account": "00123",
        "plain": "A00123",
        "wish": "balance",
        "externalConversationId": call.first.call_id,
        "returnTo": IVR,
        "returnStep": "back",
    }
    assert (await call.record()).leaving, "or the way back would find the conversation busy"
    await call.callback("CallTransferAccepted")
    await call.callback("CallDisconnected", context="")
    record = await call.record()
    assert (record.ended.reason, record.outcome) == ("transferred", None)
    assert (await call.steps())[-1] == ("agent", "transferred")


async def test_who_comes_back_goes_on_at_the_return_point(world):
    first = await at_the_choice(world)
    await first.callback("RecognizeCompleted", choiceResult={"label": "balance"})
    headers = {
        "transferType": "AGENT",
        "returnStep": "back",
        "externalConversationId": first.first.call_id,
        "account": "7",
        "empty": "",
    }
    back = await world.call(IVR, "corr-2", customContext={"voipHeaders": headers})
    await back.callback("CallConnected", event_id="b1")
    transfer = back.asked[-1]
    assert transfer.body["targetParticipant"]["phoneNumber"]["value"] == "+18005550199"
    assert transfer.body["sourceCallerIdNumber"]["value"] == "+18005550000"
    assert "customCallingContext" not in transfer.body
    record = await back.record()
    assert record.conversation_id == first.first.call_id
    assert record.previous_calls == [first.first.call_id]
    assert record.ivr_variables["account"] == "7", "what is new wins"
    assert record.ivr_variables["wish"] == "balance"


async def test_callbacks_count_once_and_old_ones_never(world):
    call = await connected(world)
    await call.callback("PlayCompleted", event_id="once")
    await call.callback("PlayCompleted", event_id="once", context="1.1.hello")
    await call.callback("PlayCompleted", event_id="late", context="1.1.hello")
    await call.callback("CallConnected", event_id="again", context="")
    await call.callback("ParticipantsUpdated", context="", participants=[], sequenceNumber=1)
    assert call.operations == ["play", "recognize"]


async def test_two_processes_take_one_step(world):
    call = await connected(world)
    await asyncio.gather(
        *(call.callback("PlayCompleted", event_id=f"p{n}", context="1.1.hello") for n in range(5))
    )
    assert call.operations == ["play", "recognize"]


async def test_a_callback_may_come_before_the_state_is_marked(world, monkeypatch):
    call = await world.call()
    world.acs.hold = asyncio.Event()
    playing = asyncio.create_task(call.callback("CallConnected"))
    while not call.asked:
        await asyncio.sleep(0.01)
    completed = asyncio.create_task(call.callback("PlayCompleted", event_id="early"))
    while (await state(world, call)).step != "account":
        await asyncio.sleep(0.01)
    world.acs.hold.set()
    await asyncio.gather(playing, completed)
    assert (await state(world, call)).step == "account"


async def test_a_transfer_that_acs_refuses_is_tried_again_and_then_somebody_is_called_in(world):
    call = await at_the_choice(world)
    world.acs.tell("transferToParticipant", Told(400), Told(400))
    await call.callback("RecognizeCompleted", choiceResult={"label": "balance"})
    assert call.operations[-3:] == ["transferToParticipant", "transferToParticipant", "add"]
    added = call.asked[-1].body
    assert added["participantToAdd"]["phoneNumber"]["value"] == "+18005550198"
    assert added["sourceCallerIdNumber"]["value"] == "+18005550000"
    assert not (await call.record()).leaving
    await call.callback("AddParticipantSucceeded")
    assert call.operations[-1] == "leave", "only our part of the call ends"
    record = await call.record()
    assert (record.ended.reason, record.handed_over) == ("handed_over", True)
    assert {fault["code"] for fault in record.faults} == {"ivr_refused"}


async def test_the_fallback_number_does_not_answer(world):
    call = await at_the_choice(world)
    await call.callback("RecognizeCompleted", choiceResult={"label": "person"})
    await call.callback("CallTransferFailed", 8539)
    await call.callback("CallTransferFailed", 8539)
    await call.callback("AddParticipantFailed", 8587)
    assert call.operations[-3:] == ["transferToParticipant", "add", "play"]
    assert call.asked[-1].body["playSources"][0]["text"]["text"] == "Sorry."
    await call.callback("PlayCompleted")
    assert call.operations[-1] == "terminate"
    assert (await call.record()).ended.reason == "ivr_failed"
    assert not (await call.record()).handed_over


async def test_acs_that_refuses_everything_ends_the_call(world):
    call = await world.call()
    world.acs.tell("play", *[Told(400)] * 3)
    world.acs.tell("add", Told(400))
    await call.callback("CallConnected")
    assert call.operations == ["play", "play", "add", "play", "terminate"]


async def test_a_call_that_is_gone(world):
    call = await world.call()
    world.acs.tell("play", Told(404, "8522"))
    await call.callback("CallConnected")
    assert call.operations == ["play"]
    assert (await call.record()).faults == []


async def test_an_endless_row_of_refusals_has_an_end(world, monkeypatch):
    monkeypatch.setattr(runner, "MOST_MOVES", 2)
    call = await world.call()
    world.acs.tell("play", *[Told(400)] * 3)
    await call.callback("CallConnected")
    assert call.operations == ["play", "play"]


async def test_an_ivr_that_is_configured_no_more(world, caplog):
    call = await world.call()
    del world.app.config.ivrs["bank"]
    await call.callback("CallConnected")
    assert call.asked == []
    assert "no IVR 'bank'" in caplog.text


async def test_an_event_that_comes_again_begins_nothing_new(world):
    call = await connected(world)
    world.clock.at += 6
    await world.app.answering.ivr.begin("default", call.first.call_id, IvrState())
    assert (await state(world, call)).step == "hello"


async def test_the_sweep_leaves_a_call_alone_that_waits_in_time(world):
    call = await connected(world)
    world.clock.at += 60
    assert +await world.app.sweeper.sweep() == {"fine": 1}
    assert call.operations == ["play"]


async def test_a_prompt_that_is_never_reported_is_played_again(world):
    call = await connected(world)
    world.clock.at += 601
    await world.app.sweeper.sweep()
    assert call.operations == ["play", "play"]
    assert (await call.steps())[-1] == ("hello", "failed")


async def test_a_process_that_died_between_its_two_writes(world):
    """The state says that it asks, and ACS was never asked."""
    call = await world.call()
    entity = await row(world, call)
    asking = Row(IvrState("step", "hello", 1, conversation="c"), START + 15)
    await world.store.replace(TABLE, Entity("default", call.first.call_id, pack(asking), entity.etag))
    world.clock.at += 20
    await world.app.sweeper.sweep()
    assert call.operations == ["play"]


@pytest.mark.parametrize("lost", [True, False])
async def test_a_call_that_cannot_go_on_is_hung_up(world, lost):
    call = await world.call()
    if lost:
        await world.store.delete(TABLE, "default", call.first.call_id)
        await call.callback("CallConnected")
        assert call.asked == []
    world.clock.at += 61
    await world.app.sweeper.sweep()
    assert call.operations == ["terminate"]
    assert (await call.record()).ended.reason == "ivr_stuck"


async def test_no_call_is_endless(world):
    call = await connected(world)
    world.clock.at += 10_801
    await world.app.sweeper.sweep()
    assert call.operations[-1] == "terminate"
    assert (await call.record()).ended.reason == "max_duration"


async def test_a_tenants_limit_counts_for_ivrs_too(tmp_path, monkeypatch):
    flow = FLOW + "tenants: {default: {max_concurrent_calls: 1}}\n"
    async with open_ivr_world(tmp_path, monkeypatch, flow) as world:
        await world.call()
        world.clock.at += 1
        second = await world.call(correlation="corr-2")
        assert second.first.state.value == "rejected"


async def test_the_steps_of_a_record_in_a_list_of_calls_are_left_out(world):
    call = await connected(world)
    await call.callback("CallDisconnected", context="")
    [short] = await world.calls.list("default")
    assert (short.ivr, short.ivr_steps, short.ivr_variables) == ("bank", [], {})
    assert EventKind.IVR_STEP in {event.kind for event in await world.calls.events(call.first.call_id)}
