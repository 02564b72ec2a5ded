"""Who may ask the webhooks, and what a call that comes in is told."""

import json

import pytest

from shared.http import request
from tests.shared.twilio.world import (
    ACCOUNT,
    BASE,
    CALL,
    CALLER,
    KEY,
    KEYED_ACCOUNT,
    OTHER_ACCOUNT,
    OTHER_CALL,
    OTHER_TOKEN,
    STREAM,
    TOKEN,
    form,
    signature,
    start,
    verbs,
    xml,
)

PATHS = ("engage", "call-complete", "transfer-state", "stream-status")
STATUS = {"StreamSid": STREAM, "StreamEvent": "stream-started"}


async def test_engage(twilio):
    await twilio.world.host()
    twiml = await twilio.engaged(query="accountNumber=00123&taskName=refund&empty=&FlowEvent=x")
    assert verbs(twiml) == ["Connect"]
    connect, stream = twiml[0], twiml[0][0]
    turn = (await twilio.settling.engagements.get("default", CALL)).turn
    assert connect.get("action") == f"{BASE}/api/twilio/call-complete?turn={turn}"
    assert stream.get("statusCallback") == f"{BASE}/api/twilio/stream-status"
    assert {one.get("name"): one.get("value") for one in stream} == {
        "accountNumber": "00123",
        "taskName": "refund",
        "empty": "",
    }
    claims = await twilio.claims(twiml)
    assert (claims.tenant, claims.call_id) == ("default", CALL)
    assert claims.expires_at - claims.issued_at == 300
    known = await twilio.settling.engagements.get("default", CALL)
    assert (known.agent, known.task, known.route, known.caller) == ("night", "order_desk", "desk", CALLER)


async def test_numbers_without_a_route_of_their_own(twilio):
    """Neither another tenant's route nor `*` names a number."""
    await twilio.world.host()
    await twilio.engaged(To="+18005559999", From="anonymous")
    known = await twilio.settling.engagements.get("default", CALL)
    assert (known.agent, known.task, known.route, known.caller) == ("reception", "usual", "twilio", "")
    await twilio.post("engage", form(account=OTHER_ACCOUNT), token=OTHER_TOKEN)
    known = await twilio.settling.engagements.get("globex", CALL)
    assert (known.agent, known.route) == ("night", "twilio")


async def test_a_studio_flow_goes_on_by_itself(twilio):
    await twilio.world.host()
    twiml = await twilio.engaged(query="FlowEvent=return&plan=gold")
    assert verbs(twiml) == ["Connect", "Redirect"]
    assert twiml[0].get("action") is None
    assert [one.get("name") for one in twiml[0][0]] == ["plan"]
    assert twiml[1].text == "https://webhooks.twilio.example/flows/FW1?FlowEvent=return"
    reply = await twilio.post(
        "engage", form(account=OTHER_ACCOUNT), token=OTHER_TOKEN, query="FlowEvent=return"
    )
    assert verbs(xml(reply)) == ["Connect"]  # no address to return to is configured


@pytest.mark.parametrize("path", PATHS)
async def test_only_twilio_may_post(twilio, path):
    """Missing, wrong, of another account, of another door, of other fields, of another query: all alike, nothing done."""
    await twilio.world.host()
    fields = form(**STATUS)
    url = f"{BASE}/api/twilio/{path}"
    wrong = [
        {"x-twilio-signature": ""},
        {"x-twilio-signature": "x"},
        signature(url, fields, OTHER_TOKEN),
        signature(url, fields | {"CallSid": OTHER_CALL}),
        signature(url + "?a=b", fields),
        signature(url.replace("https", "http"), fields),
        signature(f"{BASE}/api/twilio/other", fields),
        signature(url, fields, TOKEN, "HMAC_SHA256"),
        signature(url, fields) | {"x-twilio-webhooks-signature-settings": "key=k1,algorithm=HMAC_SHA256"},
        {"x-twilio-signature": "{0}, {0}".format(*signature(url, fields).values())},
        # What a proxy or an attacker says about the address does not count.
        signature(url.replace("fn.", "evil."), fields)
        | {"host": "evil.example", "x-forwarded-host": "evil.example"},
    ]
    if path != "transfer-state":
        wrong.append({})
    for headers in wrong:
        reply = await twilio.post(path, fields, headers=headers)
        assert reply.status == 403, headers
        error = json.loads(reply.body)["error"]
        assert (error["code"], error["message"]) == ("403-05", "the signature does not hold")
    assert await twilio.settling.engagements.get("default", CALL) is None
    assert (await twilio.post(path, fields)).status < 300


@pytest.mark.parametrize("path", ["engage", "call-complete", "stream-status"])
async def test_accounts_do_not_mix(twilio, path):
    """A form that names account A, signed by B; one of no account of ours; none at all; no form."""
    for fields, token in (
        (form(account=ACCOUNT), OTHER_TOKEN),
        (form(account="AC" + "9" * 32), TOKEN),
        ({"CallSid": CALL}, TOKEN),
        ({"AccountSid": "AC1", "CallSid": CALL}, TOKEN),
    ):
        assert (await twilio.post(path, fields, token=token)).status == 403
    door = getattr(twilio.app, "twilio_" + path.replace("-", "_"))
    assert (await door(request("r1", signature(f"{BASE}/api/twilio/{path}", {}), b"%ff=1"))).status == 403


async def test_a_shared_key_takes_the_place_of_the_token(twilio, monkeypatch):
    await twilio.world.host()
    monkeypatch.delenv("T1B_TOKEN_TWO")  # it is not even read
    fields = form(account=KEYED_ACCOUNT)
    assert (await twilio.post("engage", fields, token=KEY, algorithm="HMAC_SHA256")).status == 200
    for token, algorithm in ((OTHER_TOKEN, "HMAC_SHA1"), (KEY, "HMAC_SHA1"), (OTHER_TOKEN, "HMAC_SHA256")):
        assert (await twilio.post("engage", fields, token=token, algorithm=algorithm)).status == 403


@pytest.mark.parametrize(
    "fields",
    [
        {"AccountSid": ACCOUNT},
        form("CA1"),
        # Signed like {CallSid: CA…, From: …}: names and values run together.
        {"AccountSid": ACCOUNT, "CallSidCA": CALL[2:]},
    ],
)
async def test_signed_and_malformed(twilio, fields):
    for path in ("engage", "call-complete"):
        reply = await twilio.post(path, fields)
        assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "400-01")


async def test_a_caller_whom_nobody_can_take_hears_why(twilio):
    twiml = await twilio.engaged()
    assert verbs(twiml) == [
        "Say",
        "Dial",
    ]  # no media host; next.failed is as next.agent: the agent's fallback
    assert twiml[1].text == "+18005550112"
    await twilio.world.host(active=100)
    reply = await twilio.post("engage", form(account=OTHER_ACCOUNT), token=OTHER_TOKEN)
    assert verbs(xml(reply)) == ["Say", "Dial"]
    assert xml(reply)[1].text == "+18005550119"
    assert await twilio.settling.engagements.get("default", CALL) is None


@pytest.mark.parametrize("trouble", ["no room", "no keys"])
async def test_a_flow_gets_back_a_caller_whom_nobody_can_take(twilio, trouble, monkeypatch):
    """It has its own way to go on; `next.failed` is for calls that nobody waits for."""
    if trouble == "no keys":
        await twilio.world.host()
        monkeypatch.setattr(type(twilio.app.twilio), "_address", None)
    twiml = await twilio.engaged(query="FlowEvent=return")
    assert verbs(twiml) == ["Say", "Redirect"]
    assert twiml[1].text == "https://webhooks.twilio.example/flows/FW1?FlowEvent=return"
    other = xml(
        await twilio.post("engage", form(account=OTHER_ACCOUNT), token=OTHER_TOKEN, query="FlowEvent=return")
    )
    assert verbs(other) == ["Say", "Dial"]  # no address to return to is configured


async def test_a_tenant_with_too_many_calls(twilio, monkeypatch):
    await twilio.begun()
    monkeypatch.setattr(type(twilio.app.config), "concurrent_calls", lambda *_: 1)
    twilio.clock.at += 1
    await twilio.world.host()
    assert verbs(await twilio.engaged(OTHER_CALL)) == ["Say", "Dial"]


async def test_a_caller_who_comes_back_after_the_media_host_died(twilio, monkeypatch):
    """Before anybody noticed: the call's own ghost is no reason to refuse it."""
    lost = await twilio.begun()
    monkeypatch.setattr(type(twilio.app.config), "concurrent_calls", lambda *_: 1)
    twilio.clock.at += 6
    await twilio.world.host("host-b")
    record = await twilio.line.begin(await twilio.claims(await twilio.engaged()), start())
    assert list(record.previous_calls) == [lost.call_id]
    assert (await twilio.again(lost)).outcome["referenceVariables"] == {"error": "media_lost"}


@pytest.mark.parametrize("path", ["engage", "call-complete"])
async def test_trouble_of_ours_is_said(twilio, path, monkeypatch):
    await twilio.world.host()
    twilio.world.fail_store(1, "engagements")
    reply = await twilio.post(path, form())
    assert verbs(xml(reply)) == ["Say", "Dial"]

    async def broken(*_):
        raise RuntimeError("a mistake")

    monkeypatch.setattr(type(twilio.settling.engagements), "get", broken)
    monkeypatch.setattr(type(twilio.settling.engagements), "engage", broken)
    assert verbs(xml(await twilio.post(path, form()))) == ["Say", "Dial"]


@pytest.mark.parametrize("path", ["engage", "call-complete"])
async def test_when_no_signature_can_be_checked_nothing_is_told(twilio, path, monkeypatch):
    """Somebody without a signature must not learn whom we would call."""
    monkeypatch.delenv("T1B_TOKEN_ONE")
    assert verbs(xml(await twilio.post(path, form(), headers={}))) == ["Say", "Hangup"]


async def test_a_secret_that_is_not_there_is_nobody_elses_business(twilio, monkeypatch):
    """Other tenants' requests hold all the same, and no answer says where the secret would be."""
    monkeypatch.delenv("T1B_TOKEN_ONE")
    assert (await twilio.post("transfer-state", {"CallSid": CALL}, token=OTHER_TOKEN)).status == 200
    for path, fields in (("transfer-state", {"CallSid": CALL}), ("stream-status", form(**STATUS))):
        reply = await twilio.post(path, fields)
        assert (reply.status, json.loads(reply.body)["error"]["code"]) == (503, "503-01")
        assert b"T1B" not in reply.body


async def test_when_no_token_can_be_made(twilio, monkeypatch):
    from shared.errors import KeysUnavailable

    async def mint(*_, **__):
        raise KeysUnavailable("away")

    await twilio.world.host()
    monkeypatch.setattr(type(twilio.app.twilio.minter), "mint", mint)
    assert verbs(await twilio.engaged()) == ["Say", "Dial"]
