"""Resource bodies against the tables of what Azure takes."""

import difflib
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.infra.checker.reading import (
    Declared,
    Finding,
    Project,
    Source,
    literal,
    named,
    properties,
    text,
    walk,
)
from tests.infra.checker.values import Bound, Node, Value, elements, looped, values

TABLES = Path(__file__).parent.parent / "tables"
EVERYWHERE = {"id", "name", "type", "apiVersion"}
_INT = re.compile(r"int(?: (-?\d+)\.\.(-?\d+))?")


@functools.cache
def tables() -> dict[str, dict[str, Any]]:
    """All entries of `../tables`, by `Type@version`."""
    known: dict[str, dict[str, Any]] = {}
    for file in sorted(TABLES.glob("*.yaml")):
        known |= yaml.safe_load(file.read_text(encoding="utf-8"))
    return known


def findings(source: Source, project: Project) -> Iterator[Finding]:
    """Wrong bodies, and wrong properties read from resources."""
    for one in source.of("resource"):
        table = tables().get(one.type)
        if table is None:
            versions = [name for name in tables() if name.split("@")[0] == one.type.split("@")[0]]
            hint = f"; known: {', '.join(versions)}" if versions else ""
            yield source.finding(one.node, "type", f"{one.type} is in no table{hint}")
        elif one.value is not None:
            yield from _resource(one, table, source, project)
    yield from _reads(source)


def _resource(one: Declared, table: dict[str, Any], source: Source, project: Project) -> Iterator[Finding]:
    bound = looped(one.loop, {}) if one.loop is not None else {}
    names = {key for key, _, _ in properties(one.value) if key}  # type: ignore[arg-type]  # checked by the caller
    if "name" not in names:
        yield source.finding(one.node, "required", f"{one.type} needs a name")
    nested = one.type.split("@")[0].count("/") > 1
    if nested and "parent" not in names:
        yield source.finding(one.node, "required", f"{one.type} needs a parent")
    scope = table.get("$scope", "group")
    if scope == "extension" and "scope" not in names and not one.existing:
        yield source.finding(
            one.node, "required", f"{one.type} needs a scope: without it, it holds for the whole group"
        )
    if scope == "group" and "scope" in names and not one.existing:
        yield source.finding(one.node, "property", f"{one.type} takes no scope")
    if one.existing:
        return
    generic = {"name!": "str", "dependsOn": ["any"], "scope": "any"} | ({"parent": "any"} if nested else {})
    fields = {key: kind for key, kind in table.items() if not key.startswith("$")}
    node = one.value
    assert node is not None
    yield from _object(node, generic | fields, source, project, bound, one.type.split("@")[0])


def _walk(
    node: Node, kind: Any, source: Source, project: Project, bound: Bound, where: str
) -> Iterator[Finding]:
    if kind == "any":
        return
    for value in values(node, source, project, bound):
        at, inner, outer = value.node, value.source or source, value.bound or {}
        if value.kind in ("any", "null"):
            continue
        if isinstance(kind, dict):
            if value.kind != "object":
                yield source.finding(node, "kind", f"{where} is an object, not {value.kind}")
            elif at is not None and at.type == "object":
                yield from _object(at, kind, inner, project, outer, where)
        elif isinstance(kind, list):
            if value.kind != "array":
                yield source.finding(node, "kind", f"{where} is a list, not {value.kind}")
        else:
            yield from _scalar(node, value, kind, source, where)
    if isinstance(kind, list):
        for element, inner, outer in elements(node, source, project, bound):
            yield from _walk(element, kind[0], inner, project, outer, where)


def _object(
    node: Node, table: dict[str, Any], source: Source, project: Project, bound: Bound, where: str
) -> Iterator[Finding]:
    fields = {key: kind for key, kind in table.items() if not key.startswith("?")}
    given = {key: value for key, value, _ in properties(node) if key is not None}
    for key, options in table.items():
        if key.startswith("?"):
            fields |= {key[1:] + "!": "=" + "|".join(options)}
            chosen = literal(given.get(key[1:])) if key[1:] in given else None
            fields |= options.get(chosen, {})
    plain = {key.rstrip("!-"): key for key in fields if key != "*"}
    for key, value in given.items():
        if key not in plain:
            if "*" in fields:
                yield from _walk(value, fields["*"], source, project, bound, f"{where}.{key}")
                continue
            near = difflib.get_close_matches(key, plain, 1)
            yield source.finding(
                value, "property", f"{where} has no {key}" + (f" ({near[0]}?)" if near else "")
            )
        elif plain[key].endswith("-"):
            yield source.finding(value, "read-only", f"{where}.{key} cannot be set")
        else:
            yield from _walk(value, fields[plain[key]], source, project, bound, f"{where}.{key}")
    for key, full in plain.items():
        if full.endswith("!") and key not in given:
            yield source.finding(node, "required", f"{where} needs {key}")


def _scalar(node: Node, value: Value, kind: str, source: Source, where: str) -> Iterator[Finding]:
    whole = _INT.fullmatch(kind)
    wanted = "str" if kind.startswith("=") else "int" if whole or kind == "float" else kind
    if value.kind != wanted:
        yield source.finding(node, "kind", f"{where} is {wanted}, not {value.kind}")
        return
    if kind.startswith("=") and value.strings is not None:
        for wrong in sorted(set(value.strings) - set(kind[1:].split("|"))):
            yield source.finding(node, "choice", f"{where} is none of {kind[1:]}: {wrong!r}")
    if whole and whole[1] is not None:
        low, high = int(whole[1]), int(whole[2])
        for number in _numbers(value):
            if not low <= number <= high:
                yield source.finding(node, "range", f"{where} is {low} to {high}, not {number}")


def _numbers(value: Value) -> Iterator[int]:
    """The whole numbers that are known of `value`: a literal, or what a param allows at most and has by default."""
    if value.node is not None and value.node.type == "number":
        yield int(text(value.node))
    if value.param is not None:
        for name in ("minValue", "maxValue", "allowed"):
            for node in walk(value.param.decorators[name]) if name in value.param.decorators else ():
                if node.type == "number":
                    yield int(text(node))
        if value.param.value is not None and value.param.value.type == "number":
            yield int(text(value.param.value))


def _reads(source: Source) -> Iterator[Finding]:
    """`resource.properties.name` and the like: is there such a property?"""
    for node in source.nodes:
        if node.type != "member_expression" or (
            node.parent is not None and node.parent.type == "member_expression"
        ):
            continue
        path: list[str] = []
        target: Node = node
        while target.type == "member_expression":
            path.insert(0, text(named(target)[-1]))
            target = named(target)[0]
        if target.type == "subscript_expression":
            target = named(target)[0]
        one = source.symbols.get(text(target))
        table: Any = tables().get(one.type) if one is not None and one.kind == "resource" else None
        if table is None or path[0] in EVERYWHERE:
            continue
        for name in path:
            if not isinstance(table, dict):
                break
            plain = {key.rstrip("!-"): kind for key, kind in table.items()}
            if name not in plain and "*" not in plain:
                yield source.finding(node, "property", f"{text(target)} ({one.type}) has no {'.'.join(path)}")  # type: ignore[union-attr]  # a resource, or table would be None
                break
            table = plain.get(name, plain.get("*"))
