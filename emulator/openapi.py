"""The control API as an OpenAPI 3.1 document; the schemas of faults and subscriptions come from their classes."""

import inspect
import re
from typing import Any

import msgspec

from emulator.event_grid.subscriptions import Subscription
from emulator.faults import Faults
from emulator.phone.callee import LONGEST_MS, ON_RING
from emulator.phone.script import SHORT_FORMS

type Json = dict[str, Any]

TITLE = "Patchcord's ACS emulator: control"
ABOUT = (
    "Dial scripted calls into the app under test, follow what happens, and let things go wrong. "
    "It is served beside the emulated Azure Communication Services on the same port; it is no part of Azure."
)
ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}


def document(server: str) -> Json:
    """The document.

    Args:
        server: the emulator's address.
    """
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": "1", "description": ABOUT},
        "servers": [{"url": server}],
        "security": [{"controlKey": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {
                "controlKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The emulator's control key.",
                }
            },
            "schemas": _schemas(),
        },
    }


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Json, kind: str = "application/json") -> Json:
    return {kind: {"schema": schema}}


def _operation(
    summary: str,
    success: str,
    about: str,
    *,
    schema: Json | None = None,
    kind: str = "application/json",
    body: Json | None = None,
    parameters: list[Json] | None = None,
    errors: tuple[str, ...] = (),
    open_to_all: bool = False,
) -> Json:
    responses: Json = {success: {"description": about}}
    if schema is not None:
        responses[success]["content"] = _content(schema, kind)
    texts = {"400": "A field is wrong; the message names it.", "404": "There is none by that name."}
    for status in errors:
        responses[status] = {"description": texts[status], "content": _content(_ref("Error"))}
    operation: Json = {"summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _content(body)}
    if open_to_all:
        operation["security"] = []
    else:
        responses["401"] = {"description": "No or a wrong control key.", "content": _content(_ref("Error"))}
    return operation


def _paths() -> Json:
    one = "/emulator/calls/{id}"
    wav = {
        "name": "side",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": ["heard", "said"]},
    }
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    key = {"name": "key", "in": "path", "required": True, "schema": {"type": "string"}}
    confirm = _operation(
        "Confirm a subscription (validationUrl)",
        "200",
        "Event Grid takes the subscription.",
        parameters=[key],
        errors=("404",),
        open_to_all=True,
    )

    def about_call(summary: str, success: str, about: str, **more: Any) -> Json:
        errors = ("400", "404") if "body" in more else ("404",)
        parameters = [ID, *more.pop("parameters", [])]
        return _operation(summary, success, about, parameters=parameters, errors=errors, **more)

    voice = about_call(
        "The caller speaks: PCM, 16 bit little-endian, mono, at the `X-Sample-Rate` of `hearing`, sent as it is spoken",
        "204",
        "The voice or the call has ended. More than 500 ms ahead of the line, the oldest is lost and counted.",
    )
    voice["requestBody"] = {
        "required": True,
        "content": _content({"type": "string", "format": "binary"}, "application/octet-stream"),
    }
    return {
        "/emulator/openapi.json": {
            "get": _operation(
                "This document", "200", "OpenAPI 3.1.", schema={"type": "object"}, open_to_all=True
            )
        },
        "/emulator/validations/{key}": {"get": confirm, "post": confirm},
        "/emulator/calls": {
            "post": _operation(
                "Dial a scripted call",
                "201",
                "It rings.",
                schema=_ref("Dialled"),
                body=_ref("CallerScript"),
                errors=("400",),
            ),
            "get": _operation(
                "All calls, newest first",
                "200",
                "Up to 1000.",
                schema={
                    "type": "object",
                    "required": ["calls"],
                    "properties": {"calls": {"type": "array", "items": _ref("CallSummary")}},
                },
            ),
        },
        one: {"get": about_call("What was measured", "200", "So far.", schema=_ref("CallSummary"))},
        f"{one}/story": {
            "get": about_call(
                "The story from its start, until the call has ended",
                "200",
                "One event a line, as they happen.",
                schema=_ref("StoryEvent"),
                kind="application/x-ndjson",
            )
        },
        f"{one}/{{side}}.wav": {
            "get": about_call(
                "What the caller heard, or said, since the answer",
                "200",
                "PCM, 16 bit, mono.",
                schema={"type": "string", "contentMediaType": "audio/wav"},
                kind="audio/wav",
                parameters=[wav],
            )
        },
        f"{one}/faults": {
            "get": about_call("The call's faults", "200", "As they are now.", schema=_ref("Faults")),
            "post": about_call(
                "Change some of the call's faults from now on",
                "200",
                "As they are now.",
                schema=_ref("Faults"),
                body=_ref("Faults"),
            ),
        },
        f"{one}/voice": {"post": voice},
        f"{one}/hearing": {
            "get": about_call(
                "What the caller hears from now on, until the call has ended; waits for the answer",
                "200",
                "PCM, 16 bit little-endian, mono; `X-Sample-Rate` (Hz). A reader that is 2 s behind misses the oldest.",
                schema={"type": "string", "format": "binary"},
                kind="application/octet-stream",
            )
        },
        f"{one}/keys": {
            "post": about_call(
                "The caller presses keys, 100 ms apart; they are never logged",
                "204",
                "Pressed.",
                body={
                    "type": "object",
                    "required": ["keys"],
                    "properties": {"keys": {"type": "string", "pattern": "^[0-9*#A-Da-d]+$"}},
                },
            )
        },
        f"{one}/hang-up": {"post": about_call("The caller hangs up", "204", "Done.")},
        f"{one}/deliver-again": {
            "post": about_call("Deliver the call's IncomingCall event again", "204", "It is on its way.")
        },
        f"{one}/abort-media": {"post": about_call("Break the media connection", "204", "Done.")},
        "/emulator/phones": {
            "post": _operation(
                "Add a telephone that apps can call, or give it another script",
                "201",
                "It can be called from now on; its calls are among all calls.",
                schema=_ref("Phone"),
                body=_ref("CalleeScript"),
                errors=("400",),
            ),
            "get": _operation(
                "The addresses of all telephones that can be called",
                "200",
                "As they were given.",
                schema={
                    "type": "object",
                    "required": ["phones"],
                    "properties": {"phones": {"type": "array", "items": {"type": "string"}}},
                },
            ),
        },
        "/emulator/phones/{at}": {
            "delete": _operation(
                "Take a telephone away; its calls go on",
                "204",
                "Done.",
                parameters=[{**name, "name": "at"}],
                errors=("404",),
            )
        },
        "/emulator/faults": {
            "get": _operation("Faults of new calls", "200", "As they are now.", schema=_ref("Faults")),
            "put": _operation(
                "Replace the faults of new calls; knobs that are left out are back at their defaults",
                "200",
                "As they are now.",
                schema=_ref("Faults"),
                body=_ref("Faults"),
                errors=("400",),
            ),
        },
        "/emulator/subscriptions": {
            "get": _operation(
                "All event subscriptions, without addresses and header values",
                "200",
                "In the order in which they were made.",
                schema={
                    "type": "object",
                    "required": ["subscriptions"],
                    "properties": {"subscriptions": {"type": "array", "items": {"type": "object"}}},
                },
            ),
            "post": _operation(
                "Subscribe, after the validation handshake",
                "201",
                "Events are delivered from now on.",
                body=_ref("Subscription"),
                errors=("400",),
            ),
        },
        "/emulator/subscriptions/{name}": {
            "delete": _operation("Unsubscribe", "204", "Done.", parameters=[name], errors=("404",))
        },
    }


def _described(kind: type, schema: Json) -> Json:
    """A schema whose properties carry what the class's docstring says about them."""
    texts = {name: " ".join(text.split()) for name, text in ATTRIBUTE.findall(kind.__doc__ or "")}
    for name, part in schema["properties"].items():
        if name in texts:
            part["description"] = texts[name]
    schema["description"] = (inspect.getdoc(kind) or "").partition("\n")[0]
    schema["additionalProperties"] = False
    schema.pop("title", None)
    return schema


def _schemas() -> Json:
    _, components = msgspec.json.schema_components(
        [Faults, Subscription], ref_template="#/components/schemas/{name}"
    )
    steps = {name: {"description": inspect.getdoc(kind)} for name, (kind, _) in SHORT_FORMS.items()}
    bare = [name for name, (_, plain) in SHORT_FORMS.items() if plain is None and name in _WITHOUT_FIELDS]
    text = {"type": "string"}
    number = {"type": ["number", "null"]}
    return {
        name: _described(kind, components[name])
        for name, kind in (("Faults", Faults), ("Subscription", Subscription))
    } | {
        "AdvancedFilter": components["AdvancedFilter"],
        "CallerScript": {
            "type": "object",
            "description": "Who calls whom, and what the caller does from the answer on.",
            "required": ["steps"],
            "additionalProperties": False,
            "properties": {
                "from": text
                | {"default": "+14255550100", "description": "A number, a raw id, or anonymous."},
                "to": text | {"default": "+18005550000"},
                "voice": text,
                "display_name": text,
                "voip_headers": {"type": "object", "additionalProperties": text},
                "gives_up_ms": {"type": ["integer", "null"]},
                "limit_s": {"type": "number"},
                "faults": _ref("Faults"),
                "steps": {"type": "array", "minItems": 1, "items": _ref("Step")},
            },
        },
        "CalleeScript": {
            "type": "object",
            "description": "What happens when an address is called. Without steps the person is silent until the call ends.",
            "required": ["at"],
            "additionalProperties": False,
            "properties": {
                "at": text | {"description": "A number or a raw id."},
                "on_ring": text | {"enum": list(ON_RING), "default": "pick_up"},
                "after_ms": {"type": "integer", "default": 100, "minimum": 0, "maximum": LONGEST_MS},
                "voice": text,
                "limit_s": {"type": "number"},
                "display_name": text,
                "faults": _ref("Faults"),
                "steps": {"type": "array", "items": _ref("Step")},
            },
        },
        "Phone": {
            "type": "object",
            "required": ["at", "onRing", "afterMs"],
            "properties": {"at": text, "onRing": text, "afterMs": {"type": "integer"}},
        },
        "Step": {
            "oneOf": [
                text | {"enum": bare},
                {"type": "object", "minProperties": 1, "maxProperties": 1, "properties": steps},
            ]
        },
        "Dialled": {
            "type": "object",
            "required": ["id", "correlationId"],
            "properties": {"id": text, "correlationId": text},
        },
        "CallSummary": {
            "type": "object",
            "description": "What the telephone measured; times in ms. Grows with the emulator: ignore what you do not know.",
            "required": ["id", "correlationId", "from", "to", "failed", "ended"],
            "properties": {
                "id": text,
                "correlationId": text,
                "callConnectionId": {"type": ["string", "null"]},
                "from": text,
                "to": text,
                "failed": {"type": ["string", "null"]},
                "ended": {
                    "type": ["object", "null"],
                    "properties": {"reason": text, "by": text},
                },
                "answered_ms": number,
                "first_audio_ms": number,
                "ended_ms": number,
                "live": {"type": "object"},
                "media": {"type": "object"},
            },
        },
        "StoryEvent": {
            "type": "object",
            "required": ["t", "kind"],
            "properties": {"t": {"type": "number", "description": "ms since dialled"}, "kind": text},
        },
        "Error": {
            "type": "object",
            "required": ["error"],
            "properties": {
                "error": {
                    "type": "object",
                    "required": ["code", "message"],
                    "properties": {"code": text, "message": text},
                }
            },
        },
    }


_WITHOUT_FIELDS = frozenset({"listen", "hang_up", "expect_hang_up"})
