"""Everything on one machine: the emulator in this process, the function app and media hosts as children.

The processes meet as they do in the cloud: through the store and through what a token says. This class only hands each
its settings, waits until it is ready, and wires Event Grid to the function app's webhook.
"""

import base64
import json
import os
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import aiohttp
import yaml

from cli.emulated_agent import KEY_VARIABLE, PERSON, derived_config
from cli.gateway_client import GatewayClient
from cli.processes import ROOT, Child, free_port
from cli.twilio_account import TOKEN_VARIABLE, twilio_account
from emulator.config import EmulatorConfig
from emulator.event_grid.subscriptions import Subscription
from emulator.service import Emulator
from shared.calls.admission import heartbeats
from shared.security.keyring import ensure_keys, open_key_source
from shared.security.tenants import TenantDoor
from shared.store import open_store
from shared.transfers.numbers import NumberPool

COUNTRY = "US"
"""Of the numbers in the pool."""
INCOMING_CALL = "Microsoft.Communication.IncomingCall"

TOPIC = "outcomes"
"""Name of the emulator's custom topic."""


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How a stack is set up.

    Attributes:
        folder: everything it writes: keys, store, recordings, logs.
        functions_port: port of the function app; 0 takes a free one.
        media_port: port of the media host; 0 takes a free one.
        acs_port: port of the emulator; 0 takes a free one.
        retry_scale: factor on Event Grid's retry times (10 s, 30 s, …); 1 is real time.
        store: `PATCHCORD_STORE` of both processes; SQLite in `folder` when empty.
        config: `patchcord.yaml` to use.
        agent: an emulated realtime model in place of the route's agent (a name of `emulated_agent.SERVICES`); "" for none.
        numbers: temporary numbers for call transfers (E.164), put into the pool.
        publish: outcomes go to the topic `TOPIC` of the emulator (docs/events.md); subscribe there with `topic=TOPIC`.
        env: variables for both child processes, over those that the stack sets.
    """

    folder: Path
    functions_port: int = 0
    media_port: int = 0
    acs_port: int = 0
    retry_scale: float = 1.0
    store: str = ""
    config: Path = ROOT / "patchcord.yaml"
    agent: str = ""
    numbers: Sequence[str] = ()
    publish: bool = False
    env: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """Patchcord on loopback; an async context manager that leaves no process behind."""

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self.folder = folder = options.folder.resolve()  # the children work in another folder
        self.logs = folder / "logs"
        self.recordings = folder / "recordings"
        self.store_address = options.store or f"sqlite:{folder / 'patchcord.db'}"
        self.functions_base = f"http://127.0.0.1:{options.functions_port or free_port()}"
        self.media_port = options.media_port or free_port()
        self.media_base = f"ws://127.0.0.1:{self.media_port}"
        self.control_key = secrets.token_urlsafe(24)
        self._topic_key = base64.b64encode(secrets.token_bytes(32)).decode()
        self.twilio = twilio_account(options.config, self.functions_base)
        self.emulator = Emulator(
            EmulatorConfig(
                host="127.0.0.1",
                port=options.acs_port,
                access_key=base64.b64encode(secrets.token_bytes(32)).decode(),
                control_key=self.control_key,
                resource_id=str(uuid.uuid4()),
                subscriptions=[],
                time_scale=options.retry_scale,
                dead_letter=folder / "dead-letter",
                topics={TOPIC: self._topic_key},
                twilio=self.twilio,
            )
        )
        self.credentials: Mapping[str, str] = {}
        self.config = options.config
        self.model: Child | None = None
        self._model_port = free_port() if options.agent else 0
        self._model_key = {KEY_VARIABLE: secrets.token_urlsafe(24)} if options.agent else {}
        self.functions: Child | None = None
        self.media_hosts: list[Child] = []

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:  # also a cancelled start: no process may stay behind; raised on
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    @property
    def key_addresses(self) -> tuple[str, str]:
        """Where the private and the public key document are."""
        folder = self.folder / "keys"
        return f"file:{folder / 'signing.json'}", f"file:{folder / 'verification.json'}"

    def _env(self) -> dict[str, str]:
        signing, verification = self.key_addresses
        return {
            "PATCHCORD_ENVIRONMENT": "local",
            "PATCHCORD_CONFIG": str(self.config),
            "PATCHCORD_STORE": self.store_address,
            "PATCHCORD_SIGNING_KEYS": signing,
            "PATCHCORD_VERIFICATION_KEYS": verification,
            "AZURE_ACS_CONN_KEY": self.emulator.connection_string,
            "ACS_RESOURCE_ID": self.emulator.config.resource_id,
            "ACS_JWT_ISSUER": self.emulator.issuer,
            "ACS_JWKS_URL": self.emulator.jwks_url,
            "CALLBACK_EVENTS_URI": self.functions_base,
            "CALLBACK_URI_HOST": self.media_base,
            TOKEN_VARIABLE: self.twilio.auth_token,
            **(self._publishing if self.options.publish else {}),
            **self.options.env,
        }

    @property
    def _publishing(self) -> dict[str, str]:
        return {
            "PATCHCORD_EVENTS_TOPIC": self.emulator.topic_endpoint(TOPIC),
            "PATCHCORD_EVENTS_KEY": "env:EVENTS_TOPIC_KEY",
            "EVENTS_TOPIC_KEY": self._topic_key,
        }

    async def _start(self) -> None:
        folder = self.folder
        for path in (folder, self.logs, folder / "keys"):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        signing, verification = (open_key_source(address, "") for address in self.key_addresses)
        await ensure_keys(signing, verification, time.time())
        await self._issue_credentials()
        await self._fill_pool()
        await self.emulator.start()
        if self.options.agent:
            await self._set_up_model()
        await self.add_media_host()
        await self.start_functions()
        await self.emulator.subscribe(
            Subscription(
                name="incoming-call",
                endpoint=self.webhook("incoming_call"),
                included_event_types=[INCOMING_CALL],
                max_attempts=3,
                ttl_s=60,
            )
        )

    async def _set_up_model(self) -> None:
        """Let the configuration name the emulated model, put a telephone where it transfers callers to, and start it."""
        endpoint = f"ws://127.0.0.1:{self._model_port}"
        self.config = self.folder / "patchcord.yaml"
        self.config.write_text(derived_config(self.options.config, self.options.agent, endpoint))
        await self.emulator.add_phone(yaml.safe_load(PERSON.read_text()))
        await self.start_model()

    async def start_model(self) -> None:
        """Start the emulated model (again); returns when it takes connections."""
        port = str(self._model_port)
        log = self.logs / "model.log"
        self.model = Child("emulated model", "emulator.realtime", ["--port", port], self._model_key, log)
        await self.model.start(lambda: answers(f"http://127.0.0.1:{port}/healthz"), 30)

    async def _issue_credentials(self) -> None:
        store = open_store(self.store_address)
        try:
            issued = await TenantDoor(store, "local", time.time).issue("default")
        finally:
            await store.close()
        self.credentials = {"api-id": issued.api_id, "api-secret": issued.api_secret}

    async def _fill_pool(self) -> None:
        store = open_store(self.store_address)
        try:
            pool = NumberPool(store, time.time)
            for number in self.options.numbers:
                await pool.add(number, COUNTRY)
        finally:
            await store.close()

    async def start_functions(self) -> None:
        """Start the function app (again); returns when it takes requests."""
        port = self.functions_base.rpartition(":")[2]
        keys = self.folder / "keys" / "functions.json"
        self.functions = Child(
            "function app",
            "emulator.functions_host",
            ["--app", str(ROOT), "--port", port, "--keys", str(keys)],
            self._env(),
            self.logs / "functions.log",
        )
        await self.functions.start(lambda: answers(f"{self.functions_base}/api/health"), 30)

    async def add_media_host(self, **env: str) -> Child:
        """Start one more media host on the stack's media port; returns it when it is ready for calls."""
        name = f"media-host-{len(self.media_hosts) + 1}"
        host = Child(
            name,
            "media_host",
            [],
            {
                **self._env(),
                "MEDIA_HOST_ID": name,
                "MEDIA_LISTEN_HOST": "127.0.0.1",
                "MEDIA_LISTEN_PORT": str(self.media_port),
                "MEDIA_RECORDINGS": str(self.recordings),
                **self._model_key,
                **env,
            },
            self.logs / f"{name}.log",
        )
        self.media_hosts.append(host)
        await host.start(lambda: self._is_ready(name), 30)
        return host

    async def _is_ready(self, host_id: str) -> bool:
        """Whether this media host has told the function app that it takes calls.

        Its `/readyz` would not do: media hosts share the port, so another one may answer.
        """
        store = open_store(self.store_address)
        try:
            return any(
                beat.host_id == host_id and beat.ready(time.time()) for beat in await heartbeats(store)
            )
        finally:
            await store.close()

    def webhook(self, function: str) -> str:
        """The address at which Event Grid reaches an Event Grid-triggered function; holds a key, never print it."""
        keys = json.loads((self.folder / "keys" / "functions.json").read_text())
        code = keys["system"]["eventgrid_extension"]
        return f"{self.functions_base}/runtime/webhooks/eventgrid?functionName={function}&code={code}"

    def client(self) -> GatewayClient:
        """A client of the reading API with the default tenant's credentials; the caller closes it."""
        return GatewayClient(self.functions_base, self.credentials)

    def write_run_file(self, path: Path) -> None:
        """Write what `patchcord call` needs to find this stack (readable by the owner only)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "pid": os.getpid(),
            "emulator": self.emulator.endpoint,
            "control_key": self.control_key,
            "functions": self.functions_base,
            "credentials": dict(self.credentials),
            "recordings": str(self.recordings),
            "agent": self.options.agent,
            "settings": {**self._env(), **self._model_key},
        }
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(data, file)

    async def close(self) -> None:
        """Stop everything: calls end first, then media hosts, the function app and the emulator."""
        for host in self.media_hosts:
            await host.stop()
        if self.functions is not None:
            await self.functions.stop()
        if self.model is not None:
            await self.model.stop()
        await self.emulator.close()


async def answers(url: str) -> bool:
    """Whether `url` answers 200 now."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
            session.get(url) as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
