"""Values against the schemas of our OpenAPI document."""

import json
from functools import cache

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from shared.openapi.document import document
from shared.publishing.events import TYPES
from shared.publishing.outbox import Kind

HERE = "urn:patchcord"


@cache
def registry() -> Registry:
    return Registry().with_resource(HERE, Resource(document(), DRAFT202012))


def schema_problems(schema: dict, value: object) -> list[str]:
    """What is wrong with `value`; references are those of the document."""
    absolute = json.loads(json.dumps(schema).replace('"#/components', f'"{HERE}#/components'))
    validator = Draft202012Validator(absolute, registry=registry(), format_checker=FormatChecker())
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def problems(name: str, value: object) -> list[str]:
    """What is wrong with `value` by the schema `name`."""
    return schema_problems({"$ref": f"#/components/schemas/{name}"}, value)


def event_problems(event: dict) -> list[str]:
    """What is wrong with a published event."""
    from shared.openapi.published import schema_name

    return problems(schema_name(Kind(event["type"].removeprefix(TYPES))), event)


def reply_problems(path: str, method: str, status: int, body: bytes) -> list[str]:
    """What is wrong with an answer: its status, or its body."""
    answer = document()["paths"][path][method]["responses"].get(str(status))
    if answer is None:
        return [f"{method} {path} does not answer {status}"]
    content = answer.get("content")
    if content is None:
        return [] if not body else ["a body where there is none"]
    if "application/json" not in content:
        return [] if body else ["no body where there is one"]
    return schema_problems(content["application/json"]["schema"], json.loads(body))
