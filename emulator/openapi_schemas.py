"""The schemas of the control API's document; those of faults, subscriptions and the like come from their classes."""

import inspect
import re
from typing import Any

import msgspec

from emulator.event_grid.subscriptions import Subscription
from emulator.faults import Faults
from emulator.phone.callee import LONGEST_MS, ON_RING
from emulator.phone.script import SHORT_FORMS
from emulator.twilio.config import StudioFlow, TwilioNumber

type Json = dict[str, Any]

ATTRIBUTE = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
FROM_CLASSES = (Faults, Subscription, TwilioNumber, StudioFlow)
_WITHOUT_FIELDS = frozenset({"listen", "hang_up", "expect_hang_up"})


def ref(name: str) -> Json:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


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


def schemas() -> Json:
    """All schemas, by name."""
    _, components = msgspec.json.schema_components(FROM_CLASSES, ref_template="#/components/schemas/{name}")
    steps = {name: {"description": inspect.getdoc(kind)} for name, (kind, _) in SHORT_FORMS.items()}
    bare = [name for name, (_, plain) in SHORT_FORMS.items() if plain is None and name in _WITHOUT_FIELDS]
    text = {"type": "string"}
    number = {"type": ["number", "null"]}
    return {kind.__name__: _described(kind, components[kind.__name__]) for kind in FROM_CLASSES} | {
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
                "faults": ref("Faults"),
                "line": text | {"enum": ["acs", "twilio"], "default": "acs"},
                "steps": {"type": "array", "minItems": 1, "items": ref("Step")},
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
                "faults": ref("Faults"),
                "steps": {"type": "array", "items": ref("Step")},
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
                "line": text,
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
                "twilio": {"type": "object"},
            },
        },
        "TwilioAccount": {
            "type": "object",
            "required": ["accountSid", "numbers", "flows", "notices"],
            "properties": {
                "accountSid": text,
                "numbers": {"type": "object", "additionalProperties": ref("TwilioNumber")},
                "flows": {"type": "object", "additionalProperties": text},
                "notices": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "callSid": text,
                            "code": {"type": "integer"},
                            "text": text,
                            "detail": text,
                        },
                    },
                },
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
