"""What a Dockerfile says, what the build context holds, and what Python code needs: read without Docker, installing nothing."""

import ast
import importlib.metadata
import json
import re
import shlex
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[3]
FIRST_PARTY = {"shared", "media_host", "emulator", "cli", "bench", "tests", "infra", "function_app"}


@dataclass
class Stage:
    """One FROM and what follows it: (instruction, text) in order, each on one line."""

    base: str
    name: str
    lines: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [text for name, text in self.lines if name == instruction]

    def words(self, instruction: str) -> list[str]:
        """The last one, in its JSON form."""
        return json.loads(self.all(instruction)[-1][self.all(instruction)[-1].index("[") :])


def stages(text: str) -> list[Stage]:
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE))
    found: list[Stage] = []
    for line in filter(None, map(str.strip, joined.splitlines())):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append(Stage(base, name))
        else:
            found[-1].lines.append((instruction, rest.strip()))
    return found


def copied(image: list[Stage]) -> dict[str, str]:
    """Paths of the last stage and the paths of the context that they are copied from, by way of other stages too."""
    return _copied(image, image[-1])


def _copied(image: list[Stage], stage: Stage) -> dict[str, str]:
    here, folder = {}, PurePosixPath("/")
    for instruction, text in stage.lines:
        if instruction == "WORKDIR":
            folder = PurePosixPath(text)
        if instruction != "COPY":
            continue
        words = shlex.split(text)
        options = [word for word in words if word.startswith("--")]
        *sources, target = [word for word in words if not word.startswith("--")]
        origin = next((one.partition("=")[2] for one in options if one.startswith("--from=")), "")
        for source in sources:
            path = folder / target
            if target.endswith("/"):
                path /= PurePosixPath(source).name
            if origin:
                before = _copied(image, next(one for one in image if one.name == origin))
                inside = {
                    there: from_
                    for there, from_ in before.items()
                    if PurePosixPath(there).is_relative_to(source)
                }
                for there, from_ in inside.items():
                    here[str(path / PurePosixPath(there).relative_to(source))] = from_
            else:
                here[str(path)] = source
    return here


def environment(stage: Stage) -> dict[str, str]:
    pairs = [word.split("=", 1) for text in stage.all("ENV") for word in shlex.split(text)]
    return dict(pairs)  # type: ignore[arg-type]  # each has two parts


def in_context(path: str, rules: list[str]) -> bool:
    """Whether .dockerignore lets this path in: the last rule that fits it, or a folder it is in, decides."""
    here = PurePosixPath(path)
    candidates = [here, *list(here.parents)[:-1]]
    kept = True
    for rule in rules:
        pattern = rule.removeprefix("!").strip("/")
        if any(one.full_match(pattern) for one in candidates):
            kept = rule.startswith("!")
    return kept


def rules(path: Path) -> list[str]:
    lines = (line.strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


@cache
def imported(path: Path) -> set[str]:
    """Absolute names of all that a file imports, anywhere in it, outside the standard library: `a.b`, and `a.b.c` of
    `from a.b import c`, which may be a module or not.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.partition(".")[0] not in sys.stdlib_module_names}


def reached(files: list[Path]) -> tuple[set[Path], set[str]]:
    """Our own files that can be reached from these by imports, and the names that they import from elsewhere."""
    waiting, ours, elsewhere = list(files), set(), set()
    while waiting:
        path = waiting.pop()
        if path in ours:
            continue
        ours.add(path)
        for name in imported(path):
            if name.partition(".")[0] not in FIRST_PARTY:
                elsewhere.add(name)
                continue
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                module = ROOT.joinpath(*parts[:depth])
                waiting += [
                    one for one in (module.with_suffix(".py"), module / "__init__.py") if one.is_file()
                ]
    return ours, elsewhere


def missing(names: set[str], files: set[str]) -> set[str]:
    """Those that are not in these distributions' files, neither as a module nor as something in one."""
    return {
        name for name in names if not is_there(name, files) and not is_there(name.rpartition(".")[0], files)
    }


@cache
def installed(requirements: Path) -> dict[str, importlib.metadata.Distribution]:
    """The distributions that pip would install for this list, with all that they need, as they are installed here."""
    found: dict[str, importlib.metadata.Distribution] = {}
    lines = (line.strip() for line in requirements.read_text().splitlines())
    asked = [(Requirement(line), "") for line in lines if line and line[0] not in "#-"]
    seen: set[tuple[str, str]] = set()
    while asked:
        requirement, extra = asked.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        distribution = found.setdefault(name, importlib.metadata.distribution(name))
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in seen:
                seen.add((name, wanted))
                asked += [(Requirement(text), wanted) for text in distribution.requires or []]
    return found


def files_of(distributions: dict[str, importlib.metadata.Distribution]) -> set[str]:
    """Their files; extension modules without what says for which Python they are (`x.cpython-313-….so`, `x.abi3.so`)."""
    files = {str(path) for one in distributions.values() for path in one.files or []}
    return files | {f"{path.partition('.')[0]}.so" for path in files if path.endswith(".so")}


def is_there(module: str, files: set[str]) -> bool:
    """Whether these files have this module; a folder without `__init__.py` is not one."""
    path = module.replace(".", "/")
    return not files.isdisjoint((f"{path}.py", f"{path}/__init__.py", f"{path}.so"))
