"""The OpenAPI document says what the control API really has."""

import dataclasses
import json
import re

import aiohttp
import pytest
from aiohttp import web

from emulator.control import ControlApi
from emulator.event_grid.subscriptions import Subscription
from emulator.faults import Faults
from emulator.openapi import document
from emulator.phone.script import CallerScript, parse_script
from tests.support.app import emulated_app

DOCUMENT = document("http://127.0.0.1:8600")


def real_routes() -> set[tuple[str, str]]:
    app = web.Application()
    ControlApi(None, "key").add_to(app.router)
    return {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.method != "HEAD"  # aiohttp adds it to every GET
    }


def operations() -> dict[tuple[str, str], dict]:
    return {
        (method, path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }


def test_every_route_is_described_and_no_other() -> None:
    assert set(operations()) == real_routes()


def test_it_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert set(DOCUMENT) == {"openapi", "info", "servers", "security", "paths", "components"}
    for operation in operations().values():
        assert operation["summary"]
        assert all(re.fullmatch(r"[2-5]\d\d", status) for status in operation["responses"])
        assert all(answer["description"] for answer in operation["responses"].values())


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert not re.search(r'"\$ref": "(?!#/components/schemas/)', json.dumps(DOCUMENT))


@pytest.mark.parametrize("path", [path for path in DOCUMENT["paths"] if "{" in path])
def test_every_part_of_a_path_is_a_parameter(path: str) -> None:
    for operation in DOCUMENT["paths"][path].values():
        named = [item["name"] for item in operation["parameters"] if item["in"] == "path"]
        assert sorted(named) == sorted(re.findall(r"{(\w+)}", path))


@pytest.mark.parametrize(("kind", "name"), [(Faults, "Faults"), (Subscription, "Subscription")])
def test_schemas_have_the_fields_of_their_classes(kind: type, name: str) -> None:
    properties = DOCUMENT["components"]["schemas"][name]["properties"]
    assert set(properties) == {field.name for field in dataclasses.fields(kind)}
    assert all(part.get("description") for part in properties.values())


def test_the_script_has_the_fields_of_its_class() -> None:
    properties = set(DOCUMENT["components"]["schemas"]["CallerScript"]["properties"])
    assert properties == {"from" if name == "caller" else name for name in CallerScript.__struct_fields__}


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"]["Step"]["oneOf"][0]["enum"])
def test_steps_that_need_no_fields_can_be_written_as_a_word(name: str) -> None:
    assert parse_script({"steps": [name]}).steps


async def test_operations_without_a_key_are_those_that_say_so() -> None:
    async with emulated_app(subscribe=False) as app, aiohttp.ClientSession(app.emulator.endpoint) as http:
        for (method, path), operation in operations().items():
            async with http.request(method, re.sub(r"{\w+}", "heard", path)) as response:
                assert (response.status != 401) is (operation.get("security") == []), (method, path)


async def test_the_document_is_served() -> None:
    async with emulated_app(subscribe=False) as app, aiohttp.ClientSession(app.emulator.endpoint) as http:
        async with http.get("/emulator/openapi.json") as response:
            assert await response.json() == json.loads(json.dumps(document(app.emulator.endpoint)))
