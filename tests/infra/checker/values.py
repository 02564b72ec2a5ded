"""What an expression may turn out to be: its kind, the strings it may have, the objects and lists it is made of.

Nothing is computed. What cannot be known (what Azure answers, what a caller passes) is `any`, and nothing is said about it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import tree_sitter

from tests.infra.checker.names import FUNCTIONS
from tests.infra.checker.reading import Declared, Project, Source, entry, literal, named, properties, text

Node = tree_sitter.Node
type Bound = Mapping[str, tuple[Node | None, Bound]]
"""Loop variables and lambda parameters, with the list that they run through."""

_LITERALS = {
    "string": "str",
    "number": "int",
    "boolean": "bool",
    "null": "null",
    "object": "object",
    "array": "array",
}
_ANNOTATED = {"string": "str", "int": "int", "bool": "bool", "object": "object", "array": "array"}


@dataclass(frozen=True, slots=True)
class Value:
    """One thing that an expression may be: `kind` str, int, bool, object, array, null or any; `node` if its text is known."""

    kind: str
    node: Node | None = None
    source: Source | None = None
    bound: Bound | None = None
    strings: tuple[str, ...] | None = None
    param: Declared | None = None


def values(node: Node, source: Source, project: Project, bound: Bound, depth: int = 0) -> Iterator[Value]:
    """All that `node` may be."""
    kind, parts = node.type, named(node)
    if depth > 12:
        yield Value("any")
    elif kind == "string":
        known = literal(node)
        yield Value("str", node, source, bound, None if known is None else (known,))
    elif kind in _LITERALS:
        yield Value(_LITERALS[kind], node, source, bound)
    elif kind == "parenthesized_expression":
        yield from values(parts[-1], source, project, bound, depth + 1)
    elif kind == "ternary_expression":
        for part in parts[1:]:
            yield from values(part, source, project, bound, depth + 1)
    elif kind == "unary_expression":
        yield Value("bool" if text(node).startswith("!") else "int")
    elif kind == "binary_expression":
        yield from _binary(node, source, project, bound, depth)
    elif kind in ("member_expression", "subscript_expression") and _inverted(node) is not None:
        # The grammar reads `a ? b : c.d` as `(a ? b : c).d`; Bicep does not. What `c.d` is, stays open.
        yield from values(named(_inverted(node) or node)[1], source, project, bound, depth + 1)
        yield Value("any")
    elif kind == "identifier":
        yield from _name(text(node), source, project, bound, depth)
    elif kind == "member_expression":
        yield from _member(node, source, project, bound, depth)
    elif kind == "call_expression":
        yield from _call(node, source, project, bound, depth)
    elif kind in ("for_statement", "if_statement"):
        yield Value("array" if kind == "for_statement" else "any", node, source, bound)
    else:
        yield Value("any")


def _inverted(node: Node) -> Node | None:
    while node.type in ("member_expression", "subscript_expression"):
        node = named(node)[0]
    return node if node.type == "ternary_expression" else None


def elements(
    node: Node, source: Source, project: Project, bound: Bound
) -> Iterator[tuple[Node, Source, Bound]]:
    """The nodes of the elements of a list, as far as they are known."""
    for value in values(node, source, project, bound):
        inner = value.node
        if inner is None or value.source is None or value.bound is None:
            continue
        if inner.type == "array":
            for child in named(inner):
                if child.type == "for_statement":
                    yield from elements(child, value.source, project, value.bound)
                else:
                    yield child, value.source, value.bound
        elif inner.type == "for_statement":
            yield _loop_body(inner, value.source, value.bound)
        elif inner.type == "call_expression":
            called, arguments = text(named(inner)[0]), named(named(inner)[-1])
            if called == "concat":
                for argument in arguments:
                    yield from elements(argument, value.source, project, value.bound)
            elif called == "filter":
                yield from elements(arguments[0], value.source, project, value.bound)
            elif called == "map" and arguments[1].type == "lambda_expression":
                parameter, body = named(arguments[1])[0], named(arguments[1])[-1]
                yield body, value.source, {**value.bound, text(parameter): (arguments[0], value.bound)}


def looped(loop: Node, bound: Bound) -> Bound:
    """`bound` and the variables of a `for`."""
    head, over = named(loop)[0], named(loop)[1]
    names = [text(head)] if head.type == "identifier" else [text(one) for one in named(head)]
    inner = {**bound, names[0]: (over, bound)}
    if len(names) > 1:
        inner[names[1]] = (None, bound)
    return inner


def _loop_body(loop: Node, source: Source, bound: Bound) -> tuple[Node, Source, Bound]:
    body = named(loop)[-1]
    return (named(body)[-1] if body.type == "if_statement" else body), source, looped(loop, bound)


def _binary(node: Node, source: Source, project: Project, bound: Bound, depth: int) -> Iterator[Value]:
    operator = next((child.type for child in node.children if not child.is_named), "")
    if operator in ("+", "-", "*", "/", "%"):
        yield Value("int")
    elif operator == "??":
        for part in named(node):
            yield from values(part, source, project, bound, depth + 1)
    else:
        yield Value("bool")


def _name(name: str, source: Source, project: Project, bound: Bound, depth: int) -> Iterator[Value]:
    if name in bound:
        over, outer = bound[name]
        if over is None:
            yield Value("int")
            return
        known = [
            found
            for node, at, inner in elements(over, source, project, outer)
            for found in values(node, at, project, inner, depth + 1)
        ]
        yield from known or [Value("any")]
        return
    one = source.symbols.get(name)
    if one is None:
        yield Value("any")
    elif one.kind == "import":
        other = project.beside(source, one.type)
        if other is not None:
            yield from _name(one.name, other, project, {}, depth + 1)
    elif one.kind == "var" and one.value is not None:
        if one.loop is not None:
            yield Value("array", one.loop, source, {})
        else:
            yield from values(one.value, source, project, {}, depth + 1)
    elif one.kind == "param":
        yield annotated(one, source, project)
    else:
        yield Value("any")


def annotated(one: Declared, source: Source, project: Project) -> Value:
    """What a param (or output) says it is."""
    return _annotated(one.annotation, source, project, one)


def _annotated(node: Node | None, source: Source, project: Project, one: Declared | None) -> Value:
    if node is None:
        return Value("any", param=one)
    inner = named(node)[0] if node.type == "type" and named(node) else node
    allowed = one.decorators.get("allowed") if one else None
    if inner.type == "array_type":
        return Value("array", param=one)
    if inner.type == "union_type":
        return Value("str", strings=tuple(literal(part) or "" for part in named(inner)), param=one)
    if inner.type in ("primitive_type", "nullable_type"):
        kind = _ANNOTATED.get(text(inner).rstrip("?"), "any")
        strings = None
        if allowed is not None and kind == "str":
            strings = tuple(literal(part) or "" for part in named(named(named(named(allowed)[0])[-1])[0]))
        return Value(kind, strings=strings, param=one)
    if inner.type == "identifier":
        found = source.symbols.get(text(inner))
        if found is not None and found.kind == "import":
            other = project.beside(source, found.type)
            declared = other.symbols.get(found.name) if other else None
            if other is not None and declared is not None and declared.value is not None:
                return _annotated(declared.value, other, project, one)
        elif found is not None and found.value is not None:
            return _annotated(found.value, source, project, one)
        return Value(_ANNOTATED.get(text(inner), "any"), param=one)
    return Value("object" if inner.type == "object" else "any", param=one)


def _member(node: Node, source: Source, project: Project, bound: Bound, depth: int) -> Iterator[Value]:
    target, name = named(node)[0], text(named(node)[-1])
    output = module_output(node, source, project)
    if output is not None:
        other, declared = output
        yield Value("any") if declared is None else annotated(declared, other, project)
        return
    found = False
    for value in values(target, source, project, bound, depth + 1):
        inner = entry(value.node, name) if value.node is not None else None
        if inner is not None and value.source is not None and value.bound is not None:
            found = True
            yield from values(inner, value.source, project, value.bound, depth + 1)
    if not found:
        yield Value("any")


def module_output(node: Node, source: Source, project: Project) -> tuple[Source, Declared | None] | None:
    """For `module.outputs.name`: the other file and the output in it (None: it has no such output)."""
    outer = named(node)[0]
    if outer.type != "member_expression" or text(named(outer)[-1]) != "outputs":
        return None
    target = named(outer)[0]
    if target.type == "subscript_expression":
        target = named(target)[0]
    one = source.symbols.get(text(target))
    other = project.beside(source, one.type) if one is not None and one.kind == "module" else None
    return None if other is None else (other, other.outputs.get(text(named(node)[-1])))


def _call(node: Node, source: Source, project: Project, bound: Bound, depth: int) -> Iterator[Value]:
    name, arguments = text(named(node)[0]), named(named(node)[-1])
    if name == "union":
        for argument in arguments:
            yield from values(argument, source, project, bound, depth + 1)
    else:
        yield Value(FUNCTIONS.get(name, (0, 0, "any"))[2], node, source, bound)


def settings(
    node: Node, source: Source, project: Project, bound: Bound
) -> Iterator[tuple[str, Node, Source, Bound]]:
    """`(name, value, …)` of all objects that `node` may be made of."""
    for value in values(node, source, project, bound):
        if value.node is not None and value.node.type == "object" and value.source is not None:
            for key, inner, _ in properties(value.node):
                if key is not None:
                    yield key, inner, value.source, value.bound or {}
