"""What is kept of a call in an IVR, what happens to it, and what is to be done about it: plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import msgspec

from shared.config.ivr import Choice, Collect, Prompt

CONTEXT_LENGTH = 64
"""Characters of an operation context that call events keep."""


class IvrState(msgspec.Struct, frozen=True):
    """Where a call stands in its flow.

    Attributes:
        phase: `ringing` until the call is connected; `step`: something was asked of ACS for `step`; `fallback`: the fallback
            number rings; `apology`: it is being spoken; `over`: nothing more is to be done.
        step: the present step.
        turn: counts what was asked of ACS.
        attempt: how often the caller was asked in this step.
        faults: how often ACS failed at this.
        variables: all, the secret ones too; empty once it is over.
        secret: names of variables that nobody may see.
        conversation: the conversation's id; "" makes a transfer begin one.
        return_step: the step at which the flow begins; "" is its start.
    """

    phase: Literal["ringing", "step", "fallback", "apology", "over"] = "ringing"
    step: str = ""
    turn: int = 0
    attempt: int = 1
    faults: int = 0
    variables: dict[str, str] = {}
    secret: tuple[str, ...] = ()
    conversation: str = ""
    return_step: str = ""

    @property
    def context(self) -> str:
        """The operation context of what was asked last: callbacks of anything older have another one."""
        return f"{self.turn}.{self.attempt}.{self.step}"[:CONTEXT_LENGTH]

    @property
    def shown(self) -> dict[str, str]:
        """The variables that anybody may see."""
        return {name: value for name, value in self.variables.items() if name not in self.secret}


class Result(StrEnum):
    """What ACS says became of what it was asked."""

    PLAYED = "played"
    KEYS = "keys"
    CHOSEN = "chosen"
    NO_INPUT = "no_input"
    NO_MATCH = "no_match"
    ACCEPTED = "accepted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Connected:
    """The call is connected."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The call is over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """ACS's answer to what was asked under `context`; `value` holds keys, or the name of what was chosen."""

    context: str
    result: Result
    value: str = ""


type Happened = Connected | Gone | Answer


@dataclass(frozen=True, slots=True)
class Speak:
    """Speak to the caller."""

    prompt: Prompt


@dataclass(frozen=True, slots=True)
class Ask:
    """Speak, and wait for keys or words."""

    step: Collect | Choice
    prompts: Sequence[Prompt]


@dataclass(frozen=True, slots=True)
class TransferTo:
    """Transfer the caller away; an identity gets `headers`."""

    to: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CallIn:
    """Call somebody into the call."""

    to: str


@dataclass(frozen=True, slots=True)
class Leave:
    """End our part of the call: the others go on talking."""


@dataclass(frozen=True, slots=True)
class EndCall:
    """End the call for everyone."""

    reason: str


type Action = Speak | Ask | TransferTo | CallIn | Leave | EndCall


@dataclass(frozen=True, slots=True)
class Visit:
    """A line for the record: a step was entered, or (`result`) what came of it."""

    step: str
    result: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """The state afterwards, what is to be done now, and what the record is to tell."""

    state: IvrState
    action: Action | None = None
    visits: Sequence[Visit] = ()
