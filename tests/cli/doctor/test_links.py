"""Links whose other side is no part of a local stack, or cannot be made wrong there."""

import json

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cli.doctor import acs, clock, function_app, identity, media_host, numbers
from cli.doctor.acs_rest import ask_acs
from cli.doctor.finding import State
from cli.doctor.twilio import webhooks
from cli.doctor.versions import packages
from emulator.config import EmulatorConfig
from emulator.service import Emulator
from shared.config.document import parse_config
from shared.settings import AcsAccess

ACCESS_KEY = "c2VjcmV0c2VjcmV0c2VjcmV0"
CONFIG = """
agents: {a: {kind: embedded, dialogue: d.yaml}}
routes: [{name: r, to: ["+18005550000"], agent: a}]
twilio: {default: {account_sid: AC00000000000000000000000000000001, auth_token: env:TOKEN, agent: a}}
"""


async def of(link, exam):
    return {one.check: one async for one in link.check(exam)}


def serving(**paths):
    """A server that answers `paths` (status, body)."""

    async def answer(request):
        status, text = paths.get(request.path.strip("/").replace("/", "_"), (404, ""))
        return web.Response(status=status, text=text)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return TestServer(app)


# --- identity, and a token instead of a key ---------------------------------------------------------------------


async def test_tokens_of_a_managed_identity(make_exam, monkeypatch):
    """The real DefaultAzureCredential at the emulator's door for managed identities; then ACS takes what it gave."""
    emulator = Emulator(EmulatorConfig("127.0.0.1", 0, ACCESS_KEY, "c" * 16, "the-id"))
    await emulator.start()
    try:
        exam = make_exam(AZURE_ACS_CONN_KEY="", ACS_ENDPOINT="https://acs.example")
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{emulator.endpoint}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", ACCESS_KEY)
        found = await of(identity, exam)
        assert found["ACS"].state is State.OK
        answer = await ask_acs(
            exam, AcsAccess(emulator.endpoint), "POST", "/identities?api-version=2023-10-01", b"{}"
        )
        assert answer.status == 201
        await exam.credential.close()
    finally:
        await emulator.close()


async def test_no_token(make_exam, monkeypatch):
    for name in ("AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(
        "AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential"
    )  # the others would look round this machine
    exam = make_exam(AZURE_ACS_CONN_KEY="", ACS_ENDPOINT="https://acs.example")
    found = await of(identity, exam)
    assert found["ACS"].state is State.BROKEN
    assert found["ACS"].mend.startswith("az login")
    assert exam.no_token == {"https://communication.azure.com/.default"}
    await exam.credential.close()
    exam.wrong["ACS_JWKS_URL"] = "is wrong"
    assert (await of(acs, exam))["key"].state is State.UNKNOWN


# --- what answers in the wrong place -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("health", "check", "words"),
    [
        ((503, '{"status": "degraded"}'), "health", "PATCHCORD_SIGNING_KEYS"),
        ((500, ""), "reached", "does not start"),
        ((200, "<html>"), "reached", "is not Patchcord's function app"),
    ],
)
async def test_a_function_app_that_is_not_well(make_exam, health, check, words):
    async with serving(api_health=health) as server:
        exam = make_exam(CALLBACK_EVENTS_URI=str(server.make_url("")).rstrip("/"))
        found = (await of(function_app, exam))[check]
    assert found.state is State.BROKEN
    assert words in found.found + found.mend


async def test_a_door_that_stands_open(make_exam):
    """Something before the function app answers callbacks in its place."""
    paths = {"api_health": (200, '{"status": "ok"}'), "api_call-events_forged.by.doctor": (200, "{}")}
    async with serving(**paths) as server:
        exam = make_exam(CALLBACK_EVENTS_URI=str(server.make_url("")).rstrip("/"))
        found = (await of(function_app, exam))["a forged callback"]
    assert (found.state, found.found) == (State.BROKEN, "is answered 200 instead of 401")


@pytest.mark.parametrize(
    ("ready", "words"), [((503, "full"), "MEDIA_CAPACITY"), ((503, "draining"), "new revision")]
)
async def test_a_media_host_that_takes_no_calls(make_exam, ready, words):
    """And one behind a proxy that knows no WebSockets: it answers 404 to the upgrade."""
    async with serving(healthz=(200, "ok"), readyz=ready) as server:
        exam = make_exam(CALLBACK_URI_HOST=str(server.make_url("")).rstrip("/").replace("http", "ws"))
        found = await of(media_host, exam)
    assert found["ready"].state is State.BROKEN
    assert words in found["ready"].mend
    assert found["a bad token"].state is State.BROKEN
    assert "let WebSockets through" in found["a bad token"].mend


# --- clocks, numbers, Twilio's account, packages -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("clocks", "broken"),
    [
        ({}, []),
        ({"a": 1.0, "b": -2.0}, []),
        ({"a": 1.0, "b": 40.0}, ["b is +40 s ahead of this machine"]),
        ({"a": 39.0, "b": 40.0}, ["this machine's clock is off by -40 s"]),
    ],
)
async def test_clocks(make_exam, clocks, broken):
    exam = make_exam()
    exam.clocks = clocks
    found = [one async for one in clock.check(exam) if one.state is State.BROKEN]
    assert [one.found.partition(":")[0] for one in found] == broken


@pytest.mark.parametrize(
    ("owned", "broken"),
    [
        ({"+18005550000": "inbound+outbound"}, []),
        ({"+18005550000": "outbound"}, ["+18005550000 takes no calls (calling: outbound)"]),
        ({"+18005550000": "inbound", "+18005550009": "inbound"}, ["nobody answers +18005550009"]),
        ({}, ["+18005550000 is no number of this ACS resource"]),
    ],
)
async def test_numbers_that_acs_tells_of(make_exam, owned, broken):
    exam = make_exam()
    exam.config = parse_config(CONFIG.partition("twilio:")[0].encode())
    exam.acs_numbers = owned
    found = [one async for one in numbers.check(exam) if one.state is State.BROKEN]
    assert [one.found for one in found] == broken


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ({"incoming_phone_numbers": []}, State.BROKEN),
        (
            {"incoming_phone_numbers": [{"phone_number": "+1", "voice_url": "https://demo.twilio.com"}]},
            State.BROKEN,
        ),
        (
            {
                "incoming_phone_numbers": [
                    {"phone_number": "+1", "voice_url": "https://func.example/api/twilio/engage"}
                ]
            },
            State.OK,
        ),
        ({}, State.UNKNOWN),
    ],
)
def test_numbers_that_twilio_tells_of(make_exam, body, state):
    exam = make_exam()
    account = parse_config(CONFIG.encode()).twilio["default"]
    assert webhooks(exam, "default", account, json.dumps(body).encode()).state is state


def test_packages(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# ours\naiohttp==0.0.1\nno-such-package==1\npyyaml>=1\n")
    found = packages(path)
    assert "instead of 0.0.1" in found.found
    assert "no-such-package none instead of 1" in found.found
    assert found.mend == f"pip install -r {path}"
    assert packages(tmp_path / "none.txt").state is State.UNKNOWN
