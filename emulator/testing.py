"""For other projects' tests in Python: the emulator as a pytest fixture, for apps of any kind, with and without asyncio.

    # conftest.py
    pytest_plugins = ["emulator.testing"]

    # test_app.py
    def test_the_app_answers(acs_emulator, app_server):
        acs_emulator.subscribe(app_server.url + "/events")
        call = acs_emulator.dial("listen", {"say": "goodbye"}, "expect_hang_up")
        assert call.wait()["failed"] is None

The emulator runs in a thread of its own. Tests that run in asyncio may use `emulator.service.Emulator` directly instead.
"""

import asyncio
import base64
import secrets
import threading
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from typing import Any, Self

import pytest

from emulator.config import EmulatorConfig
from emulator.event_grid.config import parse_subscription
from emulator.faults import Faults
from emulator.phone.scripted import ScriptedCall
from emulator.service import Emulator

WAIT_S = 30.0

type Json = dict[str, Any]


class DialledCall:
    """A call that was made by `AcsEmulator.dial`.

    Attributes:
        id: the emulator's name for it.
        correlation_id: ACS's, as in the IncomingCall event.
    """

    def __init__(self, call: ScriptedCall, emulator: "AcsEmulator") -> None:
        self.id = call.id
        self.correlation_id = call.correlation_id
        self._call = call
        self._emulator = emulator

    @property
    def story(self) -> list[Json]:
        """What has happened so far: `{"t": ms since dialled, "kind": …}`."""
        return list(self._call.events)

    def wait(self, within_s: float = WAIT_S) -> Json:
        """Wait for the call's end; returns what was measured (`failed` is None when it went as the script says).

        Raises:
            TimeoutError: it has not ended `within_s` seconds from now.
        """
        self._emulator.run(self._call.ended(), within_s)
        return self._call.summary()

    def first(self, kind: str, within_s: float = WAIT_S) -> Json:
        """The first event of a kind, waited for.

        Raises:
            LookupError: the call ended without one.
            TimeoutError: neither happened in time.
        """
        return self._emulator.run(self._call.first(kind), within_s)

    def heard_wav(self) -> bytes | None:
        """What the caller heard, as a WAV file; None when nobody answered."""
        return self._call.heard_wav()

    def fault(self, **knobs: object) -> None:
        """From now on the call has these faults (see `Faults`).

        Raises:
            InvalidInput: names the wrong knob.
        """
        self._emulator.run(_soon(self._call.fault, knobs), WAIT_S)

    def hang_up(self) -> None:
        """The caller hangs up now."""
        self._emulator.run(_soon(self._call.hang_up), WAIT_S)


async def _soon(action: Any, *arguments: Any) -> None:
    action(*arguments)


class AcsEmulator:
    """An emulator in a thread of its own; a context manager.

    Args:
        options: fields of `EmulatorConfig` over the defaults: plain http, a free port, new keys, Event Grid's retries a
            hundred times as fast.

    Attributes:
        access_key: of the emulated resource.
        emulator: the emulator itself, for use within its own loop only.
    """

    def __init__(self, **options: Any) -> None:
        self.access_key = base64.b64encode(secrets.token_bytes(32)).decode()
        defaults: Json = {
            "host": "127.0.0.1",
            "port": 0,
            "access_key": self.access_key,
            "control_key": secrets.token_urlsafe(24),
            "resource_id": str(uuid.uuid4()),
            "time_scale": 0.01,
        }
        config = EmulatorConfig(**(defaults | options))
        self.access_key = config.access_key
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="acs-emulator", daemon=True)
        self.emulator = Emulator(config, faults=Faults())

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        try:
            self.run(self.emulator.start(), WAIT_S)
        except BaseException:  # also Ctrl-C: the emulator's thread must end; raised on
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.close()

    def close(self) -> None:
        """End all calls and stop."""
        try:
            self.run(self.emulator.close(), WAIT_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(WAIT_S)
            self._loop.close()

    def run[Result](self, work: Coroutine[Any, Any, Result], within_s: float) -> Result:
        """Run a coroutine in the emulator's loop and wait for its result.

        Raises:
            TimeoutError: it took longer than `within_s` seconds; it is cancelled then.
        """
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(within_s)
        except TimeoutError:
            future.cancel()
            raise

    @property
    def endpoint(self) -> str:
        """Its address, for `CallAutomationClient(endpoint, AzureKeyCredential(access_key))`."""
        return self.emulator.endpoint

    @property
    def connection_string(self) -> str:
        """For `from_connection_string`, which always speaks https: give `tls_folder=…`."""
        return self.emulator.connection_string

    def environment(self) -> Mapping[str, str]:
        """The variables that an app in another process needs."""
        return {
            "ACS_CONNECTION_STRING": self.connection_string,
            "ACS_ENDPOINT": self.endpoint,
            "ACS_RESOURCE_ID": self.emulator.config.resource_id,
            "ACS_JWT_ISSUER": self.emulator.issuer,
            "ACS_JWKS_URL": self.emulator.jwks_url,
        }

    def subscribe(self, endpoint: str, **fields: Any) -> None:
        """Deliver events to a webhook, after the validation handshake; `fields` are those of `Subscription`.

        Raises:
            InvalidInput: a field is wrong.
            SubscriptionRefused: the webhook failed the handshake.
        """
        name = f"subscription-{len(self.emulator.grid.subscriptions) + 1}"
        subscription = parse_subscription({"name": name, "endpoint": endpoint, **fields})
        self.run(self.emulator.subscribe(subscription), WAIT_S)

    def dial(self, *steps: object, **script: Any) -> DialledCall:
        """Make a scripted call; returns when it rings.

        Args:
            steps: of the script: `"listen"`, `{"say": "hello"}`.
            script: its other fields: `to`, `faults`, `**{"from": …}`.

        Raises:
            InvalidInput: the script is wrong; names the place.
        """
        call = self.run(self.emulator.dial({"steps": list(steps), **script}), WAIT_S)
        return DialledCall(call, self)

    def set_faults(self, **knobs: object) -> None:
        """Change the faults of all further calls (see `Faults`).

        Raises:
            InvalidInput: names the wrong knob.
        """
        self.run(_soon(self.emulator.faults.set, knobs), WAIT_S)


@pytest.fixture
def acs_emulator_options() -> Mapping[str, Any]:
    """Override it to set up `acs_emulator` otherwise: fields of `EmulatorConfig`."""
    return {}


@pytest.fixture
def acs_emulator(acs_emulator_options: Mapping[str, Any]) -> Iterator[AcsEmulator]:
    """An emulator that runs for one test."""
    with AcsEmulator(**acs_emulator_options) as emulator:
        yield emulator
