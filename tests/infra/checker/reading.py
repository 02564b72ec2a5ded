"""Bicep files as trees, and what each declares."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import tree_sitter
import tree_sitter_bicep

LANGUAGE = tree_sitter.Language(tree_sitter_bicep.language())


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: where (file relative to `infra/`, line from 1), which rule, and what."""

    file: str
    line: int
    rule: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.text}"


@dataclass(slots=True)
class Declared:
    """One declaration.

    Attributes:
        kind: param, var, resource, module, output, type, import or metadata.
        type: of a resource its type and version, of a module its path, of an import the name in the other file.
        value: the value or body, unwrapped from `if` and `for`; None if there is none.
        annotation: the `type` node of params and outputs.
        decorators: their call nodes, by name.
        loop: the `for_statement` around the body, or None.
        condition: the expression of `if`, or None.
    """

    kind: str
    name: str
    node: tree_sitter.Node
    type: str = ""
    existing: bool = False
    value: tree_sitter.Node | None = None
    annotation: tree_sitter.Node | None = None
    decorators: dict[str, tree_sitter.Node] = field(default_factory=dict)
    loop: tree_sitter.Node | None = None
    condition: tree_sitter.Node | None = None

    @property
    def line(self) -> int:
        return line(self.node)


@dataclass(slots=True, eq=False)
class Source:
    """One file, the same object for the same text. `declared` keeps doubles; `symbols` has the last of each name but outputs."""

    path: str
    root: tree_sitter.Node
    scope: str
    declared: list[Declared]
    symbols: dict[str, Declared]
    outputs: dict[str, Declared]
    nodes: list[tree_sitter.Node]

    def finding(self, node: tree_sitter.Node, rule: str, text: str) -> Finding:
        return Finding(self.path, line(node), rule, text)

    def of(self, kind: str) -> list[Declared]:
        return [one for one in self.declared if one.kind == kind]


@dataclass(slots=True)
class Project:
    """Files by their path relative to `infra/`."""

    sources: dict[str, Source]

    @classmethod
    def read(cls, folder: Path, changed: Mapping[str, str]) -> "Project":
        sources = {}
        for file in sorted(folder.rglob("*.bicep")):
            path = file.relative_to(folder).as_posix()
            text = changed.get(path)
            sources[path] = _source(path, file.read_text(encoding="utf-8") if text is None else text)
        return cls(sources)

    def around(self, source: Source) -> tuple[Source, ...]:
        """`source` and the files that it uses, directly or not."""
        found: dict[str, Source] = {}
        waiting = [source]
        while waiting:
            one = waiting.pop()
            found[one.path] = one
            used = (self.beside(one, each.type) for each in one.declared if each.kind in ("module", "import"))
            waiting += [other for other in used if other is not None and other.path not in found]
        return tuple(found[path] for path in sorted(found))

    def beside(self, source: Source, reference: str) -> Source | None:
        """The file that `reference` in `source` means, or None."""
        return self.sources.get(self.path_of(source, reference))

    def path_of(self, source: Source, reference: str) -> str:
        return posixpath.normpath(posixpath.join(posixpath.dirname(source.path), reference))


def line(node: tree_sitter.Node) -> int:
    return int(node.start_point[0]) + 1


def text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode()


def named(node: tree_sitter.Node) -> list[tree_sitter.Node]:
    """The children that mean something."""
    return [child for child in node.named_children if "comment" not in child.type]


def literal(node: tree_sitter.Node | None) -> str | None:
    """The text of a string without interpolation, or None."""
    if node is None or node.type != "string" or any(child.type == "interpolation" for child in node.children):
        return None
    inner = "".join(text(child) for child in node.named_children)
    return inner.replace("\\'", "'")


def properties(node: tree_sitter.Node) -> Iterator[tuple[str | None, tree_sitter.Node, tree_sitter.Node]]:
    """`(name, value, property node)` of an object; the name is None if it is interpolated."""
    for child in named(node):
        parts = named(child)
        if child.type == "object_property" and len(parts) >= 2:
            key = parts[0]
            yield (text(key) if key.type == "identifier" else literal(key)), parts[-1], child


def entry(node: tree_sitter.Node | None, *path: str) -> tree_sitter.Node | None:
    """The value at `path` in nested objects, or None."""
    for name in path:
        if node is None or node.type != "object":
            return None
        node = next((value for key, value, _ in properties(node) if key == name), None)
    return node


def walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    """`node` and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        yield one
        waiting += reversed(one.children)


def unwrapped(declared: Declared, node: tree_sitter.Node) -> tree_sitter.Node | None:
    """The body inside `for` and `if`; notes both in `declared`."""
    if node.type == "for_statement":
        declared.loop = node
        return unwrapped(declared, named(node)[-1])
    if node.type == "if_statement":
        declared.condition, body = named(node)[0], named(node)[-1]
        return unwrapped(declared, body)
    return node


_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
    "type_declaration": "type",
}


@lru_cache(maxsize=512)
def _source(path: str, content: str) -> Source:
    root = tree_sitter.Parser(LANGUAGE).parse(content.encode()).root_node
    source = Source(path, root, "resourceGroup", [], {}, {}, list(walk(root)))
    decorators: dict[str, tree_sitter.Node] = {}
    for node in named(root):
        if node.type == "decorators":
            decorators = {_called(child): child for child in named(node)}
            continue
        if node.type == "target_scope_assignment":
            source.scope = literal(named(node)[-1]) or ""
        elif node.type == "import_functionality":
            reference = literal(named(node)[-1]) or ""
            for one in named(node)[:-1]:
                source.declared.append(Declared("import", text(one), node, type=reference))
        elif node.type in _KINDS:
            source.declared.append(_declared(node, decorators))
        decorators = {}
    for one in source.declared:
        (source.outputs if one.kind == "output" else source.symbols)[one.name] = one
    return source


def _called(decorator: tree_sitter.Node) -> str:
    return text(decorator).lstrip("@").split("(")[0].removeprefix("sys.")


def _declared(node: tree_sitter.Node, decorators: dict[str, tree_sitter.Node]) -> Declared:
    parts = named(node)
    one = Declared(_KINDS[node.type], text(parts[0]), node, decorators=decorators)
    if one.kind in ("resource", "module"):
        one.type = literal(parts[1]) or ""
        one.existing = any(child.type == "existing" for child in node.children)
        one.value = unwrapped(one, parts[-1])
    elif one.kind in ("param", "output"):
        one.annotation = parts[1] if len(parts) > 1 and parts[1].type == "type" else None
        one.value = unwrapped(one, parts[2]) if len(parts) > 2 else None
    else:
        one.value = unwrapped(one, parts[-1])
    return one
