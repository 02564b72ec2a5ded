"""A stream's start message against the token and the signed webhook."""

import asyncio

import pytest

from shared.calls.admission import NoMediaHost
from shared.calls.events import EventKind
from shared.calls.state import CallState
from shared.conversations.conversations import ConversationBusy
from shared.errors import Conflict, InvalidInput, LimitReached, StoreUnavailable, TokenRejected
from shared.transfers.record import Status, TransferKind
from shared.transfers.transfers import NewTransfer
from tests.shared.twilio.world import (
    ACCOUNT,
    CALL,
    CALLER,
    OTHER_ACCOUNT,
    OTHER_CALL,
    STREAM,
    start,
)
from tests.support.call_world import NUMBER, START


async def test_a_call_is_a_lent_caller(twilio):
    await twilio.world.host()
    claims = await twilio.claims(await twilio.engaged())
    record = await twilio.line.begin(claims, start(accountNumber="00123"))
    assert record == await twilio.again(record)
    shown = record.to_json()
    assert shown["line"] == "twilio"
    assert (shown["from"], shown["to"], shown["correlationId"]) == (CALLER, NUMBER, CALL)
    assert (shown["route"], shown["agent"], shown["task"]) == ("desk", "night", "order_desk")
    assert shown["callTransferId"] == shown["externalConversationId"] == CALL
    assert shown["customerId"] == CALLER
    assert shown["inputVariables"] == {"accountNumber": "00123"}
    events = {event.kind: event for event in await twilio.calls.events(record.call_id)}
    assert events[EventKind.RECEIVED].data["streamSid"] == STREAM
    assert events[EventKind.RECEIVED].data["environment"] == "test"
    transfer = await twilio.transfer()
    assert (transfer.kind, transfer.status(START)) == (TransferKind.TWILIO, Status.ONGOING)
    assert transfer.call_id == record.call_id
    assert [call_id for call_id, _ in await twilio.calls.live("default")] == [record.call_id]
    assert record.answered_at is None
    await twilio.carry(record)
    carried = await twilio.again(record)
    assert carried.state is CallState.CONNECTED
    assert carried.answered_at == carried.connected_at == START


async def test_parameters_with_a_meaning(twilio):
    await twilio.world.host()
    named = {
        "asapp_callTransferId": "contact-1",
        "asapp_externalConversationId": "conversation-1",
        "customerId": "customer-1",
        "taskName": "refund",
    }
    others = {
        "callTransferId": "x",
        "externalConversationId": "y",
        "returnTo": "8:acs:a_b",
        "transferType": "z",
    }
    claims = await twilio.claims(await twilio.engaged())
    record = await twilio.line.begin(claims, start(**named, **others, plan="gold"))
    assert record.input_variables == {"plan": "gold"}
    assert (record.transfer_id, record.conversation_id) == ("contact-1", "conversation-1")
    assert (record.customer_id, record.task, record.return_to) == ("customer-1", "refund", "")
    assert (await twilio.settling.settle("default", "contact-1", over=False)).call_id == record.call_id
    assert (await twilio.settling.settle("default", CALL, over=False)).id == "contact-1"


async def test_plain_names_and_no_webhook(twilio):
    """An address from the API: nothing but the start message is known."""
    await twilio.world.host()
    parameters = {"callTransferId": "contact-1", "externalConversationId": "conversation-1"}
    record = await twilio.line.begin(await twilio.any_call(), start(**parameters))
    assert (record.agent, record.task, record.route, record.caller) == ("reception", "usual", "twilio", "")
    assert (record.transfer_id, record.conversation_id, record.customer_id) == (
        "contact-1",
        "conversation-1",
        "",
    )


async def test_two_calls_on_one_address_and_no_call_twice(twilio):
    await twilio.world.host()
    claims = await twilio.any_call()
    first = await twilio.line.begin(claims, start())
    second = await twilio.line.begin(claims, start(OTHER_CALL))
    assert first.call_id != second.call_id
    with pytest.raises(TokenRejected) as rejected:
        await twilio.line.begin(claims, start())
    assert rejected.value.reason == "replayed"


@pytest.mark.parametrize(
    ("bound", "begun", "tenant", "reason"),
    [
        (CALL, start(OTHER_CALL), "default", "call"),
        ("*", start("CA1"), "default", "call"),
        ("CA1", start("CA1"), "default", "call"),
        (CALL, start(account=OTHER_ACCOUNT), "default", "account"),
        (CALL, start(), "globex", "account"),
        (CALL, start(), "nobody", "tenant"),
    ],
)
async def test_token_and_start_message_must_agree(twilio, bound, begun, tenant, reason):
    await twilio.world.host()
    with pytest.raises(TokenRejected) as rejected:
        await twilio.line.begin(await twilio.any_call(tenant, bound), begun)
    assert rejected.value.reason == reason
    assert await twilio.calls.list("default") == []
    assert await twilio.calls.live("default") == []


async def test_an_engagement_of_another_tenant_says_nothing(twilio):
    """The same CallSid signed by account 1: account 2's stream does not get its caller."""
    await twilio.world.host()
    await twilio.engaged()
    claims = await twilio.any_call("globex", CALL)
    record = await twilio.line.begin(claims, start(account=OTHER_ACCOUNT))
    assert (record.tenant, record.caller, record.route) == ("globex", "", "twilio")


@pytest.mark.parametrize(
    "parameters",
    [
        {"asapp_callTransferId": "a b"},
        {"asapp_callTransferId": "a/b"},
        {"externalConversationId": "x" * 257},
        {"customerId": "x\ny"},
        {"taskName": "x" * 129},
    ],
)
async def test_malformed_parameters(twilio, parameters):
    with pytest.raises(InvalidInput) as error:
        await twilio.line.begin(await twilio.any_call(), start(**parameters))
    assert next(iter(parameters)).removeprefix("asapp_") in error.value.field
    assert await twilio.calls.live("default") == []


async def test_a_transfer_with_a_live_call_is_taken(twilio):
    """Whoever has it: the same call, another one, or a number in the pool."""
    await twilio.world.host()
    record = await twilio.line.begin(await twilio.any_call(), start(callTransferId="t1"))
    for call_sid in (CALL, OTHER_CALL):
        with pytest.raises(Conflict):
            await twilio.line.begin(await twilio.any_call(), start(call_sid, callTransferId="t1"))
    other = NewTransfer("t2", "c", TransferKind.ACS_USER)
    await twilio.settling.transfers["default"].create("default", other)
    with pytest.raises(Conflict):
        await twilio.line.begin(await twilio.any_call(), start(OTHER_CALL, callTransferId="t2"))
    assert [call_id for call_id, _ in await twilio.calls.live("default")] == [record.call_id]
    with pytest.raises(Conflict):
        await twilio.settling.transfers["default"].create(
            "default", NewTransfer("t1", "c", TransferKind.ACS_USER)
        )


async def test_the_caller_comes_back_to_the_agent(twilio):
    """A completed transfer is begun anew by its own call, and by no other."""
    record = await twilio.begun()
    await twilio.outcome(record, "SYSTEM")
    await twilio.note(record, "twilio-disconnected", EventKind.DISCONNECTED, reason="agent_done")
    assert (await twilio.transfer()).status(START) is Status.COMPLETED
    with pytest.raises(Conflict):
        await twilio.line.begin(await twilio.any_call(), start(OTHER_CALL, callTransferId=CALL))
    again = await twilio.line.begin(await twilio.claims(await twilio.engaged()), start())
    assert again.call_id != record.call_id
    assert list(again.previous_calls) == [record.call_id]
    transfer = await twilio.transfer()
    assert (transfer.status(START), transfer.call_id) == (Status.ONGOING, again.call_id)
    assert transfer.output is None


async def test_no_room(twilio):
    await twilio.world.host(active=100)
    with pytest.raises(NoMediaHost):
        await twilio.line.begin(await twilio.any_call(), start())
    [record] = await twilio.calls.list("default")
    assert record.state is CallState.REJECTED
    transfer = await twilio.transfer()
    assert transfer.output.transfer_type == "AGENT"
    assert transfer.output.reference_variables == {"error": "media_hosts_full"}
    assert await twilio.calls.live("default") == []


async def test_the_tenants_limit(twilio):
    await twilio.world.host()
    twilio.line = type(twilio.line)(twilio.store, twilio.app.config, twilio.calls, "test", 1, twilio.clock)
    await twilio.line.begin(await twilio.any_call(), start())
    twilio.clock.at += 0.002  # a call's place is by its id, which counts milliseconds
    with pytest.raises(LimitReached):
        await twilio.line.begin(await twilio.any_call(), start(OTHER_CALL))
    assert (await twilio.transfer(OTHER_CALL)).output.reference_variables == {"error": "tenant_limit"}


async def test_one_live_call_for_each_conversation(twilio):
    await twilio.world.host()
    await twilio.line.begin(await twilio.any_call(), start(externalConversationId="c1", plan="gold"))
    with pytest.raises(ConversationBusy):
        await twilio.line.begin(await twilio.any_call(), start(OTHER_CALL, externalConversationId="c1"))
    assert (await twilio.transfer(OTHER_CALL)).output.reference_variables == {"error": "conversation_busy"}
    assert len(await twilio.calls.live("default")) == 1


async def test_of_many_at_once_one_begins(twilio):
    """Different tokens, one call: its transfer decides."""
    await twilio.world.host()
    tokens = [await twilio.any_call() for _ in range(5)]
    done = await asyncio.gather(*(twilio.line.begin(one, start()) for one in tokens), return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in done) == 1
    assert {type(one) for one in done if isinstance(one, Exception)} == {Conflict}
    assert len(await twilio.calls.live("default")) == 1


@pytest.mark.parametrize("table", ["engagements", "jti", "live", "transfers", "conversations", "events"])
async def test_without_the_store_nobody_comes_in(twilio, table):
    await twilio.world.host()
    claims = await twilio.claims(await twilio.engaged())
    twilio.world.fail_store(1, table)
    with pytest.raises(StoreUnavailable):
        await twilio.line.begin(claims, start())


async def test_an_agent_that_is_no_longer_there(twilio):
    """patchcord.yaml changed between webhook and audio: the tenant's usual agent answers."""
    await twilio.world.host()
    claims = await twilio.claims(await twilio.engaged())
    known = await twilio.settling.engagements.get("default", CALL)
    assert known.agent == "night"
    import msgspec

    await twilio.settling.engagements.engage("default", msgspec.structs.replace(known, agent="gone"))
    record = await twilio.line.begin(claims, start(account=ACCOUNT))
    assert (record.agent, record.task, record.caller) == ("reception", "usual", CALLER)
