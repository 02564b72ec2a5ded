"""The OpenAPI document as it is served, and what is said at paths that it does not have."""

import json

from shared.http import request
from shared.openapi.document import document
from tests.support.call_world import open_world


async def test_it_is_served_with_this_systems_own_names(world):
    reply = await world.app.openapi()
    assert (await world.app.openapi()) is reply  # made once
    served = json.loads(reply.body)
    assert served["servers"] == [{"url": "https://fn.example"}]
    assert served["paths"].keys() == document()["paths"].keys()
    assert reply.headers["cache-control"].startswith("public")


async def test_without_the_compatible_interface(tmp_path, monkeypatch):
    more = {"PATCHCORD_COMPATIBLE_API": "false", "PATCHCORD_API_ID_HEADER": "x-id"}
    async with open_world(tmp_path, monkeypatch, **more) as world:
        app = world.app
        served = json.loads((await app.openapi()).body)
        schemes = served["components"]["securitySchemes"]
        assert not any("compatible" in name for name in [*schemes, *served["paths"]])
        assert not any(path.startswith(("/generativeagent", "/mg-")) for path in served["paths"])
        assert schemes["apiId"]["name"] == "x-id"
        credentials = await app.door.issue("default")
        headers = {"asapp-api-id": credentials.api_id, "asapp-api-secret": credentials.api_secret}
        asked = request("r", headers, b"[]")
        replies = [
            await app.create_call_transfer(asked, compatible=True),
            await app.get_call_transfer("x", request("r", headers, b""), compatible=True),
            await app.acs_events(asked, options=False, compatible=True),
            await app.acs_events(request("r", headers, b""), options=True, compatible=True),
        ]
        assert {(reply.status, json.loads(reply.body)["error"]["message"]) for reply in replies} == {
            (404, "no such path")
        }
        elsewhere = request("r", {}, b"")
        assert (await app.elsewhere("/generativeagent/v1/call-transfers", elsewhere)).status == 404
        assert (await app.elsewhere("/api/v1/call-transfers", elsewhere)).headers["allow"] == "POST"
