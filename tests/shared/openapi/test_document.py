"""The OpenAPI document is true: every route, every error, examples, and what is really answered."""

import json
from functools import cache

import pytest
from jsonschema import Draft202012Validator

import function_app
from shared.application import Application
from shared.calls.record import CallRecord
from shared.calls.state import CallState, Ended
from shared.errors import PatchcordError
from shared.http import request
from shared.openapi import errors
from shared.openapi.document import document, methods
from shared.openapi.published import webhooks
from shared.publishing.outbox import Kind
from shared.transfers.numbers import NumberPool
from tests.support.api_schemas import event_problems, problems, reply_problems, schema_problems

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (path, method, operation)
    for path, found in DOCUMENT["paths"].items()
    for method, operation in found.items()
]
NOT_OVER_HTTP = {
    "410-01",  # a call that is gone: met in the background, or put into the record
    "500-02",  # a wrong setting: the log has it, clients read 500-01
    "503-05",  # an agent: the media host's
}


@cache
def functions() -> list:
    """The library gives them out once only."""
    return function_app.app.get_functions()


def routes() -> set[tuple[str, str]]:
    """Path and method of every HTTP function but those that answer for everything else."""
    found = set()
    for function in functions():
        trigger = function.get_trigger()
        if trigger.type == "httpTrigger" and "{*" not in trigger.route:
            found |= {(f"/{trigger.route}", method.value.lower()) for method in trigger.methods}
    return found


def test_every_route_and_no_other():
    assert {(path, method) for path, method, _ in OPERATIONS} == routes()


def test_an_operation_is_named_after_its_function():
    names = {function.get_function_name() for function in functions()}
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(set(ids)) == len(ids)
    assert {name.removesuffix("_handshake") for name in ids} <= names


def all_errors(kind: type[PatchcordError] = PatchcordError) -> set[type[PatchcordError]]:
    return {kind}.union(*(all_errors(child) for child in kind.__subclasses__()))


def test_every_error_of_the_function_app_is_explained():
    ours = {kind for kind in all_errors() if kind.__module__.startswith("shared.")}
    explained = {kind.code for kind in errors.ABOUT}
    assert {kind.code for kind in ours} - explained == NOT_OVER_HTTP
    used = {
        code
        for _, _, operation in OPERATIONS
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/json", {}).get("examples", {})
    }
    assert explained - used == {"405-01"}  # of paths that stand there, by other methods


@pytest.mark.parametrize("name", SCHEMAS)
def test_schemas_are_schemas_with_examples(name):
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["description"]
    examples = SCHEMAS[name].get("examples", [])
    assert examples or name == "PublishedCall"
    for example in examples:
        assert problems(name, example) == []


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_operations_are_complete(path, method, operation):
    assert operation["summary"]
    assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
    assert "security" in operation
    parameters = {given["name"] for given in operation.get("parameters", []) if given["in"] == "path"}
    assert parameters == {part[1:-1] for part in path.split("/") if part.startswith("{")}
    for status, answer in operation["responses"].items():
        assert answer["description"]
        content = answer.get("content", {}).get("application/json", {})
        for code, example in content.get("examples", {}).items():
            assert code.startswith(status)
            assert schema_problems(content["schema"], example["value"]) == []


def test_every_reference_leads_somewhere():
    text = json.dumps(DOCUMENT)
    named = {part.partition('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}
    assert named <= SCHEMAS.keys()
    schemes = {name for _, _, operation in OPERATIONS for one in operation["security"] for name in one}
    assert schemes == DOCUMENT["components"]["securitySchemes"].keys()


def test_every_published_event_is_a_webhook():
    assert webhooks().keys() == {kind.value for kind in Kind}


def test_a_record_has_these_fields():
    record = CallRecord(
        state=CallState.ENDED,
        ended=Ended("x", "system", None, None),
        outcome={"transferType": "SYSTEM", "reason": "", "currentTaskName": ""},
        recording={"file": "x", "ms": None, "consent": False},
        ivr="menu",
    )
    for shown in (record, CallRecord()):
        assert problems("Call", shown.to_json()) == []
        assert problems("CallSummary", shown.to_summary()) == []


def test_methods():
    paths = DOCUMENT["paths"]
    assert methods("/api/CALLS/x", paths) == {"GET"}
    assert methods("/incoming/", paths) == {"POST", "OPTIONS"}
    assert methods("/api/calls/x/y", paths) == set()
    assert methods("/", paths) == set()


@pytest.fixture
async def client(world):
    await NumberPool(world.store, world.clock).add("+18005550100", "US")
    await world.host()
    credentials = await world.app.door.issue("default")
    return Client(world.app, {"api-id": credentials.api_id, "api-secret": credentials.api_secret})


class Client:
    """Calls a door, and sees that the document knows the answer."""

    def __init__(self, app: Application, headers: dict[str, str]) -> None:
        self.app, self.headers = app, headers | {"content-type": "application/json"}

    async def __call__(self, path, method, door, *arguments, body=None, headers=None, params=None, **more):
        data = b"" if body is None else json.dumps(body).encode()
        asked = request("r1", self.headers if headers is None else headers, data, params)
        reply = await door(*arguments, asked, **more)
        assert reply_problems(path, method, reply.status, reply.body) == []
        if reply.status >= 400:
            answer = DOCUMENT["paths"][path][method]["responses"][str(reply.status)]
            code = json.loads(reply.body)["error"]["code"]
            assert code in answer["content"]["application/json"]["examples"]
            assert ("retry-after" in reply.headers) == ("Retry-After" in answer.get("headers", {}))
        return reply.status, json.loads(reply.body) if reply.body else None


async def test_what_is_answered_is_what_is_written(world, client):
    app = world.app
    new = SCHEMAS["NewCallTransfer"]["examples"][0]
    create = ("/api/v1/call-transfers", "post", app.create_call_transfer)
    read = ("/api/v1/call-transfers/{id}", "get", app.get_call_transfer)
    assert (await client(*create, body=new))[0] == 200
    assert (await client(*create, body=new | {"id": "t2"}))[0] == 503
    assert (await client(*create, body=new | {"externalConversationId": "x"}))[0] == 409
    assert (await client(*create, body=new | {"id": "t4", "phoneNumber": {"country": "GB"}}))[0] == 422
    assert (await client(*create, body=new | {"id": "t4", "type": "SIP"}))[0] == 422
    assert (await client(*create, body={}))[0] == 400
    assert (await client(*create, body=new, headers={}))[0] == 401
    assert (await client(*create, body=new, headers=client.headers | {"content-type": "x"}))[0] == 415
    assert (await client(*create, body={"x": "x" * 70_000}))[0] == 413
    assert (await client(*create, body=new, headers={f"h{n}": "" for n in range(101)}))[0] == 431
    user = {"id": "t3", "externalConversationId": "x", "type": "ACS_USER"}
    assert (await client(*create, body=user))[1]["acsUser"]["communicationUserId"]
    assert (await client(*read, new["id"]))[1]["status"] == "ACTIVE"
    assert (await client(*read, "nothing"))[0] == 404
    record = await world.answered("+18005550100")
    await world.event(record, "o", world_kind("OUTCOME"), 1, transferType="AGENT", reason="x")
    assert (await client(*read, new["id"]))[1]["status"] == "COMPLETED"
    calls = ("/api/calls", "get", app.list_calls)
    assert len((await client(*calls))[1]["calls"]) == 1
    assert (await client(*calls, params={"limit": "0"}))[0] == 400
    assert (await client("/api/calls/{id}", "get", app.get_call, record.call_id))[0] == 200
    assert (await client("/api/calls/{id}", "get", app.get_call, "x"))[0] == 404
    place = ("/api/v1/calls", "post", app.create_call)
    call = SCHEMAS["NewCall"]["examples"][0]
    assert (await client(*place, body=call))[0] == 202
    assert (await client(*place, body=call | {"number": "+442079460000", "id": "x"}))[0] == 403
    assert (await client(*place, body=call | {"agent": "nobody", "id": "y"}))[0] in (400, 403)
    events = ("/api/acs-events", "post", app.acs_events)
    assert (await client(*events, body=[world.incoming(event_id="e9")], options=False))[0] == 200
    assert (await client(*events, body=[], options=False))[0] == 200
    assert (await client(*events, body=[{}], options=False))[0] == 400
    validation = world.incoming() | {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6"},
    }
    assert (await client(*events, body=[validation], options=False))[1] == {"validationResponse": "512d38b6"}
    shake = ("/api/acs-events", "options", app.acs_events)
    assert (await client(*shake, options=True))[0] == 400
    origin = client.headers | {"webhook-request-origin": "eventgrid.azure.net"}
    assert (await client(*shake, headers=origin, options=True))[0] == 200
    token = ("/api/call-events/{token}", "post", app.call_events)
    assert (await client(*token, "x", body=[]))[0] == 401


def world_kind(name):
    from shared.calls.events import EventKind

    return EventKind[name]


def test_examples_of_events_are_events():
    for kind in Kind:
        [example] = SCHEMAS[webhooks()[kind.value]["post"]["operationId"]]["examples"]
        assert event_problems(example) == []
        assert example["subject"] == example["data"]["callId"]
