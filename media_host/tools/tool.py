"""What all kinds of tools have in common, and how they fail."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from media_host.agents.base import ToolSpec
from media_host.tools.schema import Schema


class ToolFailed(Exception):
    """A tool cannot do what it was asked; `reason` is what the agent is told: no secret, no argument's value."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class WrongArguments(ToolFailed):
    """The agent's arguments cannot be used."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"wrong arguments: {reason}")


type Run = Callable[[Mapping[str, object], Mapping[str, str]], Coroutine[Any, Any, object]]
"""Runs a tool, given its arguments and those secure digits that it uses; raises `ToolFailed`, or whatever its author does."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A declared tool, ready to run.

    Attributes:
        spec: what the agent is told.
        schema: what its arguments are checked against.
        run: runs it.
        secure: the names of secure digits that it uses.
        timeout_s: it is given up after this long (s).
        saying: said when it takes longer than `saying_after_s` (s); "" says nothing.
    """

    spec: ToolSpec
    schema: Schema
    run: Run
    secure: frozenset[str]
    timeout_s: float
    saying: str
    saying_after_s: float
