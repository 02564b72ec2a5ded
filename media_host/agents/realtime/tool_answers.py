"""Answers to the model's tool calls on their way back: at the right moment, to whichever session is there, with one response."""

import json
from collections.abc import Callable, Mapping

from media_host.agents.base import AgentEvent
from media_host.agents.realtime.client import ModelClient
from media_host.agents.realtime.responses import Responses
from media_host.agents.realtime.server_events import FunctionCall
from media_host.agents.realtime.speaking import Speaking
from media_host.agents.realtime.timers import Timers
from media_host.agents.realtime.tool_calls import Answer, ToolCalls
from media_host.agents.realtime.turn_taking import TurnTaking

MCP_ANSWER_S = 1.0
"""A service that answers by itself after it has used a tool does so within this time (s)."""


class ToolAnswers:
    """One call's.

    Args:
        calls: what is open.
        client: the model.
        responses: what it is making.
        speaking: what it says.
        turns: who speaks when; told when a tool holds the model.
        timers: the call's.
        ask: asks for a response.
        report: takes tool calls for the host.
    """

    def __init__(
        self,
        calls: ToolCalls,
        client: ModelClient,
        responses: Responses,
        speaking: Speaking,
        turns: TurnTaking,
        timers: Timers,
        *,
        ask: Callable[[], None],
        report: Callable[[AgentEvent], None],
    ) -> None:
        self._calls = calls
        self._client = client
        self._responses = responses
        self._speaking = speaking
        self._turns = turns
        self._timers = timers
        self._ask = ask
        self._report = report
        self._ready: list[Answer] = []  # wait for the end of the response that asked for them
        self._owed = False  # an answer is due as soon as the caller is silent
        self._mcp_owed = False

    @property
    def open(self) -> bool:
        """Whether any call waits for its answer."""
        return self._calls.open

    def belong_to(self, response: str) -> bool:
        """Whether `response` has called tools that are not all answered yet."""
        return self._calls.open_of(response) or any(
            answer.call.response == response for answer in self._ready
        )

    def called(self, event: FunctionCall) -> None:
        """The model wants something done."""
        begun = self._calls.begin(event, self._speaking.session)
        if isinstance(begun, Answer):
            self.give(begun)
        elif begun is not None:
            self._turns.holding = self._calls.holding
            self._report(begun)

    def result(self, id: str, output: Mapping[str, object]) -> Answer | None:
        """The host's answer, to be given with `give`; None if nobody asked, or it was given before."""
        answer = self._calls.answer(id, output)
        self._turns.holding = self._calls.holding
        return answer

    def give(self, answer: Answer) -> None:
        """Pass an answer on, now or when the response that asked for it is done."""
        if self._responses.active and self._responses.active == answer.call.response:
            self._ready.append(answer)
        else:
            self._post(answer)

    def _post(self, answer: Answer) -> None:
        call, output = answer.call, as_json(answer.output)
        if call.session == self._speaking.session:
            self._client.tool_output(call.id, output)
        else:  # the session that knew the call is gone
            self._client.note(f"The tool {call.name} that was called before has answered: {output}")
        if not self._calls.open_of(call.response):
            self._respond()

    def _respond(self) -> None:
        """An answer is due, but nobody is talked over for it."""
        if self._turns.caller_speaks:
            self._owed = True
        else:
            self._ask()

    def response_done(self, response: str) -> None:
        """`response` is over, and no longer the active one."""
        ready = [answer for answer in self._ready if answer.call.response == response]
        self._ready = [answer for answer in self._ready if answer.call.response != response]
        for answer in ready:
            self._post(answer)
        if self._mcp_owed:
            self._after_mcp()

    def caller_silent(self) -> bool:
        """The caller has stopped; whether an answer was waiting for that which the model does not give by itself."""
        owed, self._owed = self._owed, False
        return owed and self._turns.manual

    def mcp_called(self) -> None:
        """The service has used a tool itself."""
        self._mcp_owed = True
        if not self._responses.active:
            self._after_mcp()

    def answered(self) -> None:
        """The model speaks, or is about to."""
        self._mcp_owed = False

    def _after_mcp(self) -> None:
        """On Voice Live nothing follows by itself (Microsoft's how-to on MCP servers); elsewhere it may."""
        wait_s = 0.0 if self._client.dialect.name == "flat" else MCP_ANSWER_S
        self._timers.start("mcp", wait_s, self._answer_mcp)

    def _answer_mcp(self) -> None:
        if self._mcp_owed and not self._responses.active:
            self._mcp_owed = False
            self._respond()

    def lost(self) -> None:
        """The session is gone: what waited for the end of a response need not wait."""
        self._mcp_owed = False
        ready, self._ready = self._ready, []
        for answer in ready:
            self._post(answer)

    def close(self) -> None:
        """Nobody will answer what is still open: say so."""
        for answer in [*self._ready, *self._calls.give_up()]:
            self._client.tool_output(answer.call.id, as_json(answer.output))
        self._ready = []


def as_json(output: Mapping[str, object]) -> str:
    """A tool's result as the text that the model gets."""
    return json.dumps(output, ensure_ascii=False, default=str)
