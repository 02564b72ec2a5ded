"""What all voice agents of `patchcord.yaml` have in common, and what those have that hold a free conversation."""

from typing import Any, Literal

from shared.config.checks import Part
from shared.config.transfers import Transfer

FALLBACK = "fallback"
"""The transfer for the day when an agent itself fails."""

SYSTEM = "system"
"""The transfer by which an agent gives a caller back to the system that the call came from."""

type BargeIn = Literal["never", "speech", "confirmed"]
"""Whether the caller may talk over a prompt: never; as soon as speech begins; or when it has lasted 250 ms."""


class SecureDigits(Part, frozen=True, kw_only=True):
    """Digits that the caller keys in and that neither the model, nor the recording, nor any log gets to know.

    Attributes:
        prompt: said before; "" leaves that to the agent.
        min_digits, max_digits: how many; the collection ends at `max_digits` or at `#`.
        timeout_s: seconds without a key that end it.
    """

    prompt: str = ""
    min_digits: int = 1
    max_digits: int = 19
    timeout_s: float = 10.0


class Silence(Part, frozen=True, kw_only=True):
    """What becomes of a caller who says nothing: `prompts` reminders, one after each `after_s` seconds, then a goodbye.

    `after_s` 0 waits for ever.
    """

    after_s: float = 8.0
    prompts: int = 2


class OutboundBehaviour(Part, frozen=True, kw_only=True):
    """What an agent does in calls that it makes.

    Attributes:
        begin: it speaks at once, or after the person's first words (or 5 s without any).
        on_machine: what becomes of a call that an answering machine has picked up: it is ended, or goes on and the agent
            is told.
    """

    begin: Literal["at_once", "after_answer"] = "at_once"
    on_machine: Literal["continue", "hang_up"] = "continue"


class PostCall(Part, tag_field="kind", frozen=True, kw_only=True):
    """What is done with the record of a call that is over; `timeout_s` is for one attempt (s)."""

    timeout_s: float = 10.0


class PostCallHttp(PostCall, tag="http", frozen=True, kw_only=True):
    """The record is sent as JSON by POST; `secret` is a reference to a bearer token."""

    url: str
    secret: str = ""


class PostCallPython(PostCall, tag="python", frozen=True, kw_only=True):
    """An async function of the operator's gets the record: `package.module:function`."""

    entry_point: str


class Agent(Part, tag_field="kind", frozen=True, kw_only=True):
    """What every agent has.

    Attributes:
        audio: the line's format.
        recording: record both sides, on the media host's disk.
        recording_consent: callers are told that they are recorded, and agree; Patchcord only keeps this answer with
            each recording, it does not ask them.
        redact: runs of 7 digits and more are masked in transcripts.
        transfers: names the agent may transfer to, and where they lead. `fallback` is where a caller goes when this
            agent and those of `fallback` have failed; `system` is where one goes whom it gives back.
        tools: names under `tools` that it may call.
        outputs: JSON Schema of the transfer variables that it may hand over; empty takes any strings.
        keys: single keys that the host itself acts on, and the name under `transfers` that each leads to.
        secure_digits: what the tool `collect_digits` may collect, by name.
        outbound: see `OutboundBehaviour`.
        fallback: names of agents that take over, in this order, when this one fails.
        post_call: what is done with the record afterwards.
    """

    audio: Literal["pcm24KMono", "pcm16KMono"] = "pcm24KMono"
    recording: bool = False
    recording_consent: bool = False
    redact: bool = True
    transfers: dict[str, str | Transfer] = {}
    tools: list[str] = []
    outputs: dict[str, Any] = {}
    keys: dict[str, str] = {}
    secure_digits: dict[str, SecureDigits] = {}
    outbound: OutboundBehaviour = OutboundBehaviour()
    fallback: list[str] = []
    post_call: PostCallHttp | PostCallPython | None = None

    def transfer(self, name: str) -> Transfer | None:
        """The target of that name."""
        found = self.transfers.get(name)
        return Transfer(to=found) if isinstance(found, str) else found


class ConversationalAgent(Agent, frozen=True, kw_only=True):
    """What agents have that hold a free conversation.

    Attributes:
        instructions: what the agent is told before the call; `{{name}}` is replaced by an input variable.
        greeting: its first words; "" leaves them to the agent.
        barge_in: for everything that it says.
        greeting_barge_in: for the greeting (a legal text must be heard).
        silence: see `Silence`.
    """

    instructions: str = ""
    greeting: str = ""
    barge_in: BargeIn = "speech"
    greeting_barge_in: BargeIn = "speech"
    silence: Silence = Silence()
