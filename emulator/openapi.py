"""The control API as an OpenAPI 3.1 document."""

from typing import Any

from emulator.openapi_schemas import ref, schemas

type Json = dict[str, Any]

TITLE = "Patchcord's ACS emulator: control"
ABOUT = (
    "Dial scripted calls into the app under test, follow what happens, and let things go wrong. "
    "It is served beside the emulated Azure Communication Services on the same port; it is no part of Azure."
)
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
        "paths": _paths() | _twilio(),
        "components": {
            "securitySchemes": {
                "controlKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The emulator's control key.",
                }
            },
            "schemas": schemas(),
        },
    }


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
        responses[status] = {"description": texts[status], "content": _content(ref("Error"))}
    operation: Json = {"summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _content(body)}
    if open_to_all:
        operation["security"] = []
    else:
        responses["401"] = {"description": "No or a wrong control key.", "content": _content(ref("Error"))}
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
                schema=ref("Dialled"),
                body=ref("CallerScript"),
                errors=("400",),
            ),
            "get": _operation(
                "All calls, newest first",
                "200",
                "Up to 1000.",
                schema={
                    "type": "object",
                    "required": ["calls"],
                    "properties": {"calls": {"type": "array", "items": ref("CallSummary")}},
                },
            ),
        },
        one: {"get": about_call("What was measured", "200", "So far.", schema=ref("CallSummary"))},
        f"{one}/story": {
            "get": about_call(
                "The story from its start, until the call has ended",
                "200",
                "One event a line, as they happen.",
                schema=ref("StoryEvent"),
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
            "get": about_call("The call's faults", "200", "As they are now.", schema=ref("Faults")),
            "post": about_call(
                "Change some of the call's faults from now on",
                "200",
                "As they are now.",
                schema=ref("Faults"),
                body=ref("Faults"),
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
                schema=ref("Phone"),
                body=ref("CalleeScript"),
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
            "get": _operation("Faults of new calls", "200", "As they are now.", schema=ref("Faults")),
            "put": _operation(
                "Replace the faults of new calls; knobs that are left out are back at their defaults",
                "200",
                "As they are now.",
                schema=ref("Faults"),
                body=ref("Faults"),
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
                body=ref("Subscription"),
                errors=("400",),
            ),
        },
        "/emulator/subscriptions/{name}": {
            "delete": _operation("Unsubscribe", "204", "Done.", parameters=[name], errors=("404",))
        },
    }


def _twilio() -> Json:
    """Paths of the emulated Twilio account; without one they answer 404."""
    number = {"name": "at", "in": "path", "required": True, "schema": {"type": "string"}}
    flow = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "/emulator/twilio": {
            "get": _operation(
                "The emulated Twilio account: numbers, Studio flows, the newest 200 entries of its debugger",
                "200",
                "As they are now.",
                schema=ref("TwilioAccount"),
                errors=("404",),
            )
        },
        "/emulator/twilio/numbers/{at}": {
            "put": _operation(
                "Add a number to the account, or let it lead elsewhere",
                "204",
                "From the next call on.",
                body=ref("TwilioNumber"),
                parameters=[number],
                errors=("400", "404"),
            ),
            "delete": _operation(
                "Take a number away; its calls go on", "204", "Done.", parameters=[number], errors=("404",)
            ),
        },
        "/emulator/twilio/flows/{name}": {
            "put": _operation(
                "Add a Studio flow, or change it",
                "200",
                "Where it takes calls (`address`), and takes them back (`returns`).",
                schema={"type": "object", "required": ["address", "returns"]},
                body=ref("StudioFlow"),
                parameters=[flow],
                errors=("400", "404"),
            )
        },
    }
