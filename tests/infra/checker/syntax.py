"""What is no Bicep at all, and the style that keeps every parser happy (functions.md section 5)."""

from collections.abc import Iterator

import tree_sitter

from tests.infra.checker.reading import Finding, Source, literal, named, text

DECORATORS = {
    "description", "secure", "allowed", "minValue", "maxValue", "minLength", "maxLength", "metadata", "batchSize",
    "export", "sealed", "discriminator",
}  # fmt: skip
MOST_LINES = 400
LONGEST_LINE = 160


def findings(source: Source) -> Iterator[Finding]:
    """Syntax and style of one file."""
    if source.root.end_point[0] > MOST_LINES:
        yield Finding(source.path, MOST_LINES, "style", f"more than {MOST_LINES} lines")
    for number, content in enumerate(text(source.root).splitlines(), 1):
        if len(content) > LONGEST_LINE:
            yield Finding(source.path, number, "style", f"more than {LONGEST_LINE} characters")
    for node in source.nodes:
        if node.is_error or node.is_missing:
            yield source.finding(node, "syntax", f"not understood: {text(node)[:40]!r}")
        elif node.type == "decorator":
            name = text(node).lstrip("@").split("(")[0].removeprefix("sys.")
            if name not in DECORATORS:
                yield source.finding(node, "decorator", f"unknown decorator @{name}")
        elif node.type in ("array", "arguments", "object"):
            yield from _commas(source, node)
        elif node.type == "module_declaration" and (literal(named(node)[1]) or "").startswith(("br", "ts")):
            yield source.finding(node, "style", "modules come from this repository only")


def _commas(source: Source, node: tree_sitter.Node) -> Iterator[Finding]:
    """The grammar takes `[1 2]`; Bicep wants a comma between things on one line."""
    last = None
    for child in node.children:
        if "comment" in child.type or child.type in ("[", "]", "{", "}", "(", ")"):
            continue
        both = last is not None and last.is_named and child.is_named
        if both and child.type not in ("decorators",) and last.end_point[0] == child.start_point[0]:
            yield source.finding(child, "syntax", f"comma missing before {text(child)[:40]!r}")
        last = child
