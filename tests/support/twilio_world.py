"""A media host whose tenant has a Twilio account; the test is Twilio, over real sockets."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

from twilio.request_validator import RequestValidator
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from shared.security.audiences import Audience
from shared.twilio.begin import ANY_CALL
from tests.support import twilio_end as they
from tests.support.media_world import CONFIG, open_media_world
from tests.support.timing import patience

BASE = "wss://media.example"
AUTH_TOKEN, SIGNING_KEY = "0123456789abcdef0123456789abcdef", "a-shared-key-of-the-account"  # of no account
OTHER_ACCOUNT = "AC" + "e" * 32

TWILIO = (
    CONFIG.replace(
        "  narrow:",
        "  passing: {kind: websocket, url: 'ws://127.0.0.1:1/agent', mulaw: true}\n  narrow:",
    )
    + f"""
tenants:
  acme: {{}}
twilio:
  default: {{account_sid: {they.ACCOUNT}, auth_token: "env:T2_AUTH_TOKEN", agent: passing, task: desk}}
  acme: {{account_sid: {OTHER_ACCOUNT}, auth_token: "env:T2_AUTH_TOKEN", signing_key: "env:T2_SIGNING_KEY", agent: puppet}}
"""
)


class Stream:
    """Twilio's end of one media stream."""

    def __init__(self, socket) -> None:
        self.socket = socket
        self.messages = []
        self.closed = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                found = they.checked(message.encode())
                self.messages.append(found)
                if found["event"] == "mark":
                    await self.send(they.mark(found["mark"]["name"]))
        except ConnectionClosed:
            pass
        finally:
            self.closed.set()

    async def send(self, *messages) -> None:
        for message in messages:
            await self.socket.send(json.dumps(message, separators=(",", ":")))

    @property
    def audio(self) -> bytes:
        payloads = [found["media"]["payload"] for found in self.messages if found["event"] == "media"]
        return b"".join(map(base64.b64decode, payloads))

    async def gone(self) -> int:
        """Wait until the host has closed; the code."""
        async with asyncio.timeout(patience(8)):
            await self.closed.wait()
        return self.socket.close_code

    async def close(self) -> None:
        self.socket.transport.abort()
        await self.closed.wait()
        self._reader.cancel()


def signed(address, *, secret=AUTH_TOKEN, algorithm="HMAC_SHA1") -> dict[str, str]:
    """The headers with which Twilio dials `address`."""
    headers = {"X-Twilio-Signature": RequestValidator(secret).compute_signature(address, {}, algorithm)}
    if algorithm == "HMAC_SHA256":
        headers["X-Twilio-Webhooks-Signature-Settings"] = "key=KY1,algorithm=HMAC_SHA256"
    return headers


class TwilioWorld:
    """`media`: everything that is the same on any line."""

    def __init__(self, media) -> None:
        self.media = media

    async def token(self, call=ANY_CALL, tenant="default", **more) -> str:
        return await self.media.token(call, Audience.TWILIO_MEDIA, tenant, **more)

    async def dial(self, token="", *, headers=None, path="") -> Stream:
        token = token or await self.token()
        socket = await connect(
            f"ws://127.0.0.1:{self.media.host.server.port}{path or '/twilio/' + token}",
            additional_headers=signed(f"{BASE}/twilio/{token}") if headers is None else headers,
            compression=None,
            open_timeout=patience(10),
        )
        stream = Stream(socket)
        self.media.clients.append(stream)
        return stream

    async def start(self, token="", **changes) -> Stream:
        """A stream that has begun; `changes` are of its start message."""
        stream = await self.dial(token)
        await stream.send(they.connected(), they.start(**changes))
        return stream

    async def talk(self, **changes):
        """A call whose agent has started: our id of it, the stream, the agent."""
        number = len(self.media.agents)
        stream = await self.start(**changes)
        await self.media.eventually(lambda: len(self.media.agents) > number)
        agent = self.media.agents[-1]
        async with asyncio.timeout(patience(5)):
            await agent.started.wait()
        return agent.start_args.call_id, stream, agent


@asynccontextmanager
async def open_twilio_world(tmp_path, monkeypatch, **changes):
    monkeypatch.setenv("T2_AUTH_TOKEN", AUTH_TOKEN)
    monkeypatch.setenv("T2_SIGNING_KEY", SIGNING_KEY)
    async with open_media_world(
        tmp_path, monkeypatch, **({"config": TWILIO, "media_base": BASE} | changes)
    ) as media:
        await media.eventually(lambda: media.host.capacity.ready)  # a call is let in only where there is room
        yield TwilioWorld(media)
