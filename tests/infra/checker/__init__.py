"""Reads `infra/**/*.bicep` as a compiler would, as far as that can be done without one (functions.md section 5).

No Bicep compiler can be installed here. This checker parses with tree-sitter, resolves names, modules and outputs across files,
and walks every resource body against the tables in `../tables`. It knows no ARM run-time rule (names taken, quotas, regions).
"""

import functools
from collections.abc import Mapping
from pathlib import Path

from tests.infra.checker import bodies, interfaces, names, rules, syntax
from tests.infra.checker.reading import Finding, Project, Source

__all__ = ["Finding", "Project", "check"]


def check(folder: Path, changed: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything that is wrong in the Bicep files under `folder`.

    Args:
        folder: `infra/`.
        changed: texts to take instead of a file's own, by its path relative to `folder`; for seeded faults.
    """
    project = Project.read(folder, changed or {})
    findings = [finding for source in project.sources.values() for finding in _syntax(source)]
    if findings:  # what follows would misread a file that does not parse
        return findings
    return [
        finding for source in project.sources.values() for finding in _meaning(source, project.around(source))
    ]


@functools.lru_cache(maxsize=512)
def _syntax(source: Source) -> list[Finding]:
    return list(syntax.findings(source))


@functools.lru_cache(maxsize=512)
def _meaning(source: Source, around: tuple[Source, ...]) -> list[Finding]:
    """Of one file, which depends on nothing but the files that it uses: kept, so that 70 seeded faults cost little."""
    project = Project({one.path: one for one in around})
    return [
        finding for part in (names, interfaces, bodies, rules) for finding in part.findings(source, project)
    ]
