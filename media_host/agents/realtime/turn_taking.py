"""Who speaks when: whether the model answers and falls silent by itself, or as we say. No I/O and no clock.

As long as everything may be interrupted, the model's own turn-taking is the fastest. While a prompt must be heard out, or an
interruption must be confirmed, or a tool's result must be awaited, the model is told to leave both to us (`manual`).
"""

from collections.abc import Mapping
from typing import Any

from media_host.agents.realtime.session_setup import turn_detection_of
from shared.config.agent import BargeIn
from shared.config.realtime import RealtimeAgentConfig


def turns_update(config: RealtimeAgentConfig, *, manual: bool) -> dict[str, Any]:
    """A `session.update`'s session that changes turn-taking and nothing else."""
    turns = turn_detection_of(config, manual_turns=manual)
    if config.service == "voice-live":
        return {"turn_detection": turns}
    return {"type": "realtime", "audio": {"input": {"turn_detection": turns}}}


def is_manual(session: Mapping[str, Any], *, unless_said: bool) -> bool:
    """Whether an echoed session leaves answering to us; `unless_said` if it does not tell."""
    place: object = session
    for name in ("audio", "input") if "audio" in session else ():
        place = place.get(name) if isinstance(place, Mapping) else None
    turns = place.get("turn_detection") if isinstance(place, Mapping) else None
    creates = turns.get("create_response") if isinstance(turns, Mapping) else None
    return not creates if isinstance(creates, bool) else unless_said


class TurnTaking:
    """One call's.

    Args:
        barge_in: for everything that the agent says.
        greeting: for the greeting.
        greets: whether there will be one.

    Attributes:
        holding: a tool's result is awaited in silence.
        listening: the agent says nothing any more.
        caller_speaks: whether the caller is speaking now.
        asked: what the session was last told.
        manual: how the session is now, by its own word.
    """

    def __init__(self, barge_in: BargeIn, greeting: BargeIn, *, greets: bool) -> None:
        self.holding = False
        self.listening = False
        self.caller_speaks = False
        self._barge_in = barge_in
        self._greeting = greeting
        self._greeting_is_ahead = greets
        self._greeting_turns: set[str] | None = None
        self._answer_due = False
        self.asked = self.manual = self.wanted

    @property
    def wanted(self) -> bool:
        """Whether turn-taking is to be ours."""
        ours = self._barge_in != "speech" or self.greeting_is_protected
        return ours or self.listening or self.holding

    @property
    def greeting_is_protected(self) -> bool:
        """Whether a greeting is not over that speech alone does not interrupt."""
        return self._greeting_is_ahead and self._greeting != "speech"

    @property
    def keys_interrupt(self) -> bool:
        """Whether a key may silence the agent."""
        return (self._greeting if self._greeting_is_ahead else self._barge_in) != "never"

    def configured(self, *, manual: bool) -> None:
        """A new session is in use."""
        self.asked = self.manual = manual
        self.caller_speaks = False

    # --- the greeting ----------------------------------------------------------------------------------------

    def barge_in(self, *, greeting: bool) -> BargeIn:
        """How a turn may be interrupted."""
        return self._greeting if greeting else self._barge_in

    def greeting_made(self, turns: set[str]) -> None:
        """The greeting is complete; these turns of it are not heard yet."""
        self._greeting_turns = turns
        self._look()

    def heard(self, turn: str) -> None:
        """A turn was heard, or flushed."""
        if self._greeting_turns is not None:
            self._greeting_turns.discard(turn)
            self._look()

    def _look(self) -> None:
        if not self._greeting_turns:
            self._greeting_is_ahead = False

    # --- the caller ------------------------------------------------------------------------------------------

    def started(self, *, quiet: bool) -> None:
        """The caller begins to speak; `quiet` when the agent is not being heard."""
        self.caller_speaks = True
        self._answer_due = quiet

    def flushed(self) -> None:
        """The host has let the caller interrupt."""
        self._answer_due = True

    def stopped(self, *, quiet: bool) -> bool:
        """The caller falls silent; whether we have to ask for the answer.

        Not if the model answers by itself, nor if all that was said was said over a prompt that was not interrupted by it.
        """
        self.caller_speaks = False
        return self.manual and not self.listening and not self.holding and (quiet or self._answer_due)
