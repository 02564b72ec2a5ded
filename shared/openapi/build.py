"""Small words for writing JSON Schema as plain data."""

from typing import Any

type Json = dict[str, Any]


def ref(name: str) -> Json:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(about: str, *, most: int = 0, least: int = 0, pattern: str = "", **more: Any) -> Json:
    """A string: `most` and `least` characters."""
    limits: Json = {"maxLength": most} if most else {}
    limits |= {"minLength": least} if least else {}
    limits |= {"pattern": pattern} if pattern else {}
    return {"type": "string", "description": about, **limits, **more}


def nullable(schema: Json) -> Json:
    """The same, or null."""
    changed = {**schema, "type": [schema["type"], "null"]}
    if "enum" in schema:
        changed["enum"] = [*schema["enum"], None]
    return changed


def time(about: str) -> Json:
    """A moment."""
    return {"type": "string", "format": "date-time", "description": f"{about} RFC 3339, UTC."}


def number(about: str, kind: str = "number") -> Json:
    """A number; `kind` may be integer."""
    return {"type": kind, "description": about}


def flag(about: str) -> Json:
    """True or false."""
    return {"type": "boolean", "description": about}


def array(about: str, items: Json, **more: Any) -> Json:
    """A list."""
    return {"type": "array", "description": about, "items": items, **more}


def texts(about: str, **more: Any) -> Json:
    """A mapping of text."""
    return {"type": "object", "description": about, "additionalProperties": {"type": "string"}, **more}


def closed(about: str, required: Json, optional: Json | None = None) -> Json:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "description": about,
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }
