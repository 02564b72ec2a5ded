"""A deployment whose vault and ACS are emulated and whose two processes are a small server; `az` and `azd` are stand-ins."""

import json
import os
import shlex
import ssl
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import AioHttpTransport

from emulator.key_vault import VAULT_URL, KeyVaultEmulator
from emulator.python_sdk import AioEmulatorTransport
from emulator.service import Emulator
from infra.hooks.steps import Deployment
from tests.support.app import ACCESS_KEY, RESOURCE, emulator_config
from tests.support.tls import tls_for

TLS = tls_for("emulator.vault.azure.net")
STAND_IN = Path(__file__).with_name("stand_in.py")

ENVIRONMENT = {
    "AZURE_ENV_NAME": "sandbox",
    "AZURE_RESOURCE_GROUP": "rg-sandbox",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-4000-8000-00000000aa00",
    "PATCHCORD_DATA_LOCATION": "Europe",
    "PATCHCORD_PHONE_NUMBERS": "+18005550000",
    "PATCHCORD_SIGNING_KEYS": f"{VAULT_URL}/secrets/patchcord-signing",
    "PATCHCORD_VERIFICATION_KEYS": f"{VAULT_URL}/secrets/patchcord-verification",
    "ACS_NAME": "acs-x",
    "ACS_TOPIC_NAME": "acs-calls-x",
    "VAULT_TOPIC_NAME": "vault-secrets-x",
    "STORAGE_ACCOUNT_NAME": "stx",
    "DEAD_LETTER_CONTAINER": "dead-letters",
    "FUNCTION_APP_NAME": "func-x",
}


class Programs:
    """The stand-ins: what they were asked, what azd keeps, and what they are to fail with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked.txt"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def values(self) -> dict[str, str]:
        path = self.folder / "values.json"
        return json.loads(path.read_text()) if path.exists() else {}

    def changes(self) -> list[str]:
        """What was asked that changes something."""
        return [line for line in self.asked if " create " in line or " set " in line]

    def forget(self) -> None:
        """Forget what was asked, not what was kept."""
        (self.folder / "asked.txt").unlink(missing_ok=True)

    def fail(self, beginning: str, *words: str) -> None:
        (self.folder / "faults.json").write_text(json.dumps({beginning: words}))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("az", "azd"):
        program = folder / name
        python, script = shlex.quote(sys.executable), shlex.quote(str(STAND_IN))
        program.write_text(f'#!/bin/sh\nexec {python} -I -S {script} {name} "$@"\n')
        program.chmod(0o755)
    monkeypatch.setenv("STAND_IN", str(folder))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return Programs(folder)


@pytest.fixture
async def vault() -> AsyncIterator[KeyVaultEmulator]:
    vault = KeyVaultEmulator(TLS.server)
    await vault.start()
    yield vault
    await vault.close()


@dataclass
class World:
    """One environment of azd, over several runs of the hooks."""

    programs: Programs
    values: dict[str, str]
    vault: KeyVaultEmulator | None = None
    acs: Emulator | None = None
    transports: list[AioHttpTransport] = field(default_factory=list)
    """All that were made: a client that is never opened does not close its own."""
    said: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    health: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    """What the function app still answers before it is well."""

    def deployment(self, **changes: str) -> Deployment:
        """A hook's run, as azd starts it: with all that it keeps by now."""
        self.said.clear()
        vault, acs = self.vault, self.acs

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        return Deployment(
            {**self.values, **self.programs.values, **changes},
            say=self.said.append,
            sleep=sleep,
            credential=self._credential,
            vault_transport=None if vault is None else self._transport,
            acs_transport=None
            if acs is None
            else lambda: AioEmulatorTransport(acs.endpoint, connection_verify=str(acs.authority.ca_file)),
        )

    def _transport(self) -> AioHttpTransport:
        self.transports.append(self.vault.transport(TLS.client))
        return self.transports[-1]

    def _credential(self) -> "_Both":
        return _Both(self.vault, self.acs)


class _Both:
    """What signs in everywhere: each service sees its own emulator's token."""

    def __init__(self, vault: KeyVaultEmulator | None, acs: Emulator | None) -> None:
        self._vault = vault
        self._acs = acs

    async def get_token(self, *scopes: str, **options: object) -> object:
        if "vault" in scopes[0]:
            return await self._vault.credential().get_token(*scopes)
        return await self.for_acs(scopes[0])

    async def for_acs(self, scope: str) -> AccessToken:
        form = {
            "grant_type": "client_credentials",
            "client_id": RESOURCE,
            "client_secret": ACCESS_KEY,
            "scope": scope,
        }
        trust = ssl.create_default_context(cafile=str(self._acs.authority.ca_file))
        async with (
            aiohttp.ClientSession(self._acs.endpoint, raise_for_status=True) as http,
            http.post("/emulator/oauth2/v2.0/token", data=form, ssl=trust) as response,
        ):
            body = await response.json()
        return AccessToken(body["access_token"], int(time.time()) + int(body["expires_in"]))

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> "_Both":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.fixture
def world(programs: Programs) -> World:
    return World(programs, dict(ENVIRONMENT))


@pytest.fixture
async def deployed(world: World, vault: KeyVaultEmulator, tmp_path: Path) -> AsyncIterator[World]:
    """All that `azd deploy` leaves: vault, ACS, both processes."""

    async def functions(_: web.Request) -> web.Response:
        status, body = world.health.pop(0) if world.health else (200, {"status": "ok"})
        return web.json_response(body, status=status)

    async def media(_: web.Request) -> web.Response:
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/api/health", functions)
    app.router.add_get("/healthz", media)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    async with Emulator(emulator_config(tls_folder=tmp_path / "tls")) as acs:
        world.vault, world.acs = vault, acs
        world.values |= {
            "ACS_ENDPOINT": acs.endpoint,
            "CALLBACK_EVENTS_URI": f"http://127.0.0.1:{port}",
            "CALLBACK_URI_HOST": f"ws://127.0.0.1:{port}",
        }
        yield world
    for transport in world.transports:
        await transport.close()
    await runner.cleanup()
