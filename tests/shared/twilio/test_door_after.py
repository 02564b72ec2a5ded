"""What Twilio and clients ask when a stream is over, what they report of one, and the address for one."""

import json
from urllib.parse import urlencode

import pytest

from shared.calls.events import EventKind
from shared.http import request
from shared.security.tenants import Scope
from shared.security.tokens import Audience
from tests.shared.twilio.world import (
    BASE,
    CALL,
    KEY,
    KEYED_ACCOUNT,
    OTHER_ACCOUNT,
    OTHER_CALL,
    OTHER_TOKEN,
    STREAM,
    form,
    signature,
    start,
    verbs,
    xml,
)

STATUS = {"StreamSid": STREAM, "StreamEvent": "stream-started"}


# --- after the stream ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "expected", "text"),
    [
        ({"kind": "AGENT"}, "Dial", "+18005550112"),
        ({"kind": "AGENT", "target": "billing"}, "Dial", "+18005550111"),
        ({"kind": "SYSTEM"}, "Redirect", "https://customer.example/next"),
        ({"kind": "AGENT", "referenceVariables": {"error": "agent_failed"}}, "Dial", "+18005550112"),
    ],
)
async def test_what_comes_next(twilio, outcome, expected, text):
    await twilio.world.host()
    record = await twilio.line.begin(await twilio.any_call(), start())  # of agent reception
    await twilio.carry(record)
    await twilio.outcome(record, **outcome)
    twiml = await twilio.completed()
    assert verbs(twiml) == [expected]
    assert twiml[0].text == text
    assert twilio.pauses == 0
    record = await twilio.again(record)
    assert record.outcome.get("target") == outcome.get("target")


async def test_other_tenants_have_other_steps(twilio):
    """By their own entry; an agent without anybody to call is an apology."""
    await twilio.world.host()
    for tenant, account, token, algorithm, expected in (
        ("globex", OTHER_ACCOUNT, OTHER_TOKEN, "HMAC_SHA1", ["Enqueue"]),
        ("keyed", KEYED_ACCOUNT, KEY, "HMAC_SHA256", ["Say", "Hangup"]),
    ):
        record = await twilio.line.begin(await twilio.any_call(tenant), start(account=account))
        await twilio.outcome(record)
        reply = await twilio.post("call-complete", form(account=account), token=token, algorithm=algorithm)
        assert verbs(xml(reply)) == expected


@pytest.mark.parametrize("status", ["completed", "canceled", "failed", "busy", "no-answer"])
async def test_the_call_has_ended_at_twilio(twilio, status):
    record = await twilio.begun()
    assert verbs(await twilio.completed(CallStatus=status)) == ["Hangup"]
    assert (await twilio.again(record)).outcome["transferType"] == "CALLER_DISCONNECT"


async def test_the_caller_has_hung_up(twilio):
    """The media host says so, whatever Twilio says."""
    record = await twilio.begun()
    await twilio.note(record, "twilio-disconnected", EventKind.DISCONNECTED)
    assert verbs(await twilio.completed()) == ["Hangup"]


async def test_a_call_that_nobody_knows(twilio):
    assert verbs(await twilio.completed()) == ["Say", "Dial"]


async def test_engaged_but_its_audio_never_came(twilio):
    """Not even if an earlier stream of the call had an outcome."""
    record = await twilio.begun()
    await twilio.outcome(record, "SYSTEM")
    assert verbs(await twilio.completed()) == ["Redirect"]
    await twilio.engaged()
    assert verbs(await twilio.completed()) == ["Say", "Dial"]
    assert (await twilio.state())["callTransferStatus"] is None


async def test_an_engage_that_is_sent_again_changes_nothing_of_a_live_stream(twilio):
    record = await twilio.begun()
    known = await twilio.settling.engagements.get("default", CALL)
    again = await twilio.engaged(To="+18005550077")
    assert again.find("Connect").get("action").endswith(f"turn={known.turn}")
    assert await twilio.settling.engagements.get("default", CALL) == known
    await twilio.outcome(record, "SYSTEM")
    assert verbs(xml(await twilio.post("call-complete", form(), query=f"turn={known.turn}"))) == ["Redirect"]


@pytest.mark.parametrize("status", ["in-progress", "completed"])
async def test_a_request_that_is_sent_again_ends_no_later_stream(twilio, status):
    """A signature holds no time: what was said of the call's first stream is no word about its second."""
    first = await twilio.begun()
    old = (await twilio.settling.engagements.get("default", CALL)).turn
    await twilio.outcome(first, "SYSTEM")
    await twilio.note(first, "twilio-disconnected", EventKind.DISCONNECTED, reason="agent_done")
    assert verbs(xml(await twilio.post("call-complete", form(), query=f"turn={old}"))) == ["Redirect"]
    second = await twilio.begun()
    await twilio.post("call-complete", form(CallStatus=status), query=f"turn={old}")
    assert (await twilio.again(second)).live
    new = (await twilio.settling.engagements.get("default", CALL)).turn
    await twilio.post("call-complete", form(CallStatus=status), query=f"turn={new}")
    assert (await twilio.again(second)).released


async def test_lost_audio_is_said(twilio):
    await twilio.begun()
    assert verbs(await twilio.completed()) == ["Say", "Hangup"]  # agent night has nobody to call
    record = await twilio.line.begin(await twilio.any_call(), start(OTHER_CALL))  # of agent reception
    await twilio.carry(record)
    assert verbs(await twilio.completed(OTHER_CALL)) == ["Say", "Dial"]


# --- transfer-state --------------------------------------------------------------------------------------------


async def test_state_for_a_studio_flow(twilio):
    nothing = dict.fromkeys(
        ("callTransferStatus", "transferType", "currentTaskName", "referenceVariables", "transferVariables")
    )
    assert await twilio.state() == nothing
    record = await twilio.begun(callTransferId="t1")
    await twilio.outcome(
        record, "SYSTEM", task="refund", referenceVariables={"n": 7}, transferVariables={"ok": "yes"}
    )
    expected = {
        "callTransferStatus": "COMPLETED",
        "transferType": "SYSTEM",
        "currentTaskName": "refund",
        "referenceVariables": {"n": "7"},
        "transferVariables": {"ok": "yes"},
    }
    assert await twilio.state() == expected
    assert await twilio.state("", callTransferId="t1") == expected
    assert await twilio.state(query="a=b") == expected


async def test_state_when_the_caller_hung_up(twilio):
    record = await twilio.begun()
    await twilio.note(record, "twilio-disconnected", EventKind.DISCONNECTED)
    state = await twilio.state()
    assert (state["callTransferStatus"], state["transferType"]) == ("COMPLETED", "CALLER_DISCONNECT")
    assert state["referenceVariables"] is None
    assert state["transferVariables"] is None


async def test_state_with_a_signed_json_body(twilio):
    import hashlib

    await twilio.begun()
    body = json.dumps({"CallSid": CALL}).encode()
    query = "bodySHA256=" + hashlib.sha256(body).hexdigest()
    url = f"{BASE}/api/twilio/transfer-state?{query}"

    async def ask(body, headers):
        headers = {"content-type": "application/json; charset=utf-8", **headers}
        return await twilio.app.twilio_transfer_state(request("r", headers, body, {}, query))

    assert (await ask(body, signature(url, {}))).status == 200
    assert (await ask(body.replace(b"CA", b"CB"), signature(url, {}))).status == 403
    assert (await ask(body, signature(url, {}, "nobody's"))).status == 403


async def test_state_without_an_account_is_the_signers(twilio):
    """A widget's author chose the fields: whose account has signed it, decides."""
    await twilio.begun()
    reply = await twilio.post("transfer-state", {"CallSid": CALL}, token=OTHER_TOKEN)
    assert json.loads(reply.body)["callTransferStatus"] is None  # globex has no such call
    assert (await twilio.transfer()).completed_at is None
    reply = await twilio.app.twilio_transfer_state(
        request("r", signature(f"{BASE}/api/twilio/transfer-state", {}), b"%ff")
    )
    assert reply.status == 403


async def test_state_with_api_credentials(twilio):
    record = await twilio.begun()
    credentials = await twilio.app.door.issue("default", [Scope.TWILIO])
    headers = {"api-id": credentials.api_id, "api-secret": credentials.api_secret}

    async def ask(body, headers=headers, kind="application/json"):
        reply = await twilio.app.twilio_transfer_state(request("r", headers | {"content-type": kind}, body))
        return reply.status, json.loads(reply.body)

    status, state = await ask(json.dumps({"CallSid": CALL}).encode())
    assert (status, state["callTransferStatus"]) == (200, "ONGOING")  # a client may ask at any time
    assert (await twilio.again(record)).live
    status, state = await ask(urlencode({"CallSid": CALL}).encode(), kind="application/x-www-form-urlencoded")
    assert (status, state["callTransferStatus"]) == (200, "ONGOING")
    for body in (b"{}", b'{"CallSid": 7}', b"[]", b"x", b'{"callTransferId": "a b"}'):
        assert (await ask(body))[0] == 400
    assert (await ask(b"CallSid=a&CallSid=b", kind="application/x-www-form-urlencoded"))[0] == 400
    assert (await ask(b"{}", {}))[0] == 401
    # A signature that does not hold is not made up for.
    assert (await ask(b'{"CallSid": "x"}', headers | {"x-twilio-signature": "x"}))[0] == 403
    other = await twilio.app.door.issue("default", [Scope.CALL_TRANSFERS])
    body = b'{"CallSid": "x"}'
    assert (await ask(body, {"api-id": other.api_id, "api-secret": other.api_secret}))[0] == 403
    stranger = await twilio.app.door.issue("acme")
    assert (await ask(body, {"api-id": stranger.api_id, "api-secret": stranger.api_secret}))[0] == 403


# --- stream-status ---------------------------------------------------------------------------------------------


async def test_reports_on_streams_are_in_the_timeline(twilio):
    assert (await twilio.post("stream-status", form(**STATUS))).status == 204  # before its audio
    await twilio.world.host()
    await twilio.engaged()
    assert (await twilio.post("stream-status", form(**STATUS))).status == 204
    record = await twilio.begun()
    failed = STATUS | {"StreamEvent": "stream-error", "StreamError": "31924"}
    for _ in range(2):
        assert (await twilio.post("stream-status", form(**failed))).status == 204
    told = [
        event.data for event in await twilio.calls.events(record.call_id) if event.kind is EventKind.CALLBACK
    ]
    assert told == [{"name": "stream-error", "streamSid": STREAM, "message": "31924"}]
    assert (await twilio.post("stream-status", form())).status == 400
    await twilio.settling.engagements.begin("default", CALL, "forgotten")
    assert (await twilio.post("stream-status", form(**STATUS))).status == 204


# --- the address -----------------------------------------------------------------------------------------------


async def test_an_address_for_streams(twilio):
    credentials = await twilio.app.door.issue("default", [Scope.TWILIO])
    headers = {"api-id": credentials.api_id, "api-secret": credentials.api_secret}

    async def ask(headers=headers, compatible=False, **params):
        asked = request("r", headers, b"", params)
        reply = await twilio.app.twilio_media_stream_url(asked, compatible=compatible)
        return reply.status, json.loads(reply.body)

    assert (await ask())[1]["error"]["code"] == "503-07"
    await twilio.world.host()
    for mode in ("cascade", "s2s"):
        status, body = await ask(voiceAgentMode=mode)
        assert (status, body.keys()) == (200, {"streamingUrl"})
    token = body["streamingUrl"].removeprefix("wss://media.example/twilio/")
    claims = await twilio.verifier.verify(token, Audience.TWILIO_MEDIA)
    assert (claims.tenant, claims.call_id, claims.expires_at - claims.issued_at) == ("default", "*", 300)
    _, body = await ask(callSid=CALL)
    token = body["streamingUrl"].removeprefix("wss://media.example/twilio/")
    assert (await twilio.verifier.verify(token, Audience.TWILIO_MEDIA)).call_id == CALL
    assert (await ask(voiceAgentMode="other"))[0] == 400
    assert (await ask(callSid="CA1"))[0] == 400
    assert (await ask({}))[0] == 401
    old = {"asapp-api-id": credentials.api_id, "asapp-api-secret": credentials.api_secret}
    assert (await ask(old))[0] == 401
    assert (await ask(old, compatible=True))[0] == 200
    other = await twilio.app.door.issue("default", [Scope.CALL_TRANSFERS])
    status, body = await ask({"api-id": other.api_id, "api-secret": other.api_secret})
    assert (status, body["error"]["code"]) == (403, "403-02")
    stranger = await twilio.app.door.issue("acme")
    status, body = await ask({"api-id": stranger.api_id, "api-secret": stranger.api_secret})
    assert (status, body["error"]["code"]) == (403, "403-01")


async def test_a_client_reads_the_transfer(twilio):
    """`GET call-transfers/{CallSid}`, also for a tenant without transfers of its own (requirement 147)."""
    record = await twilio.begun()
    await twilio.outcome(record, "SYSTEM", task="refund")
    credentials = await twilio.app.door.issue("default")
    headers = {"api-id": credentials.api_id, "api-secret": credentials.api_secret}
    reply = await twilio.app.get_call_transfer(CALL, request("r", headers, b""))
    shown = json.loads(reply.body)
    assert (shown["type"], shown["status"], shown["callId"]) == ("TWILIO", "COMPLETED", record.call_id)
    assert shown["outputContext"]["transferType"] == "SYSTEM"
    assert not {"phoneNumber", "acsUser"} & shown.keys()
    new = {"id": "x", "externalConversationId": "y", "type": "TWILIO"}
    asked = request("r", headers | {"content-type": "application/json"}, json.dumps(new).encode())
    assert (await twilio.app.create_call_transfer(asked)).status == 403  # no transfers but Twilio's
