"""Modules: the file is there, its params are given, its outputs exist, kinds agree."""

from collections.abc import Iterator

from tests.infra.checker.reading import Declared, Finding, Project, Source, named, properties, text
from tests.infra.checker.values import Bound, Node, annotated, looped, module_output, values


def findings(source: Source, project: Project) -> Iterator[Finding]:
    """What is wrong where this file uses others, and in its own outputs and defaults."""
    for one in source.of("module"):
        yield from _module(one, source, project)
    for node in source.nodes:
        if node.type == "member_expression":
            found = module_output(node, source, project)
            if found is not None and found[1] is None:
                yield source.finding(node, "module", f"{found[0].path} has no output {text(named(node)[-1])}")
    for one in source.of("output") + source.of("param"):
        if one.value is not None and one.annotation is not None:
            yield from _kinds(one, one.value, source, source, project, {})


def _module(one: Declared, source: Source, project: Project) -> Iterator[Finding]:
    other = project.beside(source, one.type)
    if other is None:
        yield source.finding(one.node, "file", f"no file {project.path_of(source, one.type)}")
        return
    body = {key: value for key, value, _ in properties(one.value) if key} if one.value is not None else {}
    for name in sorted(set(body) - {"name", "scope", "params", "dependsOn"}):
        yield source.finding(one.node, "module", f"a module takes no {name}")
    if source.scope != other.scope and "scope" not in body:
        yield source.finding(one.node, "module", f"{other.path} is for a {other.scope}: a scope is needed")
    given = {key: value for key, value, _ in properties(body["params"])} if "params" in body else {}
    wanted = {param.name: param for param in other.of("param")}
    for name, value in given.items():
        if name not in wanted:
            yield source.finding(value, "module", f"{other.path} has no param {name}")
        else:
            bound = looped(one.loop, {}) if one.loop is not None else {}
            yield from _kinds(wanted[name], value, source, other, project, bound)
    for name, param in wanted.items():
        if name not in given and param.value is None and not text(param.node).rstrip().endswith("?"):
            yield source.finding(one.node, "module", f"{other.path} needs param {name}")


def _kinds(
    declared: Declared, value: Node, source: Source, at: Source, project: Project, bound: Bound
) -> Iterator[Finding]:
    """Whether `value` (a node of `source`) can be what `declared` (of `at`) says."""
    wanted = annotated(declared, at, project)
    for found in values(value, source, project, bound):
        if found.kind not in (wanted.kind, "any", "null") and wanted.kind != "any":
            yield source.finding(value, "kind", f"{declared.name} is {wanted.kind}, not {found.kind}")
        elif wanted.strings is not None and found.strings is not None:
            for wrong in sorted(set(found.strings) - set(wanted.strings)):
                yield source.finding(
                    value, "choice", f"{declared.name} is none of {', '.join(wanted.strings)}: {wrong!r}"
                )
