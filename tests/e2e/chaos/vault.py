"""Key Vault away for ten minutes: the function app and the media host in this process, with a clock that runs ahead.

Both read their keys from the emulated vault through Microsoft's client; then it answers 503 to everything, and the clock goes on
by half a minute at a time. Calls are on all the time, and a new one comes after each step.
"""

import asyncio
import base64
import os
import secrets
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from aiohttp import web

from emulator.config import EmulatorConfig
from emulator.event_grid.subscriptions import Subscription
from emulator.key_vault import VAULT_URL, KeyVaultEmulator
from emulator.phone.scripted import ScriptedCall
from emulator.service import Emulator
from media_host.host import MediaHost
from shared.application import Application
from shared.calls.admission import admit
from shared.http import Reply, Request, request
from shared.security.key_sources import KeyVaultKeySource
from shared.security.keyring import ensure_keys
from shared.settings import media_host_settings
from tests.e2e.chaos.callers import NUMBER, Told, configuration, longest_gap_ms
from tests.e2e.chaos.run import Row, wrong_with
from tests.support.echo_model import EchoModel
from tests.support.timing import patience
from tests.support.tls import tls_for

STEPS, STEP_S = 20, 30.0
"""Ten minutes."""

SETTLE_S = 1.3
"""After each step, at least (s)."""

TLS = tls_for("emulator.vault.azure.net")


class Clock:
    """Unix seconds, which can be put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead_s


class Rig:
    """Everything in one process.

    Attributes:
        emulator: ACS, Event Grid and the phones.
        vault: Key Vault.
        app: the function app.
        clock: of ours; ACS keeps its own, whose signatures are made to follow.
    """

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.vault = KeyVaultEmulator(TLS.server)
        self.app: Application
        self.emulator = Emulator(
            EmulatorConfig(
                host="127.0.0.1",
                port=0,
                access_key=base64.b64encode(secrets.token_bytes(32)).decode(),
                control_key=secrets.token_urlsafe(24),
                resource_id=str(uuid.uuid4()),
                subscriptions=[],
                time_scale=1.0,
            )
        )
        self.transports: list[Any] = []
        self._folder = folder

    def source(self, address: str, _identity: str = "") -> KeyVaultKeySource:
        """A key document of the emulated vault."""
        transport = self.vault.transport(TLS.client)
        self.transports.append(transport)
        return KeyVaultKeySource(
            VAULT_URL,
            address.rpartition("/")[2],
            credential=self.vault.credential(),
            transport=transport,
        )

    async def close(self) -> None:
        """Close what the vault's clients leave open, because they were given it."""
        for transport in self.transports:
            if transport.session is not None:
                await transport.session.close()

    async def open(self, stack: AsyncExitStack, model: str) -> None:
        """Start everything; `stack` stops it."""
        stack.push_async_callback(self.close)
        await self.vault.start()
        stack.push_async_callback(self.vault.close)
        signing, verification = (self.source(f"x/secrets/{name}") for name in ("signing", "verification"))
        await ensure_keys(signing, verification, self.clock())
        await signing.close()
        await verification.close()
        await self.emulator.start()
        stack.push_async_callback(self.emulator.close)
        base = await stack.enter_async_context(self._door())
        config = self._folder / "patchcord.yaml"
        config.write_text(configuration(model))
        env = {
            "PATCHCORD_CONFIG": str(config),
            "PATCHCORD_STORE": f"sqlite:{self._folder / 'store.db'}",
            "PATCHCORD_SIGNING_KEYS": f"{VAULT_URL}/secrets/signing",
            "PATCHCORD_VERIFICATION_KEYS": f"{VAULT_URL}/secrets/verification",
            "AZURE_ACS_CONN_KEY": self.emulator.connection_string,
            "ACS_RESOURCE_ID": self.emulator.config.resource_id,
            "ACS_JWT_ISSUER": self.emulator.issuer,
            "ACS_JWKS_URL": self.emulator.jwks_url,
            "CALLBACK_EVENTS_URI": base,
            "CALLBACK_URI_HOST": "ws://127.0.0.1:1",
            "INCOMING_CALL_MAX_AGE_S": "3600",
            "MEDIA_LISTEN_HOST": "127.0.0.1",
            "MEDIA_LISTEN_PORT": "0",
            "MEDIA_HOST_ID": "vault-host",
            "PATCHCORD_LOG_LEVEL": "error",
        }
        with patch("media_host.host.open_key_source", self.source):
            host = MediaHost(media_host_settings(env), now=self.clock)
        await stack.enter_async_context(host)
        env["CALLBACK_URI_HOST"] = f"ws://127.0.0.1:{host.server.port}"
        with patch("shared.application.open_key_source", self.source):
            self.app = await Application.open(env, now=self.clock)
        stack.push_async_callback(self.app.close)
        issued = await self.app.door.issue("default")
        await self.emulator.subscribe(
            Subscription(
                name="incoming-call",
                endpoint=f"{base}/api/acs-events",
                included_event_types=["Microsoft.Communication.IncomingCall"],
                headers={"api-id": issued.api_id, "api-secret": issued.api_secret},
                max_attempts=3,
                ttl_s=60,
            )
        )

    @asynccontextmanager
    async def _door(self) -> AsyncIterator[str]:
        """The function app's two doors that are needed here, over HTTP."""

        async def events(asked: web.Request) -> web.Response:
            return _answer(await self.app.acs_events(await _asked(asked), options=False))

        async def callbacks(asked: web.Request) -> web.Response:
            return _answer(await self.app.call_events(asked.match_info["token"], await _asked(asked)))

        door = web.Application()
        door.router.add_post("/api/acs-events", events)
        door.router.add_post("/api/call-events/{token}", callbacks)
        runner = web.AppRunner(door, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def settle(self) -> None:
        """Until the media host has written a heartbeat by the new clock."""
        await asyncio.sleep(SETTLE_S)
        async with asyncio.timeout(patience(20)):
            while not await admit(self.app.store, self.clock()):
                await asyncio.sleep(0.1)

    async def dial(self, number: int, seconds: float) -> ScriptedCall:
        """One caller, whose ACS signs by our clock."""
        self.emulator.faults.set({"clock_skew_s": self.clock.ahead_s})
        tone = {"tone": {"hz": 300 + 20 * (number % 50), "seconds": seconds, "within_s": 280}}
        return await self.emulator.dial(
            {"from": f"+1425555{number:04}", "to": NUMBER, "limit_s": 300, "steps": [tone, "hang_up"]}
        )


async def _asked(asked: web.Request) -> Request:
    return request(uuid.uuid4().hex, dict(asked.headers), await asked.read())


def _answer(reply: Reply) -> web.Response:
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


async def vault_away(calls: int, steps: int = STEPS) -> Row:
    """Ten minutes without Key Vault under `calls` live calls."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack, EchoModel() as model:
            rig = Rig(Path(folder))
            await rig.open(stack, model.endpoint)
            live = [await rig.dial(number, steps * SETTLE_S + 8) for number in range(calls)]
            await _heard(live)
            rig.vault.failing, asked = 503, len(rig.vault.requests)
            fresh: list[ScriptedCall] = []
            for step in range(steps):
                rig.clock.ahead_s += STEP_S
                for call in live:
                    call.fault({"clock_skew_s": rig.clock.ahead_s})
                await rig.settle()
                await rig.app.sweep()
                fresh.append(await rig.dial(calls + step, 3))
                await _heard(fresh[-1:])
            refused = len(rig.vault.requests) - asked
            async with asyncio.timeout(patience(60)):
                await asyncio.gather(*(call.ended() for call in [*live, *fresh]))
            told = [await _told(rig, call) for call in [*live, *fresh]]
    return Row(
        "Key Vault away for 10 min (virtual clock)",
        len(told),
        tuple(wrong for one in told if (wrong := wrong_with(one))),
        sum(one.moved for one in told),
        tuple(one.gap_ms for one in told),
        tuple(one.answered_s for one in told),
        f"{refused} reads failed, {steps * STEP_S:.0f} s",
        os.getloadavg()[0],
        time.monotonic() - begun,
    )


async def _heard(calls: list[ScriptedCall]) -> None:
    async with asyncio.timeout(patience(60)):
        await asyncio.gather(*(call.first("agent_audio") for call in calls))


async def _told(rig: Rig, call: ScriptedCall, within_s: float = 20) -> Told:
    until = time.monotonic() + patience(within_s)
    ended = "no record"
    while time.monotonic() < until:
        found = [
            one
            for one in await rig.app.calls.list("default", 200)
            if one.correlation_id == call.correlation_id
        ]
        record = await rig.app.calls.get("default", found[0].call_id) if len(found) == 1 else None
        if record is not None and record.released and record.media.ended_at and record.ended:
            ended = record.ended.reason
            break
        ended = "not final"
        await asyncio.sleep(0.2)
    summary = call.summary()
    rang_s = (summary["answered_ms"] or 0) / 1000
    return Told(rang_s, longest_gap_ms(call), ended, 0, str(summary["failed"] or ""))
