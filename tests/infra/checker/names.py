"""Names: declared once, known where they are used, functions that exist with as many arguments as they take."""

import difflib
from collections import Counter
from collections.abc import Iterator

import tree_sitter

from tests.infra.checker.reading import Declared, Finding, Project, Source, named, properties, text

FUNCTIONS: dict[str, tuple[int, int, str]] = {
    "any": (1, 1, "any"), "array": (1, 1, "array"), "base64": (1, 1, "str"), "bool": (1, 1, "bool"),
    "cidrSubnet": (3, 3, "str"), "coalesce": (1, 99, "any"), "concat": (1, 99, "any"), "contains": (2, 2, "bool"),
    "empty": (1, 1, "bool"), "endsWith": (2, 2, "bool"), "environment": (0, 0, "object"), "fail": (1, 1, "any"),
    "filter": (2, 2, "array"), "first": (1, 1, "any"), "flatten": (1, 1, "array"), "format": (1, 99, "str"),
    "guid": (1, 99, "str"), "int": (1, 1, "int"), "items": (1, 1, "array"), "join": (2, 2, "str"), "json": (1, 1, "any"),
    "last": (1, 1, "any"), "length": (1, 1, "int"), "loadTextContent": (1, 2, "str"), "map": (2, 2, "array"),
    "max": (1, 99, "int"), "min": (1, 99, "int"), "replace": (3, 3, "str"), "resourceGroup": (0, 2, "object"),
    "resourceId": (2, 99, "str"), "split": (2, 2, "array"), "startsWith": (2, 2, "bool"), "string": (1, 1, "str"),
    "subscription": (0, 1, "object"), "subscriptionResourceId": (2, 99, "str"), "substring": (2, 3, "str"),
    "take": (2, 2, "any"), "tenant": (0, 0, "object"), "toLower": (1, 1, "str"), "toObject": (2, 3, "object"),
    "toUpper": (1, 1, "str"), "trim": (1, 1, "str"), "union": (2, 99, "any"), "uniqueString": (1, 99, "str"),
    "utcNow": (0, 1, "str"),
}  # fmt: skip
"""Fewest arguments, most arguments, what it gives; those that `infra/` may use. A secret-giving `list*` is not among them."""

PRIMITIVE = {"string", "int", "bool", "object", "array"}


def findings(source: Source, project: Project) -> Iterator[Finding]:
    """Wrong names of one file."""
    counts = Counter((one.kind == "output", one.name) for one in source.declared)
    for one in source.declared:
        if counts[one.kind == "output", one.name] > 1:
            yield source.finding(one.node, "duplicate", f"{one.name} is declared more than once")
    used = Counter(text(node) for node in source.nodes if node.type == "identifier" and not _is_key(node))
    for one in source.declared:
        yield from _imported(one, source, project)
        if one.annotation is not None:
            yield from _types(one.annotation, source)
        for decorator in one.decorators.values():
            yield from _uses(named(decorator)[0], source, frozenset({"sys"}), decorator=True)
        if one.kind not in ("import", "type"):
            for part in named(one.node)[1:]:
                if part.type != "type":
                    yield from _uses(part, source, frozenset())
    for one in source.of("var") + source.of("param"):
        if "export" not in one.decorators and used[one.name] < 2:  # its own declaration is one
            yield source.finding(one.node, "unused", f"{one.kind} {one.name} is used nowhere")


def _imported(one: Declared, source: Source, project: Project) -> Iterator[Finding]:
    if one.kind != "import":
        return
    other = project.beside(source, one.type)
    if other is None:
        yield source.finding(one.node, "file", f"no file {one.type}")
    elif one.name not in other.symbols or "export" not in other.symbols[one.name].decorators:
        yield source.finding(one.node, "name", f"{one.type} exports no {one.name}")


def _types(node: tree_sitter.Node, source: Source) -> Iterator[Finding]:
    for child in named(node):
        if child.type == "identifier" and text(child) not in PRIMITIVE:
            found = source.symbols.get(text(child))
            if found is None or found.kind not in ("type", "import"):
                yield source.finding(child, "name", f"unknown type {text(child)}")
        yield from _types(child, source)


def _uses(
    node: tree_sitter.Node, source: Source, bound: frozenset[str], *, decorator: bool = False
) -> Iterator[Finding]:
    kind, parts = node.type, named(node)
    if kind == "identifier":
        if text(node) not in bound and text(node) not in source.symbols:
            near = difflib.get_close_matches(text(node), source.symbols, 1)
            yield source.finding(
                node, "name", f"unknown name {text(node)}" + (f" ({near[0]}?)" if near else "")
            )
        return
    if kind == "object":
        for key, count in Counter(name for name, _, _ in properties(node) if name).items():
            if count > 1:
                yield source.finding(node, "duplicate", f"property {key} is set {count} times")
    if kind == "object_property":
        parts = parts[1:] if parts and parts[0].type == "identifier" else parts
    elif kind == "call_expression":
        if not decorator:
            yield from _call(node, source)
        parts = parts[1:]
    elif kind == "lambda_expression":
        bound |= {text(one) for one in ([parts[0]] if parts[0].type == "identifier" else named(parts[0]))}
        parts = parts[1:]
    elif kind == "for_statement":
        head = parts[0]
        loop = {text(head)} if head.type == "identifier" else {text(one) for one in named(head)}
        yield from _uses(parts[1], source, bound, decorator=decorator)
        bound |= loop
        parts = parts[2:]
    for part in parts:
        if part.type not in ("property_identifier", "string_content"):
            yield from _uses(part, source, bound, decorator=decorator)


def _call(node: tree_sitter.Node, source: Source) -> Iterator[Finding]:
    called, arguments = named(node)[0], named(node)[-1]
    name = text(called)
    if name not in FUNCTIONS:
        near = difflib.get_close_matches(name, FUNCTIONS, 1)
        yield source.finding(
            node, "function", f"unknown function {name}" + (f" ({near[0]}?)" if near else "")
        )
        return
    fewest, most, _ = FUNCTIONS[name]
    given = len(named(arguments)) if arguments.type == "arguments" else 0
    if not fewest <= given <= most:
        yield source.finding(node, "function", f"{name} takes {fewest} to {most} arguments, not {given}")


def _is_key(node: tree_sitter.Node) -> bool:
    parent = node.parent
    return parent is not None and parent.type == "object_property" and named(parent)[0] == node
