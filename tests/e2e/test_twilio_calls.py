"""Calls that stay at Twilio, over real processes: how each kind of call ends, and what Twilio and its customer get to know."""

import asyncio
import json
import secrets
import signal
import time

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cli.processes import free_port
from cli.twilio_account import ACCOUNT, STUDIO_NUMBER
from emulator.twilio.config import TwilioNumber
from shared.security.audiences import Audience
from shared.security.keyring import KeyRing, open_key_source
from shared.security.tokens import TokenMinter
from tests.support.stack import kinds, running_stack
from tests.support.timing import patience
from tests.support.twilio_app import TwilioApp

pytestmark = pytest.mark.e2e

HUMAN, FALLBACK = "+18005550199", "+18005550198"
DESK = """
name: desk
start: menu
no_match: bye
no_input: bye
listen: {no_input_ms: 60000}
states:
  menu: {say: "Account {accountNumber}.", keys: {"1": person, "2": back}}
  person:
    say: Wait.
    barge_in: never
    end: {outcome: AGENT, reason: asked_for_human, target: human, failed: bye, transfer: {topic: bill}}
  back:
    say: Back.
    end: {outcome: SYSTEM, reason: done, reference: {account: "{accountNumber}"}}
  bye: {say: Bye., end: {outcome: SYSTEM, reason: goodbye}}
"""
CONFIG = """
agents:
  desk: {kind: embedded, dialogue: desk.yaml, transfers: {human: "HUMAN", fallback: "FALLBACK"}}
  refused:
    {kind: realtime, service: openai, auth: none, model: none, endpoint: "ws://127.0.0.1:1", transfers: {fallback: "FALLBACK"}}
routes:
  - {name: desk, to: ["+18005550000"], agent: desk, task: desk}
  - {name: refused, to: ["+18005550001"], agent: refused}
twilio:
  default:
    account_sid: ACCOUNT
    auth_token: env:TWILIO_AUTH_TOKEN
    agent: desk
    task: from_the_entry
    next: {system: {redirect: "BASE/system"}}
    studio_return: "http://127.0.0.1:PORT/twilio/flows/desk?FlowEvent=return"
"""
LISTENS, LONG = {"listen": {"within_s": 30}}, {"within_s": 60}
HANGS_UP = (
    '<Response><Connect><Stream url="{url}">{more}</Stream></Connect><Redirect>/after</Redirect></Response>'
)


class Customer:
    """A tenant with a Twilio account, its own web server, and API credentials."""

    def __init__(self, stack, client, web: TwilioApp) -> None:
        self.stack, self.client, self.web = stack, client, web
        self._numbers = 0

    def number(self, twiml) -> str:
        """A number of its own that answers `twiml` (a text, or a function of the form), as with a Twilio Function."""
        self._numbers += 1
        at, name = f"+180055500{20 + self._numbers}", f"voice{self._numbers}"
        self.web.twiml[name] = twiml
        self.stack.emulator.twilio.set_number(at, TwilioNumber(f"{self.web.base}/{name}"))
        return at

    async def dial(self, steps, to="+18005550000", **script):
        return await self.stack.emulator.dial({"line": "twilio", "to": to, "steps": steps, **script})

    async def over(self, call):
        async with asyncio.timeout(patience(60)):
            await call.ended()
        return call.summary()

    async def record(self, sid):
        return await self.client.settled(sid, patience(20))

    async def state(self, sid):
        """The transfer state as a Function reads it, with API credentials."""
        status, state = await self.client.ask("POST", "/api/twilio/transfer-state", {"CallSid": sid})
        assert status == 200, state
        return state

    async def transfer(self, id):
        status, found = await self.client.ask("GET", f"/api/v1/call-transfers/{id}")
        assert status == 200, found
        return found

    async def address(self, query="") -> str:
        status, found = await self.client.ask("GET", f"/api/v1/twilio-media-stream-url{query}")
        assert status == 200, found
        return found["streamingUrl"]


def notices(call) -> list[int]:
    return [notice.code for notice in call.call.notices]


def heard_of(call, kind: str) -> list:
    return [event for event in call.events if event["kind"] == kind]


async def agent_done_and_back_to_the_customers_system(customer: Customer) -> None:
    call = await customer.dial([LISTENS, {"press": "2"}, {"expect_hang_up": LONG}])
    summary, state = await customer.over(call), await customer.state(call.correlation_id)
    assert call.failed is None and notices(call) == [] and summary["ended"]["by"] == "agent"
    assert state == {
        "callTransferStatus": "COMPLETED",
        "transferType": "SYSTEM",
        "currentTaskName": "desk",
        "referenceVariables": {"account": ""},
        "transferVariables": {},
    }
    assert call.correlation_id in [form["CallSid"] for form in customer.web.forms("/system")]
    record, transfer = (
        await customer.record(call.correlation_id),
        await customer.transfer(call.correlation_id),
    )
    assert transfer["outputContext"]["transferType"] == "SYSTEM" and transfer["callId"] == record["callId"]
    assert (record["line"], record["route"], record["task"]) == ("twilio", "desk", "desk")
    assert (record["from"], record["to"], record["customerId"]) == (
        "+14255550100",
        "+18005550000",
        "+14255550100",
    )
    assert record["ended"]["reason"] == "agent_done"
    steps = kinds(record)
    assert steps.index("outcome") < steps.index("media_closed") and "transfer" not in steps
    # The farewell was heard to its end, and nothing was thrown away when the socket closed.
    media = summary["media"]
    assert media["receivedMs"] == media["playedMs"]


async def a_person_is_asked_for_and_twilio_dials(customer: Customer) -> None:
    call = await customer.dial([LISTENS, {"press": "1"}, {"expect_hang_up": LONG}])
    summary = await customer.over(call)
    assert call.failed is None and summary["ended"] == {"reason": "transferred", "by": "agent"}
    assert [event["to"] for event in heard_of(call, "transferred")] == [HUMAN]
    state = await customer.state(call.correlation_id)
    assert (state["transferType"], state["transferVariables"]) == ("AGENT", {"topic": "bill"})
    assert (await customer.record(call.correlation_id))["outcome"]["target"] == "human"


async def the_caller_hangs_up(customer: Customer) -> None:
    call = await customer.dial([LISTENS, "hang_up"])
    await customer.over(call)
    state, record = await customer.state(call.correlation_id), await customer.record(call.correlation_id)
    assert state == {
        "callTransferStatus": "COMPLETED",
        "transferType": "CALLER_DISCONNECT",
        "currentTaskName": "desk",
        "referenceVariables": None,
        "transferVariables": None,
    }
    assert record["ended"]["reason"] == "caller_hung_up" and record["media"]["lost"] is False


async def the_agent_fails_and_the_caller_hears_of_it(customer: Customer) -> None:
    call = await customer.dial([LISTENS, {"expect_hang_up": LONG}], "+18005550001")
    summary = await customer.over(call)
    assert summary["heard_ms"] > 500 and [event["to"] for event in heard_of(call, "transferred")] == [
        FALLBACK
    ]
    state = await customer.state(call.correlation_id)
    assert state["transferType"] == "AGENT" and state["referenceVariables"]["error"]
    assert notices(call) == [31921], "closed with 1011"


async def a_studio_flow_gets_its_call_back(customer: Customer) -> None:
    call = await customer.dial([LISTENS, {"press": "2"}, LISTENS, {"expect_hang_up": LONG}], STUDIO_NUMBER)
    await customer.over(call)
    assert call.failed is None and notices(call) == []
    [read] = heard_of(call, "flow")  # asked for as soon as the stream had ended
    assert (read["transferType"], read["status"]) == ("SYSTEM", "COMPLETED")
    assert [asked.status for asked in call.call.asked if asked.what == "flow"] == [200]
    assert (await customer.record(call.correlation_id))["route"] == "twilio"


async def the_caller_comes_back_to_the_agent(customer: Customer) -> None:
    """The customer's own TwiML sends the same call to us a second time."""
    engage = f"{customer.stack.functions_base}/api/twilio/engage"
    caller = "+14255550107"  # every call of this test may come to /system; only this one is sent round

    def again(form: dict[str, str]) -> str:
        verb = f"<Redirect>{engage}?accountNumber=77&amp;n=%C3%A9</Redirect>"
        return f"<Response>{verb if form['From'] == caller else ''}</Response>"

    customer.web.twiml["system"] = again
    steps = [LISTENS, {"press": "2"}, {"listen": {"within_s": 30, "quiet_ms": 2000}}, {"press": "1"}]
    call = await customer.dial([*steps, {"expect_hang_up": LONG}], "+18005550000", **{"from": caller})
    await customer.over(call)
    sid = call.correlation_id
    assert call.call.streams == 2, notices(call)
    assert (await customer.state(sid))["transferType"] == "AGENT"
    records = [one for one in await customer.client.calls() if one["correlationId"] == sid]
    assert len(records) == 2
    last = await customer.client.call((await customer.transfer(sid))["callId"])
    assert last["inputVariables"] == {"accountNumber": "77", "n": "é"}


async def two_calls_on_one_address(customer: Customer) -> None:
    url = await customer.address("?voiceAgentMode=s2s")
    more = '<Parameter name="taskName" value="own"/><Parameter name="accountNumber" value="{n}"/>'
    to = customer.number(
        lambda form: HANGS_UP.format(url=url, more=more.format(n=form["From"][-1]) + named(form["From"]))
    )
    calls = [
        await customer.dial(
            [LISTENS, {"press": "2"}, {"expect_hang_up": LONG}], to, **{"from": f"+1425555012{n}"}
        )
        for n in (1, 2)
    ]
    for call, number in zip(calls, ("1", "2"), strict=True):
        await customer.over(call)
        assert call.failed is None and notices(call) == []
        done = await customer.transfer(f"own-{number}")
        assert done["status"] == "COMPLETED"
        assert done["outputContext"]["referenceVariables"] == {"account": number}
        record = await customer.record(call.correlation_id)
        assert (record["task"], record["customerId"]) == ("own", "customer 7")
        assert record["externalConversationId"] == f"conversation {number}"
        assert record["inputVariables"] == {"accountNumber": number}


def named(caller: str) -> str:
    values = {
        "asapp_callTransferId": f"own-{caller[-1]}",
        "asapp_externalConversationId": f"conversation {caller[-1]}",
        "customerId": "customer 7",
    }
    return "".join(f'<Parameter name="{name}" value="{value}"/>' for name, value in values.items())


async def a_transfer_id_that_is_taken(customer: Customer) -> None:
    url = await customer.address()
    to = customer.number(
        HANGS_UP.format(url=url, more='<Parameter name="asapp_callTransferId" value="the-one"/>')
    )
    first = await customer.dial([LISTENS, {"wait_ms": 4000}, "hang_up"], to)
    await asyncio.wait_for(first.first("agent_audio"), patience(20))
    second = await customer.dial([{"expect_hang_up": LONG}], to)
    await customer.over(second)
    assert notices(second) == [31921] and second.call.notices[0].detail == "closed with 1008"
    assert (await customer.transfer("the-one"))["status"] == "ONGOING", "the first one goes on"
    await customer.over(first)
    async with asyncio.timeout(patience(10)):  # nobody asks us, so the media host's word is all there is
        while (await customer.transfer("the-one"))["status"] == "ONGOING":
            await asyncio.sleep(0.05)
    assert (await customer.transfer("the-one"))["outputContext"]["transferType"] == "CALLER_DISCONNECT"


async def an_address_that_has_expired(customer: Customer) -> None:
    signing, _ = customer.stack.key_addresses
    ring = KeyRing(open_key_source(signing, ""), time.time)
    token = await TokenMinter(ring, lambda: time.time() - 400).mint(
        Audience.TWILIO_MEDIA, call_id="*", tenant="default"
    )
    url = f"{customer.stack.media_base}/twilio/{token}"
    call = await customer.dial([{"expect_hang_up": LONG}], customer.number(HANGS_UP.format(url=url, more="")))
    await customer.over(call)
    assert notices(call) == [31920] and call.correlation_id in sids(customer, "/after")


async def nobody_but_twilio_gets_in(customer: Customer) -> None:
    """A webhook and an upgrade with a wrong signature; an upgrade that was taken down and is sent again."""
    call = await customer.dial([{"expect_hang_up": LONG}], faults={"bad_signatures": 1})
    await customer.over(call)
    assert notices(call) == [11200] and call.call.notices[0].detail == "voice: answered 403"

    url = await customer.address()
    calls = []

    def forged(_: dict[str, str]) -> str:
        calls[0].fault({"bad_signatures": 1})  # of the request that comes next: the upgrade
        return HANGS_UP.format(url=url, more="")

    calls.append(await customer.dial([{"expect_hang_up": LONG}], customer.number(forged)))
    await customer.over(calls[0])
    assert notices(calls[0]) == [31920]

    to = customer.number(HANGS_UP.format(url=await customer.address(), more=""))
    call = await customer.dial([LISTENS, {"wait_ms": 1500}, "hang_up"], to)
    await asyncio.wait_for(call.first("agent_audio"), patience(20))
    stream = call.call.stream
    assert await sent_again(stream, call.correlation_id) == 1008, "the call itself, while it goes on"
    await customer.over(call)
    assert await sent_again(stream, call.correlation_id) == 1008, "and when it is over"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(stream.url + "=", additional_headers=stream.headers):
            pass
    assert refused.value.response.status_code == 401


async def sent_again(stream, call_sid: str) -> int:
    """Open the WebSocket with what was taken down, and say it is the same call; the code with which it is closed.

    Nothing else stands in its way: transfer and conversation are new.
    """
    start = {
        "accountSid": ACCOUNT,
        "callSid": call_sid,
        "streamSid": "MZ" + "0" * 32,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {
            "asapp_callTransferId": secrets.token_hex(8),
            "asapp_externalConversationId": secrets.token_hex(8),
        },
    }
    message = {"event": "start", "sequenceNumber": "1", "start": start, "streamSid": start["streamSid"]}
    async with connect(stream.url, additional_headers=stream.headers, compression=None) as socket:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        await socket.send(json.dumps(message))
        with pytest.raises(ConnectionClosed):
            async with asyncio.timeout(patience(10)):
                await socket.recv()
        return socket.close_code


def sids(customer: Customer, path: str) -> list[str]:
    return [form["CallSid"] for form in customer.web.forms(path)]


async def the_media_host_dies(customer: Customer) -> None:
    call = await customer.dial([{"listen": LONG}, {"expect_hang_up": LONG}])
    await asyncio.wait_for(call.first("agent_audio"), patience(20))
    customer.stack.media_hosts[0].signal(signal.SIGKILL)
    summary = await customer.over(call)
    assert notices(call)[0] == 31903
    assert summary["silent_after_media_loss_ms"][0] <= patience(3000), "a word of ours, spoken by Twilio"
    assert [event["to"] for event in heard_of(call, "transferred")] == [FALLBACK]
    state, record = await customer.state(call.correlation_id), await customer.record(call.correlation_id)
    assert (state["transferType"], state["referenceVariables"]) == ("AGENT", {"error": "media_lost"})
    assert record["media"]["lost"] is True and record["ended"]["reason"] == "media_lost"


async def test_calls_that_stay_at_twilio(tmp_path):
    (tmp_path / "desk.yaml").write_text(DESK)
    port = free_port()
    web = TwilioApp()
    await web.start()
    config = CONFIG
    for name, value in {
        "HUMAN": HUMAN,
        "FALLBACK": FALLBACK,
        "ACCOUNT": ACCOUNT,
        "BASE": web.base,
        "PORT": str(port),
    }.items():
        config = config.replace(name, value)
    (tmp_path / "patchcord.yaml").write_text(config)
    try:
        async with running_stack(
            tmp_path / "stack", config=tmp_path / "patchcord.yaml", acs_port=port
        ) as stack:
            web.trust(stack.twilio.auth_token)
            customer = Customer(stack, stack.client(), web)
            try:
                ends = await asyncio.gather(
                    the_caller_comes_back_to_the_agent(customer),
                    agent_done_and_back_to_the_customers_system(customer),
                    a_person_is_asked_for_and_twilio_dials(customer),
                    the_caller_hangs_up(customer),
                    the_agent_fails_and_the_caller_hears_of_it(customer),
                    a_studio_flow_gets_its_call_back(customer),
                    two_calls_on_one_address(customer),
                    a_transfer_id_that_is_taken(customer),
                    an_address_that_has_expired(customer),
                    nobody_but_twilio_gets_in(customer),
                    return_exceptions=True,
                )
                # pytest's own failures are no Exceptions.
                if failed := [end for end in ends if isinstance(end, BaseException)]:
                    raise BaseExceptionGroup("calls that did not end as they should", failed)
                assert all(web.signed)
                await the_media_host_dies(customer)
            finally:
                await customer.client.close()
    finally:
        await web.close()
