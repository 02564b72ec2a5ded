"""The fixture for other projects' tests, used as they use it: without asyncio."""

import json
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from emulator import testing
from emulator.testing import AcsEmulator
from shared.errors import InvalidInput

# In a project of its own: pytest_plugins = ["emulator.testing"] in conftest.py.
acs_emulator = testing.acs_emulator
acs_emulator_options = testing.acs_emulator_options


class Webhook(BaseHTTPRequestHandler):
    """An app of the standard library alone: takes events, and rejects no call and answers none."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = b"{}"
        if self.headers["aeg-event-type"] == "SubscriptionValidation":
            answer = json.dumps({"validationResponse": body[0]["data"]["validationCode"]}).encode()
        else:
            self.server.events.extend(body)
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def webhook():
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    server.events = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_call_from_a_test_without_asyncio(acs_emulator: AcsEmulator, webhook: HTTPServer) -> None:
    acs_emulator.subscribe(f"http://127.0.0.1:{webhook.server_port}/events", included_event_types=[])
    call = acs_emulator.dial("listen", to="+18005550042", gives_up_ms=300, faults={"duplicate_events": 1})
    assert call.first("ringing")["t"] >= 0
    summary = call.wait()
    assert summary["ended"] == {"reason": "caller_hung_up", "by": "caller"}
    assert [event["data"]["to"]["rawId"] for event in webhook.events] == ["4:+18005550042"] * 2
    assert call.story[-1]["kind"] == "ended"
    assert call.heard_wav() is None


def test_meddling(acs_emulator: AcsEmulator) -> None:
    acs_emulator.set_faults(lost_events=1)
    with pytest.raises(InvalidInput):
        acs_emulator.set_faults(speed=1)
    call = acs_emulator.dial("listen")
    assert call.wait()["failed"] == "not answered: nobody_subscribed"
    with pytest.raises(LookupError):
        call.first("answered")


def test_what_an_app_in_another_process_needs(acs_emulator: AcsEmulator) -> None:
    environment = acs_emulator.environment()
    assert environment["ACS_CONNECTION_STRING"] == acs_emulator.connection_string
    with urllib.request.urlopen(environment["ACS_JWKS_URL"]) as response:  # noqa: S310  # our own
        assert json.loads(response.read())["keys"]


class TestWithOptions:
    @pytest.fixture
    def acs_emulator_options(self) -> dict:
        return {"resource_id": "mine"}

    def test_options(self, acs_emulator: AcsEmulator) -> None:
        assert acs_emulator.environment()["ACS_RESOURCE_ID"] == "mine"


def test_a_wrong_option_is_named() -> None:
    with pytest.raises(TypeError, match="speed"):
        AcsEmulator(speed=3)
