import json

import pytest

from shared.http import request
from tests.support.call_world import open_world


def asked(credentials=None, body=b"", **params):
    headers = {"api-id": credentials.api_id, "api-secret": credentials.api_secret} if credentials else {}
    return request("req-5", headers, body, params)


async def test_a_tenant_reads_its_calls(world):
    record = await world.answered()
    credentials = await world.app.door.issue("default")
    reply = await world.app.list_calls(asked(credentials))
    [listed] = json.loads(reply.body)["calls"]
    assert (reply.status, listed["callId"], listed["state"]) == (200, record.call_id, "answered")
    reply = await world.app.get_call(record.call_id, asked(credentials))
    assert json.loads(reply.body) == json.loads(json.dumps(record.to_json()))


async def test_another_tenants_call_is_like_none(world):
    record = await world.answered()
    theirs = await world.answered("+18005550002", correlation="corr-2")
    globex = await world.app.door.issue("globex")
    other = await world.app.get_call(record.call_id, asked(globex))
    none = await world.app.get_call("c-unknown", asked(globex))
    assert other == none
    assert (other.status, json.loads(other.body)["error"]["code"]) == (404, "404-01")
    [listed] = json.loads((await world.app.list_calls(asked(globex))).body)["calls"]
    assert listed["callId"] == theirs.call_id
    own = await world.app.get_call(theirs.call_id, asked(globex))
    assert own.status == 200


async def test_without_credentials_nothing_is_read(world):
    record = await world.answered()
    assert (await world.app.list_calls(asked())).status == 401
    assert (await world.app.get_call(record.call_id, asked())).status == 401


async def test_credentials_of_another_environment_do_not_hold(tmp_path, monkeypatch):
    async with open_world(tmp_path, monkeypatch, PATCHCORD_ENVIRONMENT="sandbox") as world:
        sandbox = await world.app.door.issue("default")
    async with open_world(tmp_path, monkeypatch, PATCHCORD_ENVIRONMENT="production") as world:
        assert (await world.app.list_calls(asked(sandbox))).status == 401


@pytest.mark.parametrize("limit", ["1", "500"])
async def test_limits(world, limit):
    credentials = await world.app.door.issue("default")
    assert (await world.app.list_calls(asked(credentials, limit=limit))).status == 200


@pytest.mark.parametrize("limit", ["0", "501", "-1", "", "x", "1e2", "٣", "0000000019999"])
async def test_wrong_limits(world, limit):
    credentials = await world.app.door.issue("default")
    assert (await world.app.list_calls(asked(credentials, limit=limit))).status == 400


async def test_the_list_has_so_many(world):
    for i in range(3):
        await world.answered(correlation=f"c{i}")
        world.clock.at += 1
        await world.host()
    credentials = await world.app.door.issue("default")
    reply = await world.app.list_calls(asked(credentials, limit="2"))
    assert len(json.loads(reply.body)["calls"]) == 2


async def test_a_get_has_no_body(world):
    assert (await world.app.list_calls(asked(body=b"x"))).status == 413
