import asyncio
import contextlib
import logging

import aiohttp
import pytest
from aiohttp import web

from media_host import post_call
from media_host.post_call import PostCallHooks
from shared.calls.events import EventKind
from shared.errors import ConfigurationError, StoreUnavailable
from shared.security.secrets import Secrets
from tests.media_host.post_calls import a_call, config_of, disconnect, open_calls
from tests.support.serving import serving
from tests.support.timing import patience

TOKEN = "t0ken-of-the-archive"
HERE = "tests.media_host.test_post_call"
AT_ONCE = {"settle_s": (0.0,), "retry_s": (0.0, 0.0)}
KEPT = []


async def keep(record):
    KEPT.append(record)


async def fail(record):
    KEPT.append(record)
    raise KeyError(record["from"])


async def hang(record):
    KEPT.append(record)
    await asyncio.sleep(600)


class Archive:
    """Takes records; answers with the statuses it is given, then 204."""

    def __init__(self):
        self.statuses = []
        self.requests = []

    async def handle(self, request):
        self.requests.append((request.method, request.path, dict(request.headers), await request.json()))
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else None)


@pytest.fixture
async def archive():
    it = Archive()
    async with serving(it.handle) as it.base:
        yield it


@pytest.fixture
async def calls(tmp_path):
    KEPT.clear()
    async with open_calls(tmp_path) as calls:
        yield calls


@contextlib.asynccontextmanager
async def hooks_of(hook, calls, *, environment=None, **options):
    secrets = Secrets(environment={"ARCHIVE": TOKEN} if environment is None else environment)
    async with aiohttp.ClientSession() as http:
        hooks = PostCallHooks(config_of(hook), calls, secrets, http, **{**AT_ONCE, **options})
        try:
            yield hooks
        finally:
            await hooks.close()


def to(archive, **fields):
    return {"kind": "http", "url": f"{archive.base}/records", "secret": "env:ARCHIVE", **fields}


def python(function, **fields):
    return {"kind": "python", "entry_point": f"{HERE}:{function}", **fields}


async def faults(calls, call_id):
    return [fault["message"] for fault in (await calls.get("default", call_id)).faults]


async def test_a_record_is_posted_with_its_token(archive, calls, caplog):
    caplog.set_level(logging.DEBUG)
    call_id = await a_call(calls, {"account": "00123"})
    async with hooks_of(to(archive), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    [(method, path, headers, record)] = archive.requests
    assert (method, path) == ("POST", "/records")
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["Content-Type"] == "application/json"
    assert record["callId"] == call_id
    assert record["state"] == "ended"
    assert record["inputVariables"] == {"account": "00123"}
    assert TOKEN not in caplog.text
    timeline = (await calls.get("default", call_id)).timeline
    assert [entry.get("reason") for entry in timeline].count("post_call") == 1
    assert await faults(calls, call_id) == []


async def test_a_function_gets_the_record(calls):
    call_id = await a_call(calls)
    async with hooks_of(python("keep"), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert [record["callId"] for record in KEPT] == [call_id]


async def test_without_a_hook_nothing_happens(calls):
    call_id = await a_call(calls)
    async with hooks_of(None, calls) as hooks:
        hooks.begin("default", call_id, "desk")
        assert asyncio.all_tasks() == {asyncio.current_task()}
        hooks.begin("default", call_id, "nobody")


async def test_of_two_hosts_one_runs_it(archive, calls):
    call_id = await a_call(calls)
    async with hooks_of(to(archive), calls) as first, hooks_of(to(archive), calls) as second:
        for hooks in (first, second, first):
            hooks.begin("default", call_id, "desk")
    assert len(archive.requests) == 1


async def test_it_waits_for_the_last_callback(calls):
    call_id = await a_call(calls, over=False)
    async with hooks_of(python("keep"), calls, settle_s=(0.01,) * 1000) as hooks:
        hooks.begin("default", call_id, "desk")
        await asyncio.sleep(0.03)
        assert KEPT == []
        await disconnect(calls, call_id)
        async with asyncio.timeout(patience(5)):
            while not KEPT:
                await asyncio.sleep(0.01)
    assert KEPT[0]["state"] == "ended"


async def test_a_record_that_never_becomes_complete_is_sent_as_it_is(calls):
    call_id = await a_call(calls, over=False)
    async with hooks_of(python("keep"), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert KEPT[0]["state"] == "connected"


async def test_a_call_that_talks_again_is_not_over(calls):
    call_id = await a_call(calls, over=False)
    await calls.note("default", call_id, "media-2", EventKind.MEDIA_CONNECTED, hostId="host-b")
    async with hooks_of(python("keep"), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert KEPT == []
    await calls.note("default", call_id, "closed-2", EventKind.MEDIA_CLOSED, reason="line_closed")
    async with hooks_of(python("keep"), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert len(KEPT) == 1


@pytest.mark.parametrize(
    ("statuses", "attempts", "told"),
    [
        ([500, 429], 3, []),
        ([503, 500, 500], 3, ["status 500"]),
        ([400], 1, ["status 400"]),
        ([302], 1, ["status 302"]),
    ],
)
async def test_three_attempts_and_then_the_record_says_so(archive, calls, statuses, attempts, told):
    call_id = await a_call(calls)
    archive.statuses = statuses
    async with hooks_of(to(archive), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert [path for _, path, _, _ in archive.requests] == ["/records"] * attempts
    assert await faults(calls, call_id) == told


@pytest.mark.parametrize(("function", "told"), [("fail", "KeyError"), ("hang", "no answer within 0.02 s")])
async def test_a_function_that_fails_is_recorded_without_its_words(calls, caplog, function, told):
    call_id = await a_call(calls)
    async with hooks_of(python(function, timeout_s=0.02), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert len(KEPT) == 3
    assert await faults(calls, call_id) == [told]
    assert "+14255550100" not in caplog.text


async def test_nobody_there_or_no_secret(calls):
    nowhere = {"kind": "http", "url": "http://127.0.0.1:1/"}
    call_id = await a_call(calls)
    async with hooks_of(nowhere, calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert await faults(calls, call_id) == ["cannot be reached (ClientConnectorError)"]
    call_id = await a_call(calls)
    async with hooks_of({**nowhere, "secret": "env:ARCHIVE"}, calls, environment={}) as hooks:
        hooks.begin("default", call_id, "desk")
    [told] = await faults(calls, call_id)
    assert "env:ARCHIVE: expected a secret that is set" in told


async def test_the_end_of_the_host_hurries_it_and_then_cuts_it_off(calls, caplog):
    first, second = await a_call(calls, over=False), await a_call(calls)
    async with hooks_of(python("keep"), calls, settle_s=(600.0,) * 5) as hooks:
        hooks.begin("default", first, "desk")
        await asyncio.sleep(0.02)
        await hooks.close(patience(5))
        assert len(KEPT) == 1
    async with hooks_of(python("hang"), calls) as hooks:
        hooks.begin("default", second, "desk")
        await hooks.close(0.05)
    assert f"post-call {second} was cut off" in caplog.text


async def test_a_store_that_is_away_for_a_moment(calls, monkeypatch, caplog):
    monkeypatch.setattr(post_call, "STORE_S", (0.0, 0.0))
    call_id = await a_call(calls)
    for name, failures in (("get", 1), ("note", 2)):
        monkeypatch.setattr(calls, name, flaky(getattr(calls, name), failures))
    async with hooks_of(python("keep"), calls, settle_s=(0.0, 0.0)) as hooks:
        hooks.begin("default", call_id, "desk")
    assert len(KEPT) == 1
    assert "waits for the store" in caplog.text


async def test_a_store_that_stays_away_ends_in_the_log(calls, monkeypatch, caplog):
    monkeypatch.setattr(post_call, "STORE_S", (0.0,))
    call_id = await a_call(calls)
    monkeypatch.setattr(calls, "note", flaky(calls.note, 9))
    async with hooks_of(python("keep"), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    monkeypatch.setattr(calls, "get", flaky(calls.get, 9))
    async with hooks_of(python("keep"), calls) as hooks:
        hooks.begin("default", call_id, "desk")
    assert KEPT == []
    assert caplog.text.count("post-call hook not run") == 2


async def test_there_is_a_bound_on_what_waits(calls, monkeypatch):
    monkeypatch.setattr(post_call, "MAX_WAITING", 1)
    first, second = await a_call(calls, over=False), await a_call(calls)
    async with hooks_of(python("keep"), calls, settle_s=(600.0,)) as hooks:
        hooks.begin("default", first, "desk")
        hooks.begin("default", second, "desk")
        async with asyncio.timeout(patience(5)):
            while not await faults(calls, second):
                await asyncio.sleep(0.01)
    assert await faults(calls, second) == ["too many hooks are under way"]


async def test_a_wrong_entry_point_is_named_at_start(calls):
    with pytest.raises(ConfigurationError) as caught:
        async with hooks_of(python("nothing"), calls):
            pass
    assert caught.value.setting == "agents.desk.post_call.entry_point"


def flaky(function, failures):
    """`function`, whose first calls fail."""
    left = [failures]

    async def call(*arguments, **named):
        if left[0]:
            left[0] -= 1
            raise StoreUnavailable("away")
        return await function(*arguments, **named)

    return call
