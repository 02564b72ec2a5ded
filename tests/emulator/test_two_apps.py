"""Two apps on one emulator: an IVR hands its caller to an agent's ACS user, and gets it back (acs.md 6)."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier

from emulator.event_grid.filters import AdvancedFilter
from emulator.phone.audio import share_at
from emulator.service import Emulator
from tests.support.app import RESOURCE, App, Media, another_app, emulator_config, sine
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

AGENT = f"8:acs:{RESOURCE}_agent"
IVR = f"8:acs:{RESOURCE}_ivr"
NUMBER = "4:+18005550000"
CALLER = "4:+14255550100"
HEADERS = {"agentId": "a-1", "accountNumber": "42", "note": '{"deep": ["ä", 1]}'}
BACK = {"outcome": "TASK_COMPLETE", "balance": "17.50"}


async def ended(call) -> None:
    async with asyncio.timeout(patience(20)):
        await call.ended()


@pytest.fixture
async def ivr() -> AsyncIterator[App]:
    async with Emulator(emulator_config()) as emulator:
        app = App(emulator)
        await app.start()
        named = AdvancedFilter("StringIn", "data.to.rawId", [NUMBER, IVR])
        await emulator.subscribe(app.subscription(name="ivr", filters=[named]))
        try:
            yield app
        finally:
            await emulator.close()
            await app.close()


@pytest.fixture
async def agent(ivr: App) -> AsyncIterator[App]:
    async with another_app(ivr.emulator, AGENT) as app:
        yield app
        await ivr.emulator.close()


async def heard_times(call, count: int) -> None:
    """Wait until somebody has fallen silent for the `count`-th time."""
    async with asyncio.timeout(patience(10)):
        async for event in call.story():
            count -= event["kind"] == "agent_silent"
            if not count:
                return


async def dial(app: App, *steps: object) -> object:
    return await app.emulator.dial({"steps": list(steps)})


async def test_a_caller_goes_to_the_agent_with_headers_and_comes_back(ivr: App, agent: App) -> None:
    async def speak_at(hz: int, media: Media) -> None:
        await media.speak(sine(hz, 300))

    ivr.on_media = lambda media: speak_at(440, media)
    agent.on_media = lambda media: speak_at(880, media)
    call = await dial(ivr, "listen", "listen", "listen", "expect_hang_up")
    await heard_times(call, 1)
    first = (await ivr.callback("CallConnected"))["callConnectionId"]

    await ivr.client.get_call_connection(first).transfer_call_to_participant(
        CommunicationUserIdentifier(AGENT), voip_headers=HEADERS, operation_context="to the agent"
    )
    accepted = await ivr.callback("CallTransferAccepted", first)
    assert accepted["operationContext"] == "to the agent"
    assert accepted["transferTarget"]["communicationUser"]["id"] == AGENT
    assert accepted["transferee"]["rawId"] == CALLER
    goodbye = await ivr.callback("CallDisconnected", first)
    assert goodbye["resultInformation"]["subCode"] == 7000

    offered = agent.events[0]["data"]
    assert offered["customContext"] == {"voipHeaders": HEADERS}
    assert offered["to"]["rawId"] == AGENT
    assert offered["from"]["rawId"] == CALLER
    assert offered["correlationId"] != ivr.events[0]["data"]["correlationId"]
    second = (await agent.callback("CallConnected"))["callConnectionId"]
    await heard_times(call, 2)
    assert {CALLER, AGENT} == set(agent.rosters(second)[-1])

    await agent.client.get_call_connection(second).transfer_call_to_participant(
        CommunicationUserIdentifier(IVR), voip_headers=BACK
    )
    await agent.callback("CallDisconnected", second)
    returned = ivr.events[1]["data"]
    assert returned["customContext"] == {"voipHeaders": BACK}
    await ivr.until(lambda: ivr.kinds().count("CallConnected") == 2)
    third = next(
        event["data"]["callConnectionId"]
        for event in ivr.callbacks
        if event["type"].endswith("CallConnected") and event["data"]["callConnectionId"] != first
    )
    await heard_times(call, 3)
    await ivr.client.get_call_connection(third).hang_up(True)
    await ended(call)

    assert call.failed is None
    assert call.summary()["ended"] == {"reason": "agent_hung_up", "by": "agent"}
    assert [event["to"] for event in call.events if event["kind"] == "transferred"] == [AGENT, IVR]
    assert [event["kind"] for event in call.events].count("answered") == 1
    heard = call._heard.pcm
    assert share_at(heard, 24000, 440) > 0.4
    assert share_at(heard, 24000, 880) > 0.2


@pytest.mark.parametrize(
    ("reason", "sub_code"), [("none", 8538), ("busy", 8539), ("forbidden", 8538)], ids=str
)
async def test_an_agent_that_rejects_leaves_the_caller_where_it_was(
    ivr: App, agent: App, reason: str, sub_code: int
) -> None:
    async def reject(data: dict) -> None:
        await agent.client.reject_call(data["incomingCallContext"], call_reject_reason=reason)

    agent.on_call = reject
    call = await dial(ivr, {"wait_ms": 60_000})
    await ivr.callback("CallConnected")
    await ivr.connection.transfer_call_to_participant(
        CommunicationUserIdentifier(AGENT), operation_context="t"
    )
    failed = await ivr.callback("CallTransferFailed")
    assert failed["resultInformation"]["subCode"] == sub_code
    assert failed["operationContext"] == "t"
    assert (await ivr.connection.get_call_properties()).call_connection_state == "connected"
    assert "transferred" not in [event["kind"] for event in call.events]


async def test_while_it_rings_the_call_is_transferring_and_nothing_else_goes(ivr: App, agent: App) -> None:
    async def nothing(data: dict) -> None:
        return None

    agent.on_call = nothing
    call = await dial(ivr, {"wait_ms": 60_000})
    await ivr.callback("CallConnected")
    await ivr.connection.transfer_call_to_participant(CommunicationUserIdentifier(AGENT))
    assert (await ivr.connection.get_call_properties()).call_connection_state == "transferring"
    with pytest.raises(Exception, match="8585"):
        await ivr.connection.transfer_call_to_participant(CommunicationUserIdentifier(AGENT))
    await agent.until(lambda: bool(agent.events))
    call.hang_up()
    await ended(call)
    assert "CallTransferFailed" not in ivr.kinds()
    with pytest.raises(Exception, match="8522"):
        await agent.answer(agent.events[0]["data"])


async def test_a_transfer_that_nobody_answers_fails_in_time(ivr: App, agent: App) -> None:
    async def nothing(data: dict) -> None:
        return None

    agent.on_call = nothing
    ivr.emulator._exchange.ring_timeout_s = 0.2
    await dial(ivr, {"wait_ms": 60_000})
    await ivr.callback("CallConnected")
    await ivr.connection.transfer_call_to_participant(CommunicationUserIdentifier(AGENT))
    failed = await ivr.callback("CallTransferFailed")
    assert (failed["resultInformation"]["code"], failed["resultInformation"]["subCode"]) == (408, 8587)


async def test_a_redirect_to_the_other_app(ivr: App, agent: App) -> None:
    async def redirect(data: dict) -> None:
        await ivr.client.redirect_call(data["incomingCallContext"], CommunicationUserIdentifier(AGENT))

    ivr.on_call = redirect
    call = await dial(ivr, {"wait_ms": 50})
    await ended(call)
    assert call.failed is None
    assert "CallConnected" in agent.kinds()
    assert agent.events[0]["data"]["correlationId"] == ivr.events[0]["data"]["correlationId"]


async def test_the_agent_joins_hears_both_and_leaves_the_caller_with_the_ivr(ivr: App, agent: App) -> None:
    """Pattern (b) of acs.md 6: the IVR stays in the call and gets control back when the agent leaves."""
    call = await dial(ivr, {"tone": {"hz": 600, "seconds": 30}})
    media = await ivr.connected()
    ivr_call = (await ivr.callback("CallConnected"))["callConnectionId"]
    answer = await ivr.connection.add_participant(
        CommunicationUserIdentifier(AGENT), voip_headers=HEADERS, operation_context="join"
    )
    assert answer.invitation_id
    joined = await ivr.callback("AddParticipantSucceeded")
    assert (joined["operationContext"], joined["participant"]["rawId"]) == ("join", AGENT)
    assert agent.events[0]["data"]["customContext"] == {"voipHeaders": HEADERS}
    assert agent.events[0]["data"]["serverCallId"] == joined["serverCallId"]
    second = await agent.connected()
    await media.speak(sine(440, 1500))
    await second.speak(sine(880, 1500))
    frames = len(second.messages)
    await second.until(lambda media: len(media.messages) > frames + 50)
    frames = len(media.messages)
    await media.until(lambda media: len(media.messages) > frames + 30)
    at_agent, at_ivr, at_caller = second.pcm(), media.pcm(), call._heard.pcm
    assert share_at(at_agent, 24000, 600) > 0.2
    assert share_at(at_agent, 24000, 440) > 0.1
    assert share_at(at_agent, 24000, 880) < 0.02
    assert share_at(at_ivr, 24000, 880) > 0.1
    assert share_at(at_ivr, 24000, 440) < 0.02
    assert share_at(at_caller, 24000, 440) > 0.1
    assert share_at(at_caller, 24000, 880) > 0.1
    assert share_at(at_caller, 24000, 600) < 0.02

    await agent.connection.hang_up(False)
    await agent.callback("CallDisconnected")
    await ivr.until(lambda: AGENT not in ivr.rosters(ivr_call)[-1])
    assert [AGENT in roster for roster in ivr.rosters(ivr_call)] == [False, True, False]
    assert (await ivr.connection.get_call_properties()).call_connection_state == "connected"
    call.hang_up()
    await ended(call)


async def test_a_sixteen_and_a_twenty_four_kilohertz_app_hear_each_other(ivr: App, agent: App) -> None:
    agent.audio_format = "pcm16KMono"
    call = await dial(ivr, {"wait_ms": 60_000})
    media = await ivr.connected()
    await ivr.connection.add_participant(CommunicationUserIdentifier(AGENT))
    second = await agent.connected()
    await second.speak(sine(880, 1000, 16000), rate=16000)
    await media.speak(sine(440, 1000))
    frames = len(media.messages)
    await media.until(lambda media: len(media.messages) > frames + 45)
    await second.until(lambda media: len(media.messages) > 45)
    assert share_at(media.pcm(), 24000, 880) > 0.9
    assert share_at(second.pcm(), 16000, 440) > 0.9
    assert {len(m["audioData"]["data"]) for m in second.messages[1:] if m["kind"] == "AudioData"} == {856}
    call.hang_up()
    await ended(call)
