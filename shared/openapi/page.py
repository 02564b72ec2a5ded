"""The reference page `docs/api.md`, from the document."""

import json
from typing import Any

from shared.openapi import errors
from shared.openapi.document import document

type Json = dict[str, Any]

HEAD = """<!-- Made by `python -m shared.openapi`; tests/shared/openapi/test_page.py sees that it is up to date. Do not edit. -->
# The HTTP interface

"""


def render() -> str:
    """The page as Markdown."""
    found = document()
    parts = [HEAD + found["info"]["description"] + "\n"]
    parts.append(
        "The same as an OpenAPI 3.1 document, with every limit: `GET /api/openapi.json` (no credentials needed).\n"
    )
    parts.append(
        '```sh\ncurl -H "api-id: $API_ID" -H "api-secret: $API_SECRET" https://HOST/api/calls\n```\n'
    )
    schemas = found["components"]["schemas"]
    for tag in found["tags"]:
        operations = [
            (path, method, operation)
            for path, methods in found["paths"].items()
            for method, operation in methods.items()
            if operation["tags"] == [tag["name"]]
        ]
        if operations:
            parts.append(f"## {tag['name']}\n\n{tag['description']}\n")
            parts += [
                _operation(path, method, operation, schemas)
                for path, method, operation in operations
                if "x-alias" not in operation
            ]
            aliases = [
                f"- `{method.upper()} {path}`: {operation['x-alias']}"
                for path, method, operation in operations
                if "x-alias" in operation
            ]
            parts.append("\n".join(["Other names:\n", *aliases, ""]) if aliases else "")
    parts.append("## Errors\n\n" + _table(("code", "meaning"), errors.catalogue()))
    parts.append("## Schemas\n")
    for name, schema in schemas.items():
        if not name.startswith(("Event", "Published", "Error")):
            parts.append(_schema(name, schema))
    return "\n".join(parts)


def _operation(path: str, method: str, operation: Json, schemas: Json) -> str:
    lines = [f"### {operation['summary']}: `{method.upper()} {path}`\n", operation["description"] + "\n"]
    rows = [
        (f"`{given['name']}` ({given['in']})", given["description"], _limits(given["schema"]))
        for given in operation.get("parameters", [])
    ]
    if rows:
        lines.append(_table(("parameter", "", "limits"), rows))
    body = operation.get("requestBody")
    if body:
        schema = next(iter(body["content"].values()))["schema"]
        name, example = _named(schema, schemas)
        lines.append(
            f"Body ({body['description'][0].lower()}{body['description'][1:-1]}): {name}\n\n{_json(example)}"
        )
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            name, example = _named(schema, schemas)
            shown = f"\n\n{_json(example)}" if example is not None and body else "\n"
            lines.append(f"{status}: {answer['description']} {name}".rstrip() + shown)
    codes = [
        code
        for answer in operation["responses"].values()
        for code in answer.get("content", {}).get("application/json", {}).get("examples", {})
    ]
    lines.append(f"Errors: {', '.join(codes)}.\n" if codes else "")
    return "\n".join(line for line in lines if line)


def _named(schema: Json, schemas: Json) -> tuple[str, Any]:
    """A link to a schema, and its example."""
    chosen = schema.get("anyOf", [schema])[0]
    if "$ref" not in chosen:
        return "", None
    name = chosen["$ref"].rpartition("/")[2]
    shown = f"`{name}`" if name.startswith("Event") else f"[{name}](#{name.lower()})"
    return shown, schemas[name].get("examples", [None])[0]


def _schema(name: str, schema: Json) -> str:
    lines = [f"### {name}\n", schema["description"] + "\n"]
    for variant in schema.get("anyOf", [schema]):
        if "title" in variant:
            lines.append(f"{variant['title']}:\n")
        lines.append(_table(("field", "", "limits"), list(_rows(variant, ""))))
    return "\n".join(lines)


def _rows(schema: Json, place: str) -> Any:
    needed = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        inner = next((part for part in field.get("anyOf", ()) if part.get("type") == "object"), field)
        label = f"`{place}{name}`" + ("" if name in needed else " (optional)")
        yield label, inner.get("description", ""), _limits(field)
        yield from _rows(inner, f"{place}{name}.")


def _limits(schema: Json) -> str:
    kind = schema.get("type", "")
    said = [" or ".join(kind) if isinstance(kind, list) else kind]
    if "enum" in schema:
        said.append(", ".join(f"`{value}`" for value in schema["enum"] if value is not None))
    if "$ref" in schema.get("items", {}):
        said.append("of " + schema["items"]["$ref"].rpartition("/")[2])
    for key, word in (("minimum", "from"), ("maximum", "to"), ("default", "else"), ("minLength", "at least"),
                      ("maxLength", "at most"), ("maxProperties", "at most")):  # fmt: skip
        if key in schema:
            said.append(f"{word} `{schema[key]}`".replace("|", "\\|"))
    return ", ".join(part for part in said if part)


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)]) + "\n"


def _json(value: object) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"
