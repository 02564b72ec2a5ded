"""A real media host over a real store, real keys and a recording ACS; the test plays ACS's audio client."""

import asyncio
import base64
import json
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from aiohttp import web
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed

from media_host import ending, handover_attempt
from media_host.agents.base import Codec
from media_host.audio import ACS_CODECS, to_pieces
from media_host.host import MediaHost
from media_host.notices import TEXTS
from shared.calls.events import CallEvent, EventKind
from shared.calls.repository import Calls, new_call_id
from shared.security.audiences import Audience
from shared.security.key_sources import FileKeySource
from shared.security.keyring import KeyRing, ensure_keys
from shared.security.tokens import TokenMinter
from shared.settings import AcsAccess, media_host_settings
from shared.store.sqlite import SqliteStore
from tests.support import rsa_keys
from tests.support.acs_rest import ACCESS_KEY, AcsRest
from tests.support.agents import PuppetAgent
from tests.support.call_world import ISSUER, RESOURCE, Signer
from tests.support.serving import serving
from tests.support.timing import patience

CONFIG = """
agents:
  puppet: {kind: embedded, dialogue: none.yaml, tools: [lookup_order]}
  recorded: {kind: embedded, dialogue: none.yaml, recording: true, recording_consent: true}
  helped: {kind: embedded, dialogue: none.yaml, transfers: {fallback: "+18005559999", desk: "8:acs:r_1"}}
  narrow: {kind: embedded, dialogue: none.yaml, audio: pcm16KMono}
  slow: {kind: embedded, dialogue: none.yaml, tools: [for_ever]}
  after: {kind: embedded, dialogue: none.yaml, post_call: {kind: python, entry_point: "tests.support.media_tools:seen"}}
tools:
  lookup_order:
    kind: python
    description: Looks up an order.
    entry_point: media_host.tools.samples:lookup_order
    parameters: {type: object, properties: {order_number: {type: string}}, required: [order_number]}
  for_ever: {kind: python, description: Never ends., entry_point: "tests.support.media_tools:for_ever", timeout_s: 60}
routes:
  - {name: desk, to: ["*"], agent: puppet}
"""
NOTICE = b"\x0b"
CALLER, NUMBER = "+14255550100", "+18005550000"


class OneKeySigner(Signer):
    """ACS's place, with one key for the whole run: making one takes a while."""

    def __init__(self, clock) -> None:
        self.kid, self.clock, self.key = "acs-1", clock, rsa_keys.rsa_key(0)


class MediaWorld:
    """Everything around one media host."""

    def __init__(self, folder: Path, acs: AcsRest) -> None:
        self.folder, self.acs = folder, acs
        self.offset = 0.0  # what the clocks of host and tokens are ahead of the real one
        self.signer = OneKeySigner(self.now)
        self.agents: list[PuppetAgent] = []
        self.agent_options = {}
        self.clients: list[Line] = []

    def now(self) -> float:
        return time.time() + self.offset

    def make_agent(self, config) -> PuppetAgent:
        self.agents.append(PuppetAgent(**self.agent_options))
        return self.agents[-1]

    async def call(
        self, agent="puppet", *, connection="cc-1", answered=True, tenant="default", **data
    ) -> str:
        """A call that ACS has answered; its id."""
        call_id = new_call_id(self.now())
        received = {
            "callId": call_id,
            "tenant": tenant,
            "environment": "test",
            "from": CALLER,
            "to": NUMBER,
            "correlationId": "corr-1",
            "agent": agent,
            "task": "desk",
            "inputVariables": {"accountNumber": "00123"},
            **data,
        }
        await self.calls.append(
            tenant, call_id, CallEvent("received", EventKind.RECEIVED, self.now(), received)
        )
        if answered:
            await self.event(
                call_id, "answered", EventKind.ANSWERED, tenant=tenant, callConnectionId=connection, ms=5
            )
        return call_id

    async def event(self, call_id, event_id, kind, *, tenant="default", **data) -> None:
        await self.calls.append(tenant, call_id, CallEvent(event_id, kind, self.now(), data))

    async def token(self, call_id, audience=Audience.ACS_MEDIA, tenant="default", **more) -> str:
        return await self.minter.mint(audience, call_id=call_id, tenant=tenant, **more)

    def headers(self, *, connection="cc-1", correlation="corr-1", signature=True) -> dict[str, str]:
        found = {"x-ms-call-connection-id": connection, "x-ms-call-correlation-id": correlation}
        if signature:
            found["Authorization"] = self.signer.sign() if signature is True else signature
        return found

    async def dial(self, call_id="", *, token="", headers=None, rate=24000, metadata=True) -> "Line":
        """Be ACS: open the audio WebSocket."""
        token = token or await self.token(call_id)
        connection = await ws_connect(
            f"ws://127.0.0.1:{self.host.server.port}/acs/{token}",
            additional_headers=self.headers() if headers is None else headers,
            compression=None,
            max_size=None,
            open_timeout=patience(10),
        )
        line = Line(connection, rate)
        self.clients.append(line)
        if metadata:
            await line.describe()
        return line

    async def talk(self, agent="puppet", **more):
        """A connected call: its id, the line and the agent."""
        call_id = await self.call(agent)
        line = await self.dial(call_id, **more)
        await self.eventually(lambda: self.agents)
        puppet = self.agents[-1]
        if not puppet.hang and not puppet.fail:
            async with asyncio.timeout(patience(5)):
                await puppet.started.wait()
        return call_id, line, puppet

    async def record(self, call_id, tenant="default"):
        return await self.calls.get(tenant, call_id)

    async def events(self, call_id, kind=None):
        found = sorted(await self.calls.events(call_id), key=lambda event: event.at)
        return found if kind is None else [event for event in found if event.kind is kind]

    async def ended(self, call_id):
        """Wait until nothing of the call is left in the host; the record."""
        await self.eventually(lambda: call_id not in self.host.server.sessions)
        return await self.record(call_id)

    async def eventually(self, condition, within_s=5.0):
        """Wait until `condition()` (sync or async) is true."""
        async with asyncio.timeout(patience(within_s)):
            while True:
                found = condition()
                if asyncio.iscoroutine(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(0.01)


class Line:
    """ACS's end of one audio WebSocket."""

    def __init__(self, connection, rate) -> None:
        self.connection, self.rate = connection, rate
        self.audio: list[tuple[float, bytes]] = []  # time.monotonic(), samples
        self.stops: list[float] = []
        self.kinds: list[str] = []
        self.closed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    @property
    def code(self):
        return self.connection.close_code

    @property
    def heard(self) -> bytes:
        return b"".join(samples for _, samples in self.audio)

    async def _read(self) -> None:
        try:
            async for message in self.connection:
                value = json.loads(message)
                self.kinds.append(value["Kind"])
                if value["Kind"] == "AudioData":
                    self.audio.append((time.monotonic(), base64.b64decode(value["AudioData"]["Data"])))
                else:
                    self.stops.append(time.monotonic())
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()

    async def describe(self, **changes) -> None:
        described = {
            "subscriptionId": "s",
            "encoding": "PCM",
            "sampleRate": self.rate,
            "channels": 1,
            "length": self.rate // 25,
            **changes,
        }
        await self.send({"kind": "AudioMetadata", "audioMetadata": described})

    async def send(self, value) -> None:
        await self.connection.send(json.dumps(value, separators=(",", ":")))

    async def speak(self, frames=1, fill=7) -> bytes:
        """Caller frames of 20 ms; one frame's base64."""
        data = base64.b64encode(bytes([fill]) * (self.rate // 25)).decode()
        for _ in range(frames):
            await self.send(
                {
                    "kind": "AudioData",
                    "audioData": {
                        "timestamp": "2026-11-20T23:50:38.925Z",
                        "participantRawID": "4:+14255550100",
                        "data": data,
                        "silent": False,
                    },
                }
            )
        return data.encode()

    async def key(self, key) -> None:
        await self.send({"kind": "DtmfData", "dtmfData": {"data": key}})

    async def hang_up(self, code=1000) -> None:
        await self.connection.close(code)
        await self.closed.wait()

    async def gone(self):
        """Wait until the host has closed; the code."""
        async with asyncio.timeout(patience(8)):
            await self.closed.wait()
        return self.code

    async def close(self) -> None:
        self.connection.transport.abort()
        await self.closed.wait()
        self._reader.cancel()


@asynccontextmanager
async def open_media_world(folder: Path, monkeypatch, *, fast=True, config=CONFIG, **changes):
    """A `MediaWorld` with its host listening; `changes` are settings of the host."""
    (folder / "patchcord.yaml").write_text(config)
    monkeypatch.setattr(ending, "CLOSE_S", 0.2)
    monkeypatch.setattr(handover_attempt, "POLL_S", 0.05)

    async def keys(_request):
        return web.Response(text=world.signer.jwks())

    async with AcsRest() as acs, serving(keys) as address:
        world = MediaWorld(folder, acs)
        signing, verification = FileKeySource(folder / "signing.json"), FileKeySource(folder / "public.json")
        await ensure_keys(signing, verification, world.now())
        world.ring = KeyRing(signing, world.now)
        world.minter = TokenMinter(world.ring, world.now)
        world.store = SqliteStore(folder / "store.db")
        world.calls = Calls(world.store, world.now)
        settings = media_host_settings(
            {
                "PATCHCORD_CONFIG": str(folder / "patchcord.yaml"),
                "PATCHCORD_STORE": f"sqlite:{folder / 'store.db'}",
                "PATCHCORD_VERIFICATION_KEYS": f"file:{folder / 'public.json'}",
                "AZURE_ACS_CONN_KEY": f"endpoint={acs.access.endpoint};accesskey={ACCESS_KEY}",
                "ACS_RESOURCE_ID": RESOURCE,
                "ACS_JWT_ISSUER": ISSUER,
                "ACS_JWKS_URL": f"{address}/keys",
                "MEDIA_HOST_ID": "host-a",
                "MEDIA_LISTEN_HOST": "127.0.0.1",
                "MEDIA_LISTEN_PORT": "0",
                "MEDIA_CAPACITY": "20",
            }
        )
        world.settings = replace(settings, **changes)
        assert isinstance(world.settings.acs, AcsAccess)
        world.host = MediaHost(world.settings, make_agent=world.make_agent, now=world.now, fast=fast)
        before = asyncio.all_tasks()
        async with world.host:
            for codec in (
                *ACS_CODECS.values(),
                Codec.ULAW_8K,
            ):  # short, and easy to tell from an agent's audio
                for name in TEXTS:
                    notice = to_pieces(NOTICE * (codec.sample_rate // 1000 * 200), codec)
                    world.host.notices._pieces[name, codec] = notice
            try:
                yield world
            finally:
                for line in world.clients:
                    await line.close()
        await world.ring.close()
        await world.store.close()
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        assert not left, f"orphan tasks: {left}"
