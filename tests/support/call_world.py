"""The function app's parts over a real store, real keys and a recording ACS, with a clock that tests move."""

import base64
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import jwt

from shared.application import Application
from shared.calls.admission import Heartbeat, write_heartbeat
from shared.calls.events import CallEvent, EventKind
from shared.calls.repository import new_call_id
from shared.errors import StoreUnavailable
from shared.security.tokens import Audience
from tests.support.acs_rest import ACCESS_KEY, AcsRest
from tests.support.rsa_keys import next_key

START = 1_800_000_000.0
CONTEXT = "eyJhbGciOiJub25lIn0.eyJjYyI6InNlY3JldCJ9."
NUMBER, CALLER = "+18005550000", "+14255550100"
ISSUER, RESOURCE = "https://acscallautomation.communication.azure.com", "6f1d3f0e-0000-4000-8000-000000000001"

CONFIG = """
agents:
  reception: {kind: embedded, dialogue: d.yaml}
routes:
  - {name: desk, to: ["+18005550000"], agent: reception, task: order_desk}
  - {name: away, to: ["+18005550001"], agent: reception, overflow: {action: redirect, to: "+18005550009"}}
  - {name: other, to: ["+18005550002"], agent: reception, tenant: globex}
tenants:
  default:
    max_concurrent_calls: 3
    agents: [reception]
    outbound: {countries: [US, DE], caller_ids: ["+18005550000", "+18005550009"], calls_per_minute: 5, ring_s: 40}
  globex: {}
call_transfers:
  default: {agent: reception, acs_user: "8:acs:r_agent"}
  globex: {agent: reception, lifetime_s: 30}
"""


class Clock:
    """Unix seconds, moved by hand."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> float:
        return self.at


class Signer:
    """ACS's place: signs callbacks, and its keys are fetched from here."""

    def __init__(self, clock: Clock, kid: str = "acs-1") -> None:
        self.kid, self.clock = kid, clock
        self.key = next_key()

    def jwks(self) -> str:
        numbers = self.key.public_key().public_numbers()

        def encode(value: int) -> str:
            return (
                base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8)).rstrip(b"=").decode()
            )

        key = {"kty": "RSA", "use": "sig", "kid": self.kid, "n": encode(numbers.n), "e": encode(numbers.e)}
        return json.dumps({"keys": [key]})

    def sign(self) -> str:
        now = int(self.clock())
        claims = {"iss": ISSUER, "aud": RESOURCE, "iat": now, "nbf": now, "exp": now + 300}
        return "Bearer " + jwt.encode(claims, self.key, "RS256", {"kid": self.kid})


class World:
    """One function app with everything around it."""

    def __init__(self, app: Application, acs: AcsRest, clock: Clock, signer: Signer) -> None:
        self.app, self.acs, self.clock, self.signer = app, acs, clock, signer
        self.calls, self.store = app.calls, app.store

    async def host(self, host_id="host-a", *, active=0, capacity=100, draining=False, age_s=0.0) -> None:
        """A media host's heartbeat."""
        beat = Heartbeat(host_id, active, capacity, draining, self.clock() - age_s)
        await write_heartbeat(self.store, beat)

    def incoming(self, number=NUMBER, *, correlation="corr-1", age_s=0.0, event_id="ev-1", **data) -> dict:
        """An IncomingCall event in Event Grid's schema."""
        at = datetime.fromtimestamp(self.clock() - age_s, UTC).isoformat()
        return {
            "id": event_id,
            "subject": "/caller/x/recipient/y",
            "eventType": "Microsoft.Communication.IncomingCall",
            "eventTime": at,
            "dataVersion": "1.0",
            "data": {
                "to": {"kind": "phoneNumber", "rawId": f"4:{number}", "phoneNumber": {"value": number}},
                "from": {"kind": "phoneNumber", "rawId": f"4:{CALLER}", "phoneNumber": {"value": CALLER}},
                "serverCallId": "aHR0cHM6Ly9l/+==",
                "callerDisplayName": "",
                "incomingCallContext": CONTEXT,
                "correlationId": correlation,
                **data,
            },
        }

    def callback(
        self, kind: str, event_id: str, *, after_s=0.0, connection="cc-1", code=200, sub_code=0, **data
    ):
        """One callback as a CloudEvent."""
        at = datetime.fromtimestamp(START + after_s, UTC).isoformat()
        result = {"code": code, "subCode": sub_code, "message": ""}
        return {
            "id": event_id,
            "source": f"calling/callConnections/{connection}",
            "type": f"Microsoft.Communication.{kind}",
            "time": at,
            "specversion": "1.0",
            "data": {"callConnectionId": connection, "resultInformation": result, **data},
        }

    async def answered(self, number=NUMBER, correlation="corr-1"):
        """A call that has just been answered; its record."""
        if not (await self.store.query("mediahosts", "host")):
            await self.host()
        await self.app.incoming_call(self.incoming(number, correlation=correlation), "req-1")
        tenant = "globex" if number.endswith("2") else "default"
        [record] = [r for r in await self.calls.list(tenant) if r.correlation_id == correlation]
        return await self.calls.get(tenant, record.call_id)

    async def talking(self, host_id="host-a"):
        """An answered call whose audio runs over a media host; its record."""
        record = await self.answered()
        data = {"hostId": host_id, "callConnectionId": "cc-1", "audioFormat": "pcm24KMono", "resumed": False}
        await self.event(record, "media-1", EventKind.MEDIA_CONNECTED, 0.5, **data)
        return await self.again(record)

    async def event(self, record, event_id: str, kind: EventKind, after_s=0.0, **data) -> None:
        """An event of the call, `after_s` after the start."""
        await self.calls.append(
            record.tenant, record.call_id, CallEvent(event_id, kind, START + after_s, data)
        )

    async def again(self, record):
        """The call's record as it is now."""
        return await self.calls.get(record.tenant, record.call_id)

    async def token(self, call_id: str, tenant="default", audience=Audience.ACS_CALLBACK) -> str:
        return await self.app.answering.minter.mint(audience, call_id=call_id, tenant=tenant)

    def fail_store(self, times: int, *tables: str) -> None:
        """Let the next operations on these tables fail as a store that is away does."""
        self.store.fail(times, tables)


class Stubborn:
    """The real store, with moments in which it does not answer."""

    def __init__(self, store) -> None:
        self._store, self._left, self._tables = store, 0, ()

    def fail(self, times, tables) -> None:
        self._left, self._tables = times, tables

    def __getattr__(self, name):
        operation = getattr(self._store, name)

        async def run(*args, **kwargs):
            if args and args[0] in self._tables and self._left:
                self._left -= 1
                raise StoreUnavailable("away")
            return await operation(*args, **kwargs)

        return run


def environment(folder: Path, acs: AcsRest) -> dict[str, str]:
    """Settings of a function app that lives in `folder`."""
    (folder / "patchcord.yaml").write_text(CONFIG)
    return {
        "PATCHCORD_ENVIRONMENT": "test",
        "PATCHCORD_CONFIG": str(folder / "patchcord.yaml"),
        "PATCHCORD_STORE": f"sqlite:{folder / 'store.db'}",
        "PATCHCORD_SIGNING_KEYS": f"file:{folder / 'signing.json'}",
        "PATCHCORD_VERIFICATION_KEYS": f"file:{folder / 'verification.json'}",
        "AZURE_ACS_CONN_KEY": f"endpoint={acs.access.endpoint};accesskey={ACCESS_KEY}",
        "ACS_RESOURCE_ID": RESOURCE,
        "CALLBACK_EVENTS_URI": "https://fn.example",
        "CALLBACK_URI_HOST": "wss://media.example",
    }


@asynccontextmanager
async def open_world(folder: Path, monkeypatch, **more: str):
    """A `World`; `more` are further settings."""
    clock = Clock()
    signer = Signer(clock)
    async with AcsRest() as acs:

        async def fetch(_session, _address):
            return signer.jwks()

        opened = []
        monkeypatch.setattr("shared.security.jwks.JwksFetcher.fetch", fetch)
        monkeypatch.setattr(
            "shared.application.open_store",
            lambda address, identity: opened.append(Stubborn(_real_store(address))) or opened[0],
        )
        app = await Application.open(environment(folder, acs) | more, now=clock)
        try:
            yield World(app, acs, clock, signer)
        finally:
            await app.close()


def _real_store(address: str):
    from shared.store.sqlite import SqliteStore

    return SqliteStore(Path(address.removeprefix("sqlite:")))


def a_call_id(world: World) -> str:
    """A call id of now."""
    return new_call_id(world.clock())
