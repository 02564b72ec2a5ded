"""A function app with three tenants on the Twilio line, requests as Twilio signs them, and streams that begin."""

import asyncio
import json
import xml.etree.ElementTree as ET
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from shared.calls.events import CallEvent, EventKind
from shared.http import request
from shared.security.tokens import Audience, TokenVerifier
from shared.twilio.begin import TwilioCalls
from shared.wire.twilio_media import Start
from tests.support.call_world import NUMBER, open_world

ACCOUNT, OTHER_ACCOUNT, KEYED_ACCOUNT = ("AC" + digit * 32 for digit in "123")
TOKEN, OTHER_TOKEN, KEY = "auth-token-one", "auth-token-two", "shared-key-three"
CALL, OTHER_CALL = "CA" + "a" * 32, "CA" + "b" * 32
STREAM = "MZ" + "c" * 32
CALLER = "+14255550100"
BASE = "https://fn.example"

CONFIG = """
agents:
  reception: {kind: embedded, dialogue: d.yaml, transfers: {billing: "+18005550111", fallback: "+18005550112"}}
  night: {kind: embedded, dialogue: d.yaml}
routes:
  - {name: desk, to: ["+18005550000"], agent: night, task: order_desk}
  - {name: any, to: ["*"], agent: night, tenant: globex}
tenants:
  globex: {}
  keyed: {}
twilio:
  default:
    account_sid: ACCOUNT1
    auth_token: env:T1B_TOKEN_ONE
    agent: reception
    task: usual
    next: {system: {redirect: "https://customer.example/next"}}
    studio_return: https://webhooks.twilio.example/flows/FW1?FlowEvent=return
  globex:
    account_sid: ACCOUNT2
    auth_token: env:T1B_TOKEN_TWO
    agent: night
    next: {agent: {enqueue: support}, failed: {dial: "+18005550119"}}
  keyed:
    account_sid: ACCOUNT3
    auth_token: env:T1B_TOKEN_TWO
    signing_key: env:T1B_KEY
    agent: night
"""


def form(call_sid=CALL, account=ACCOUNT, **more) -> dict[str, str]:
    """What Twilio posts about a call."""
    return {
        "AccountSid": account,
        "CallSid": call_sid,
        "CallStatus": "in-progress",
        "Direction": "inbound",
        "From": CALLER,
        "To": NUMBER,
        **more,
    }


def signature(url: str, params: dict[str, str], token=TOKEN, algorithm="HMAC_SHA1") -> dict[str, str]:
    """The headers that Twilio sends."""
    headers = {"x-twilio-signature": RequestValidator(token).compute_signature(url, params, algorithm)}
    if algorithm == "HMAC_SHA256":
        headers["x-twilio-webhooks-signature-settings"] = f"key=k1,algorithm={algorithm}"
    return headers


class TwilioWorld:
    """Twilio in front of a `World`."""

    def __init__(self, world) -> None:
        self.world, self.app, self.clock, self.store, self.calls = (
            world,
            world.app,
            world.clock,
            world.store,
            world.calls,
        )
        app = self.app
        self.settling = replace(app.twilio.settling, pause=self.pause)
        app.twilio = replace(app.twilio, settling=self.settling)
        self.line = TwilioCalls(app.store, app.config, app.calls, "test", 100, app.now)
        self.verifier = TokenVerifier(app.keys, app.now)
        self.pauses = 0
        self.during_pause = None

    async def pause(self, seconds: float) -> None:
        self.clock.at += seconds
        self.pauses += 1
        if self.during_pause is not None:
            await self.during_pause()
        await asyncio.sleep(0)

    async def post(self, path, params, *, token=TOKEN, algorithm="HMAC_SHA1", query="", headers=None):
        """A form from Twilio to `/api/twilio/{path}`; `headers` instead of the right signature."""
        url = f"{BASE}/api/twilio/{path}" + (f"?{query}" if query else "")
        if headers is None:
            headers = signature(url, params, token, algorithm)
        headers = {"content-type": "application/x-www-form-urlencoded", **headers}
        door = getattr(self.app, "twilio_" + path.replace("-", "_"))
        return await door(request("r1", headers, urlencode(params).encode(), {}, query))

    async def engaged(self, call_sid=CALL, query="", **more):
        """The TwiML of a call that comes in, as XML."""
        reply = await self.post("engage", form(call_sid, **more), query=query)
        return xml(reply)

    async def claims(self, twiml):
        """What the token in a TwiML's address says."""
        url = twiml.find("Connect/Stream").get("url")
        prefix = "wss://media.example/twilio/"
        assert url.startswith(prefix)
        return await self.verifier.verify(url.removeprefix(prefix), Audience.TWILIO_MEDIA)

    async def any_call(self, tenant="default", call_sid="*"):
        """The claims of an address from the API."""
        minter = self.app.twilio.minter
        token = await minter.mint(Audience.TWILIO_MEDIA, call_id=call_sid, tenant=tenant)
        return await self.verifier.verify(token, Audience.TWILIO_MEDIA)

    async def begun(self, call_sid=CALL, **parameters):
        """The record of a call that was engaged and whose audio has come; a media host has it."""
        await self.world.host()
        record = await self.line.begin(
            await self.claims(await self.engaged(call_sid)), start(call_sid, **parameters)
        )
        await self.carry(record)
        return record

    async def carry(self, record) -> None:
        await self.note(record, "media-1", EventKind.MEDIA_CONNECTED, hostId="host-a")

    async def note(self, record, event_id, kind, **data) -> None:
        await self.calls.append(record.tenant, record.call_id, CallEvent(event_id, kind, self.clock(), data))

    async def outcome(self, record, kind="AGENT", **data) -> None:
        """What a media host writes before it closes the stream."""
        await self.note(record, "outcome", EventKind.OUTCOME, transferType=kind, reason="done", **data)

    async def again(self, record):
        return await self.calls.get(record.tenant, record.call_id)

    async def transfer(self, ident=CALL, tenant="default"):
        return await self.settling.transfers[tenant].get(tenant, ident)

    async def state(self, ident=CALL, query="", **fields):
        """What a Studio flow reads."""
        reply = await self.post("transfer-state", {"CallSid": ident, **fields}, query=query)
        assert reply.status == 200, reply.body
        return json.loads(reply.body)

    async def completed(self, call_sid=CALL, **more):
        """The TwiML after a stream."""
        return xml(await self.post("call-complete", form(call_sid, **more)))


def xml(reply):
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"].startswith("text/xml")
    return ET.fromstring(reply.body)  # noqa: S314  # our own output


def verbs(twiml) -> list[str]:
    return [verb.tag for verb in twiml]


def start(call_sid=CALL, account=ACCOUNT, **parameters) -> Start:
    return Start(STREAM, account, call_sid, ("inbound",), parameters)


@asynccontextmanager
async def open_twilio(folder, monkeypatch, **more):
    """A `TwilioWorld`."""
    for name, value in (("T1B_TOKEN_ONE", TOKEN), ("T1B_TOKEN_TWO", OTHER_TOKEN), ("T1B_KEY", KEY)):
        monkeypatch.setenv(name, value)
    text = CONFIG
    for number, account in enumerate((ACCOUNT, OTHER_ACCOUNT, KEYED_ACCOUNT), 1):
        text = text.replace(f"ACCOUNT{number}", account)
    file = folder / "twilio.yaml"
    file.write_text(text)
    async with open_world(folder, monkeypatch, PATCHCORD_CONFIG=str(file), **more) as world:
        yield TwilioWorld(world)
