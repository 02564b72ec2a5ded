"""The Event Grid webhook in a real host process, rule by rule."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.functions_host.webhook import events_of, validation_code_of
from tests.emulator.functions_host.hosting import HostProcess, eventually, write_app

APP = """
    import asyncio, json, os

    app = func.FunctionApp()
    waiting = 0
    together = asyncio.Event()

    def note(**what):
        with open("notes.ndjson", "a") as notes:
            notes.write(json.dumps(what) + "\\n")

    @app.event_grid_trigger(arg_name="event")
    async def incoming(event: func.EventGridEvent) -> None:
        what = event.get_json()
        note(id=event.id, kind=type(event).__name__, type=getattr(event, "event_type", None) or event.type, data=what)
        if what.get("fail"):
            raise ValueError("cannot " + what["fail"])
        if what.get("return"):
            return "not allowed"
        if what.get("together"):
            global waiting
            waiting += 1
            if waiting == what["together"]:
                together.set()
            await together.wait()

    @app.route()
    async def other(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("")

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *")
    async def tick(timer: func.TimerRequest) -> None:
        note(timer=timer.past_due, status=sorted(timer.schedule_status))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("grid"), APP)


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[HostProcess]:
    with HostProcess(folder) as process:
        yield process


@pytest.fixture
def notes(folder: Path, host: HostProcess) -> "Notes":
    path = folder / "notes.ndjson"  # the app's own relative path: its folder is the working directory
    path.unlink(missing_ok=True)
    return Notes(path)


class Notes:
    def __init__(self, path: Path) -> None:
        self.path = path

    def all(self) -> list[dict]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []


def event(number: int = 0, **data: object) -> dict:
    return {
        "id": f"e{number}", "topic": "/t", "subject": "s", "eventType": "Own.Kind", "eventTime": "2025-01-01T00:00:00Z",
        "data": data, "dataVersion": "1.0", "metadataVersion": "1",
    }  # fmt: skip


async def test_one_event_is_run_and_accepted(host: HostProcess, notes: Notes) -> None:
    assert await host.grid("incoming", [event(a=1)]) == (202, "")
    assert notes.all() == [{"id": "e0", "kind": "EventGridEvent", "type": "Own.Kind", "data": {"a": 1}}]


async def test_a_cloud_event_comes_as_one(host: HostProcess, notes: Notes) -> None:
    cloud = {"specversion": "1.0", "id": "c", "source": "/s", "type": "Own.Cloud", "data": {"a": 2}}
    assert await host.grid("incoming", cloud) == (202, "")
    assert await host.grid("incoming", [cloud]) == (202, "")
    assert notes.all() == [{"id": "c", "kind": "CloudEvent", "type": "Own.Cloud", "data": {"a": 2}}] * 2


async def test_events_of_a_batch_run_in_parallel(host: HostProcess, notes: Notes) -> None:
    """Each waits for the other two: one after the other would never end."""
    assert (await host.grid("incoming", [event(n, together=3) for n in range(3)]))[0] == 202
    assert sorted(note["id"] for note in notes.all()) == ["e0", "e1", "e2"]


async def test_one_failure_fails_the_batch_after_all_have_run(host: HostProcess, notes: Notes) -> None:
    status, text = await host.grid("incoming", [event(1), event(2, fail="this"), event(3)])
    assert (status, text) == (500, "Exception while executing function: Functions.incoming")
    assert sorted(note["id"] for note in notes.all()) == ["e1", "e2", "e3"]
    assert "ValueError: cannot this" in host.logged


async def test_a_returned_value_is_a_failure_as_in_azure(host: HostProcess, notes: Notes) -> None:
    assert (await host.grid("incoming", [event(1, **{"return": True})]))[0] == 500
    assert "returned a non-None value" in host.logged


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("notification", 202),
        ("NOTIFICATION", 202),
        ("Unsubscribe", 202),
        ("Else", 400),
        ("", 400),
        (None, 400),
    ],
)
async def test_the_kind_of_event_decides(
    host: HostProcess, notes: Notes, kind: str | None, status: int
) -> None:
    assert (await host.grid("incoming", [event()], kind=kind))[0] == status
    assert len(notes.all()) == (kind is not None and kind.lower() == "notification")


@pytest.mark.parametrize(
    "body",
    [
        [{"data": {"validationCode": "c-1"}}],
        {"data": {"validationCode": "c-1"}},
        {"data": json.dumps({"validationCode": "c-1"})},
        [{"data": json.dumps({"validationCode": "c-1"})}],
    ],
)
async def test_validation_is_answered(host: HostProcess, notes: Notes, body: object) -> None:
    status, text = await host.grid("incoming", body, kind="SubscriptionValidation")
    assert (status, json.loads(text)) == (200, {"validationResponse": "c-1"})
    assert notes.all() == []


@pytest.mark.parametrize("body", [b"", b"{", b"1", b"[" * 100_000])
async def test_a_body_that_is_no_event_is_500(host: HostProcess, notes: Notes, body: bytes) -> None:
    assert (await host.grid("incoming", body))[0] == 500
    assert (await host.grid("incoming", body, kind="SubscriptionValidation"))[0] == 500
    assert notes.all() == []


@pytest.mark.parametrize("name", ["nobody", "other", "Incoming", ""])
async def test_a_function_without_that_trigger_is_not_found(host: HostProcess, name: str) -> None:
    assert await host.grid(name, [event()]) == (404, f"cannot find function: '{name}'")


async def test_the_key_comes_before_everything_else(host: HostProcess, notes: Notes) -> None:
    for key in ("wrong", "", host.keys["host"]["default"]):
        for function in ("incoming", "nobody"):
            for kind in ("Notification", "SubscriptionValidation", "Unsubscribe", None):
                assert await host.grid(function, [event()], kind=kind, key=key) == (401, "")
    assert notes.all() == []
    assert (await host.grid("incoming", [event()], key=host.keys["master"]))[0] == 202


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/runtime/webhooks/queue", 404),
        ("PATCH", "/runtime/webhooks/eventgrid?functionName=incoming", 404),
        (
            "OPTIONS",
            "/runtime/webhooks/eventgrid?functionName=incoming",
            400,
        ),  # no CloudEvents handshake here
    ],
)
async def test_other_doors(host: HostProcess, method: str, path: str, status: int) -> None:
    assert (await host.call(method, path))[0] == 401
    assert (await host.call(method, path, headers={"x-functions-key": host.keys["master"]}))[0] == status


def fire(host: HostProcess, name: str, body: object = None, key: str = "master") -> tuple:
    key = {"master": host.keys["master"], "host": host.keys["host"]["default"]}[key]
    data = body if isinstance(body, bytes) else json.dumps({"input": body or ""}).encode()
    return host.call("POST", f"/admin/functions/{name}", data=data, headers={"x-functions-key": key})


async def test_admin_fires_a_timer_and_an_event(host: HostProcess, notes: Notes) -> None:
    assert (await fire(host, "tick"))[0] == 202
    assert (await fire(host, "TICK", b""))[0] == 202
    await eventually(lambda: len(notes.all()) == 2)
    assert notes.all()[0] == {"timer": False, "status": ["Last", "LastUpdated", "Next"]}
    assert (await fire(host, "incoming", json.dumps(event(7))))[0] == 202
    await eventually(lambda: len(notes.all()) == 3)
    assert notes.all()[2]["id"] == "e7"


@pytest.mark.parametrize(
    ("name", "body", "key", "status"),
    [
        ("tick", None, "host", 401),
        ("nobody", None, "host", 401),
        ("nobody", None, "master", 404),
        ("other", None, "master", 400),
        ("tick", b"[]", "master", 400),
        ("incoming", None, "master", 400),
    ],
)
async def test_admin_refuses(
    host: HostProcess, notes: Notes, name: str, body: object, key: str, status: int
) -> None:
    assert (await fire(host, name, body, key))[0] == status
    assert notes.all() == []


async def test_host_status_wants_the_master_key(host: HostProcess) -> None:
    assert (await host.call("GET", "/admin/host/status"))[0] == 401
    headers = {"x-functions-key": host.keys["master"]}
    status, text, _ = await host.call("GET", "/admin/host/status", headers=headers)
    assert (status, json.loads(text)["state"]) == (200, "Running")
    assert (await host.call("GET", "/admin/other", headers=headers))[0] == 404


async def test_nothing_secret_is_logged(host: HostProcess) -> None:
    await host.grid("incoming", [event()])
    logged = host.logged
    assert "POST /runtime/webhooks/eventgrid incoming notification 202" in logged
    secrets = (host.keys["master"], host.keys["host"]["default"], host.keys["system"]["eventgrid_extension"])
    assert not any(secret in logged or secret in host.ready for secret in secrets)


@pytest.mark.parametrize(
    "body", [b"[]", b"[1]", b'{"data": 1}', b'{"data": {"validationCode": 5}}', b'{"data": "{"}']
)
def test_a_validation_event_without_a_code_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError):  # its text is for nobody
        validation_code_of(body)


def test_an_empty_batch_has_no_events() -> None:
    assert events_of(b"[]") == []
