"""The candidate: the real media host, `python -m media_host`, with every check on and nothing of Azure.

It gets real tokens, real call records in an SQLite store, and ACS's headers signed by an RSA key whose JWKS is served here.
The same small HTTP server stands for ACS's REST interface and knows no call: a hang-up of a call that is over gets 404.
"""

import asyncio
import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.load import Call
from emulator.twilio.config import TwilioConfig
from emulator.twilio.sids import new_sid
from emulator.twilio.signing import TwilioSigner
from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.repository import Calls, new_call_id
from shared.security.audiences import Audience
from shared.security.keyring import FileKeySource, KeyRing, ensure_keys
from shared.security.tokens import TokenMinter
from shared.store import open_store

AUDIENCE = "3f0c1c5e-8f5e-4f0e-9f7a-0a6c2b1d9e11"
ISSUER = "https://acscallautomation.communication.azure.com"
READY_S = 30.0
TENANT = "default"
ACCOUNT = "AC00000000000000000000000000000001"
"""The Twilio account of that tenant."""


class Signer:
    """ACS's RSA key, and the HTTP server with its public half."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        jwk = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        keys = json.dumps({"keys": [{**jwk, "kid": "bench", "use": "sig", "alg": "RS256"}]}).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200 if self.path == "/keys" else 404, keys)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(404, b'{"error":{"code":"8522","message":"Call not found."}}')

            do_DELETE = do_POST

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, now: float) -> str:
        """What ACS sends as bearer when it opens a call's WebSocket (acs.md 3.1)."""
        claims = {"iss": ISSUER, "aud": AUDIENCE, "iat": int(now), "nbf": int(now), "exp": int(now) + 86_400}
        return jwt.encode(claims, self._key, "RS256", {"kid": "bench"})

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()


class Host:
    """The media host as a child process, pinned to `core` if there is one to pin to.

    Args:
        folder: for its store, keys, configuration, recordings and log.
        config: text of patchcord.yaml.
        core: the CPU it may use, or None for any.
    """

    def __init__(self, folder: Path, config: str, core: int | None) -> None:
        self.log = folder / "media_host.log"
        self._folder = folder
        self._signer = Signer()
        self._store = open_store(f"sqlite:{folder / 'store.db'}")
        self._calls = Calls(self._store, time.time)
        (folder / "patchcord.yaml").write_text(config)
        self._core = core
        self._twilio = TwilioConfig(ACCOUNT, secrets.token_hex(16))
        self._minter: TokenMinter
        self._process: subprocess.Popen[str]

    async def start(self) -> None:
        """Start it and wait until it is ready.

        Raises:
            RuntimeError: it did not become ready; the message ends with its last words.
        """
        folder = self._folder
        private, public = FileKeySource(folder / "signing.json"), FileKeySource(folder / "verification.json")
        await ensure_keys(private, public, time.time())
        self._minter = TokenMinter(KeyRing(private, time.time), time.time)
        self.port = _free_port()
        self._base = f"ws://127.0.0.1:{self.port}"
        environment = {
            **os.environ,
            "PATCHCORD_CONFIG": str(folder / "patchcord.yaml"),
            "PATCHCORD_STORE": f"sqlite:{folder / 'store.db'}",
            "PATCHCORD_VERIFICATION_KEYS": f"file:{folder / 'verification.json'}",
            "PATCHCORD_LOG_LEVEL": "warning",
            "AZURE_ACS_CONN_KEY": f"endpoint={self._signer.url}/;accesskey=c2VjcmV0",
            "ACS_JWT": "require",
            "ACS_JWT_ISSUER": ISSUER,
            "ACS_RESOURCE_ID": AUDIENCE,
            "ACS_JWKS_URL": f"{self._signer.url}/keys",
            "MEDIA_LISTEN_HOST": "127.0.0.1",
            "MEDIA_LISTEN_PORT": str(self.port),
            "MEDIA_CAPACITY": "10000",
            "MEDIA_HOST_ID": "bench",
            "MEDIA_RECORDINGS": str(folder / "recordings"),
            "CALLBACK_URI_HOST": self._base,
            "TWILIO_AUTH_TOKEN": self._twilio.auth_token,
        }
        with self.log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220  # it returns at once; our own interpreter
                [sys.executable, "-m", "media_host"], env=environment, stdout=log, stderr=log, text=True
            )
        self.pid = self._process.pid
        if self._core is not None:
            os.sched_setaffinity(self.pid, {self._core})
        end = time.monotonic() + READY_S
        while not await asyncio.to_thread(_answers, f"http://127.0.0.1:{self.port}/readyz"):
            if self._process.poll() is not None or time.monotonic() > end:
                await self.close()
                raise RuntimeError(f"the media host did not become ready:\n{self.last_words()}")
            await asyncio.sleep(0.1)

    async def calls(self, count: int, agent: str) -> list[Call]:
        """`count` answered calls, as the function app would have left them: a record and a token each."""
        now = time.time()
        authorization = f"Bearer {self._signer.token(now)}"
        return [await self._call(agent, authorization) for _ in range(count)]

    async def _call(self, agent: str, authorization: str) -> Call:
        now = time.time()
        call_id, connection_id, correlation_id = new_call_id(now), str(uuid.uuid4()), str(uuid.uuid4())
        received: dict[str, Json] = {
            "callId": call_id,
            "tenant": TENANT,
            "environment": "local",
            "from": "+14255550100",
            "to": "+18005550000",
            "correlationId": correlation_id,
            "serverCallId": "c2VydmVy",
            "route": agent,
            "agent": agent,
            "task": "",
            "inputVariables": {},
            "eventTime": now,
        }
        await self._calls.watch(TENANT, call_id)
        await self._calls.append(TENANT, call_id, CallEvent("received", EventKind.RECEIVED, now, received))
        await self._calls.bind_connection(call_id, connection_id)
        answered: dict[str, Json] = {"callConnectionId": connection_id, "ms": 1.0}
        await self._calls.append(TENANT, call_id, CallEvent("answered", EventKind.ANSWERED, now, answered))
        token = await self._minter.mint(Audience.ACS_MEDIA, call_id=call_id, tenant=TENANT)
        headers = {
            "x-ms-call-connection-id": connection_id,
            "x-ms-call-correlation-id": correlation_id,
            "Authorization": authorization,
        }
        return Call(f"/acs/{token}", headers)

    async def twilio_calls(self, count: int) -> list[Call]:
        """`count` calls that Twilio is about to stream: a token and the signature of its address each."""
        signer = TwilioSigner(self._twilio)
        made = []
        for _ in range(count):
            call = {"accountSid": ACCOUNT, "callSid": new_sid("CA"), "streamSid": new_sid("MZ")}
            token = await self._minter.mint(Audience.TWILIO_MEDIA, call_id=call["callSid"], tenant=TENANT)
            made.append(Call(f"/twilio/{token}", signer.headers(f"{self._base}/twilio/{token}"), call))
        return made

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-2000:]

    async def close(self) -> None:
        """Ask it to drain (no call is left), and insist after 10 s."""
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, 10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
        self._signer.close()
        await self._store.close()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as answer:  # noqa: S310  # our own loopback address
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _free_port() -> int:
    """A port that is free now; nobody else takes ports here in the moment until the host binds it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
