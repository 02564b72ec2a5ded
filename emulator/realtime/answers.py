"""What a model may do when it is its turn, and what it knows then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Say:
    """Speak `text`; `pcm` is the audio (PCM16LE at the session's output rate), made by the synthesiser when it is None."""

    text: str
    pcm: bytes | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """Call a function of the client."""

    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallMcp:
    """Use a tool of an MCP server; asks for approval first if the session says so. `output` is what the server answers."""

    server: str
    name: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    output: str = "{}"


type Output = Say | Call | CallMcp


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the model answers to.

    Attributes:
        news: items of the conversation since its last response, oldest first; what the caller said has its words as
            `transcript` in the first part of its content.
        instructions: those of this response alone; "" for the session's.
        tools: names of the functions that the session declares; none when this response may use none.
        first: nothing has been answered yet.
        metadata: of `response.create`.
    """

    news: Sequence[Json]
    instructions: str
    tools: frozenset[str]
    first: bool
    metadata: Mapping[str, str]


type Answer = Callable[[Prompt], Sequence[Output]]
"""The model's mind: one for each session."""


def text_of(item: Json) -> str:
    """The words of a message: written or heard; "" for other items."""
    parts = item.get("content") or []
    return " ".join(part.get("text") or part.get("transcript") or "" for part in parts).strip()
