"""Tools that the model has called: each call is begun once and answered once (realtime.md section 8). No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from media_host.agents.base import ToolCall, ToolSpec
from media_host.agents.realtime.server_events import FunctionCall


@dataclass(frozen=True, slots=True)
class OpenCall:
    """A call that has no answer yet; `session` is the number of the session that knows its id."""

    id: str
    name: str
    response: str
    session: int
    hold: bool


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model is told about a call."""

    call: OpenCall
    output: Mapping[str, object]


class ToolCalls:
    """One call's.

    Args:
        tools: what the model may call.
    """

    def __init__(self, tools: Sequence[ToolSpec]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._seen: set[str] = set()
        self._open: dict[str, OpenCall] = {}

    def begin(self, event: FunctionCall, session: int) -> ToolCall | Answer | None:
        """What to do about a function call: run it, answer it at once with an error, or nothing, for it was told before."""
        if event.call_id in self._seen:
            return None
        self._seen.add(event.call_id)
        spec = self._tools.get(event.name)
        hold = spec is not None and spec.while_running == "hold"
        call = OpenCall(event.call_id, event.name, event.response_id, session, hold)
        if spec is None:
            return Answer(call, {"error": "there is no such tool"})
        try:
            arguments = msgspec.json.decode(event.arguments or "{}", type=dict[str, object])
        except (msgspec.DecodeError, RecursionError):
            return Answer(call, {"error": "the arguments are no JSON object"})
        self._open[call.id] = call
        return ToolCall(call.id, call.name, arguments)

    def answer(self, id: str, output: Mapping[str, object]) -> Answer | None:
        """The answer of a call that waits for it; None for any other."""
        call = self._open.pop(id, None)
        return None if call is None else Answer(call, output)

    def give_up(self) -> list[Answer]:
        """Nobody will answer what is still open."""
        answers = [Answer(call, {"error": "the call has ended"}) for call in self._open.values()]
        self._open.clear()
        return answers

    def open_of(self, response: str) -> bool:
        """Whether calls of this response wait for answers."""
        return any(call.response == response for call in self._open.values())

    @property
    def open(self) -> bool:
        """Whether any call waits for its answer."""
        return bool(self._open)

    @property
    def holding(self) -> bool:
        """Whether the model is to say nothing until an answer is there."""
        return any(call.hold for call in self._open.values())
