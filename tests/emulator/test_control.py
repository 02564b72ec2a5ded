"""The control API over HTTP, and the emulator as a process of its own."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
import yaml

from emulator.__main__ import load_config
from shared.errors import ConfigurationError
from tests.support.app import ACCESS_KEY, CONTROL_KEY, RESOURCE, App, sine
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = {"from": "+14255550100", "to": "+18005550000", "steps": [{"tone": {"hz": 500, "seconds": 0.1}}]}


async def test_a_call_over_http(app: App, http: aiohttp.ClientSession) -> None:
    async with http.post("/emulator/calls", json=SCRIPT) as response:
        assert response.status == 201
        call = await response.json()
    async with http.get(f"/emulator/calls/{call['id']}/story") as response:
        story = [json.loads(line) async for line in response.content]
    assert [event["kind"] for event in (story[0], story[-1])] == ["dialled", "ended"]
    async with http.get(f"/emulator/calls/{call['id']}") as response:
        summary = await response.json()
    assert summary["correlationId"] == call["correlationId"] == app.events[0]["data"]["correlationId"]
    assert summary["failed"] is None
    async with http.get("/emulator/calls") as response:
        assert [item["id"] for item in (await response.json())["calls"]] == [call["id"]]
    for side in ("heard", "said"):
        async with http.get(f"/emulator/calls/{call['id']}/{side}.wav") as response:
            assert (await response.read())[:4] == b"RIFF"


async def test_meddling(app: App, http: aiohttp.ClientSession) -> None:
    app.on_media = lambda media: media.speak(sine(440, 100))
    async with http.post("/emulator/calls", json={"steps": [{"wait_ms": 60_000}]}) as response:
        one = f"/emulator/calls/{(await response.json())['id']}"
    await app.connected()

    async def ignore(data: dict) -> None:
        return None

    app.on_call = ignore
    async with http.post(f"{one}/deliver-again") as response:
        assert response.status == 204
    await app.until(lambda: len(app.events) == 2)
    async with http.post(f"{one}/abort-media") as response:
        assert response.status == 204
    await app.callback("MediaStreamingFailed")
    async with http.post(f"{one}/hang-up") as response:
        assert response.status == 204
    await app.callback("CallDisconnected")


@pytest.mark.parametrize(
    ("body", "named"), [('{"steps": [{"press": "x"}]}', "steps[0].press"), ("{", "body"), ("[]", "script")]
)
async def test_a_wrong_script_is_named(http: aiohttp.ClientSession, body: str, named: str) -> None:
    async with http.post("/emulator/calls", data=body) as response:
        assert response.status == 400
        assert (await response.json())["error"]["message"].startswith(named)


@pytest.mark.parametrize("path", ["", "/story", "/heard.wav"])
async def test_an_unknown_call(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(f"/emulator/calls/nope{path}") as response:
        assert response.status == 404


async def test_there_is_no_sound_before_the_answer(app: App, http: aiohttp.ClientSession) -> None:
    async def ignore(data: dict) -> None:
        return None

    app.on_call = ignore
    async with http.post("/emulator/calls", json=SCRIPT) as response:
        call = await response.json()
    async with http.get(f"/emulator/calls/{call['id']}/heard.wav") as response:
        assert response.status == 404


@pytest.mark.parametrize("key", ["", "Bearer wrong-key-of-the-tests", CONTROL_KEY])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_control_key_is_required(app: App, method: str, key: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.request(
            method, f"{app.emulator.endpoint}/emulator/calls", headers={"Authorization": key}
        ) as response,
    ):
        assert response.status == 401
    assert not app.emulator.calls


def write(path: Path, **changes: object) -> Path:
    values = {
        "access_key": ACCESS_KEY,
        "control_key": CONTROL_KEY,
        "resource_id": RESOURCE,
        "time_scale": 0.1,
    }
    path.write_text(yaml.safe_dump({**values, **changes}))
    return path


def test_a_configuration_file(tmp_path: Path) -> None:
    subscription = {
        "name": "calls",
        "endpoint": "http://127.0.0.1:1/hook",
        "filters": [{"operator": "StringIn", "key": "data.to.rawId", "values": ["4:+18005550000"]}],
        "headers": {"api-id": "me"},
    }
    path = write(tmp_path / "e.yaml", subscriptions=[subscription], dead_letter="dead")
    config = load_config(path)
    assert (config.host, config.port, config.time_scale) == ("127.0.0.1", 0, 0.1)
    assert config.dead_letter == Path("dead")
    assert config.subscriptions[0].filters[0].operator == "StringIn"


@pytest.mark.parametrize(
    "changes",
    [
        {"access_key": "short"}, {"speed": 3}, {"port": "many"}, {"subscriptions": [{"name": "x"}]},
        {"subscriptions": [{"name": "x", "endpoint": "nowhere"}]},
    ],
)  # fmt: skip
def test_a_wrong_configuration_is_named(tmp_path: Path, changes: dict) -> None:
    with pytest.raises(ConfigurationError):
        load_config(write(tmp_path / "e.yaml", **changes))


@pytest.mark.parametrize("text", ["[", "7"])
def test_a_file_that_is_no_configuration(tmp_path: Path, text: str) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError):
        load_config(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        load_config(tmp_path / "nothing.yaml")


async def test_the_process_says_when_it_is_ready_and_stops_on_sigterm(tmp_path: Path) -> None:
    path = write(tmp_path / "e.yaml")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulator", "--config", str(path),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(patience(20)):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("emulator ready: http://127.0.0.1:")
        async with aiohttp.ClientSession() as session:
            async with session.get(line.split()[-1] + "/calling/keys") as response:
                assert response.status == 200
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(patience(10)):
            _, errors = await process.communicate()
        assert process.returncode == 0
        assert ACCESS_KEY not in errors.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_wrong_file_ends_the_process_with_a_message(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "emulator", "--config", str(write(tmp_path / "e.yaml", resource_id="")),
        cwd=ROOT, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    async with asyncio.timeout(patience(20)):
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode().startswith("resource_id: expected")


async def test_a_live_caller(app: App, http: aiohttp.ClientSession) -> None:
    async with http.post("/emulator/calls", json={"steps": [{"wait_ms": 60_000}]}) as response:
        one = f"/emulator/calls/{(await response.json())['id']}"
    async with http.get(f"{one}/hearing") as hearing:
        assert hearing.headers["X-Sample-Rate"] == "24000"
        media = await app.connected()
        async with http.post(f"{one}/voice", data=sine(500, 200)) as response:
            assert response.status == 204
        await media.until(lambda media: sine(500, 200) in media.pcm())
        async with http.post(f"{one}/keys", json={"keys": "7x"}) as response:
            assert response.status == 400
            assert "7x" not in await response.text()
        async with http.post(f"{one}/keys", json={"keys": "7#"}) as response:
            assert response.status == 204
        await media.until(lambda media: media.kinds().count("DtmfData") == 2)
        await media.speak(sine(800, 100))
        assert sine(800, 100) in await heard_until(hearing, sine(800, 100))
        async with http.post(f"{one}/hang-up"):
            pass
        async with asyncio.timeout(patience(5)):
            await hearing.read()
    for answer in (
        http.get(f"{one}/hearing"),
        http.post(f"{one}/voice"),
        http.post(f"{one}/keys", json={"keys": "1"}),
    ):
        async with answer as response:
            assert response.status == 404


async def heard_until(hearing: aiohttp.ClientResponse, pcm: bytes) -> bytes:
    heard = b""
    async with asyncio.timeout(patience(5)):
        while pcm not in heard:
            heard += await hearing.content.readany()
    return heard
