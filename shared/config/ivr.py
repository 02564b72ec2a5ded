"""IVR flows, as `patchcord.yaml` declares them: steps that speak, ask, decide and transfer."""

from collections.abc import Mapping

import msgspec

from shared.config.checks import Part
from shared.config.tenants import DEFAULT_TENANT

MOST_TEXT = 4000
"""Characters of a text that ACS speaks at once (acs.md 1.4)."""


class AudioFile(Part, frozen=True, kw_only=True):
    """A recording in the place of a text: https address of a WAV file (16 kHz, mono, 16 bit)."""

    audio: str


type Prompt = str | AudioFile
"""What the caller hears: a text, which may hold `{{variables}}`, or a recording."""


class Step(Part, tag_field="kind", frozen=True, kw_only=True):
    """One step of a flow."""


class Say(Step, tag="say", frozen=True, kw_only=True):
    """Speaks, then goes on."""

    prompt: Prompt
    next: str


class Asking(Step, frozen=True, kw_only=True):
    """What both kinds of question have.

    Attributes:
        prompt: the question; the caller may answer before its end.
        no_input, no_match: said before the question is asked again.
        attempts: how often it is asked.
        silence_s: how long the caller may take to begin (s).
        gave_up: the step after the last attempt.
    """

    prompt: Prompt
    no_input: Prompt = ""
    no_match: Prompt = ""
    attempts: int = 3
    silence_s: int = 5
    gave_up: str


class Collect(Asking, tag="collect", frozen=True, kw_only=True):
    """Asks for digits.

    Attributes:
        variable: where they go; leading zeros stay.
        min_digits, max_digits: how many.
        terminator: the key that ends them, itself no part of them; "" only for digits of a fixed number.
        between_keys_s: how long the caller may take from key to key (s).
        secret: they stay out of the record, and go to nobody whose step `transfer` does not name the variable.
    """

    variable: str
    max_digits: int
    min_digits: int = 1
    terminator: str = "#"
    between_keys_s: int = 4
    secret: bool = False
    next: str


class Option(Part, frozen=True, kw_only=True):
    """One answer: what one may say, the key for it, and the step that follows."""

    phrases: list[str] = []
    key: str = ""
    next: str


class Choice(Asking, tag="choice", frozen=True, kw_only=True):
    """Asks for one of several answers, by name. `variable`: where the chosen name goes; "" keeps it nowhere."""

    options: dict[str, Option]
    variable: str = ""


class Branch(Step, tag="branch", frozen=True, kw_only=True):
    """Goes to the step of the variable's value; a variable that nobody has set is empty."""

    variable: str
    cases: dict[str, str]
    otherwise: str


class Set(Step, tag="set", frozen=True, kw_only=True):
    """Sets variables; values may hold `{{variables}}`."""

    variables: dict[str, str]
    next: str


class Transfer(Step, tag="transfer", frozen=True, kw_only=True):
    """Transfers the caller away.

    Attributes:
        to: an agent's `8:acs:…` identity, or a person's number.
        send: variables that an identity gets; None sends all but the secret ones.
        return_step: the return point at which a caller goes on who is given back; "" expects nobody back.
        failed: the step after a transfer that failed twice; "" leads to the IVR's `fallback`.
    """

    to: str
    send: list[str] | None = None
    return_step: str = ""
    failed: str = ""


class HangUp(Step, tag="hang_up", frozen=True, kw_only=True):
    """Says goodbye and ends the call."""

    prompt: Prompt = ""


class ReturnPoint(Step, tag="return_point", frozen=True, kw_only=True):
    """Where a caller goes on whom an agent has given back, by the `transferType` that comes with him."""

    agent: str = msgspec.field(name="AGENT")
    system: str = msgspec.field(name="SYSTEM")
    otherwise: str


type AnyStep = Say | Collect | Choice | Branch | Set | Transfer | HangUp | ReturnPoint


class Ivr(Part, frozen=True, kw_only=True):
    """One flow.

    Attributes:
        identity: the ACS user whom agents give their callers back to; calls to it come to this flow.
        tenant: whose it is.
        voice: Azure's name of the voice.
        language: of what callers say.
        cognitive_services: address of the resource that speaks texts and understands speech; "" leaves recordings and keys.
        caller_id: the number shown to people whom a caller is transferred to; "" shows the dialled one.
        fallback: the number that is called in when something fails that no step provides for; "" has none.
        apology: said before the call is ended for the same reason.
        start: the first step.
        steps: by name.
    """

    identity: str
    tenant: str = DEFAULT_TENANT
    voice: str = "en-US-JennyNeural"
    language: str = "en-US"
    cognitive_services: str = ""
    caller_id: str = ""
    fallback: str = ""
    apology: Prompt
    start: str
    steps: dict[str, AnyStep]


def answered(step: AnyStep) -> Mapping[str, str]:
    """The steps that follow what a caller has answered, by the field that names them."""
    match step:
        case Collect():
            return {"next": step.next}
        case Choice():
            return {f"options.{name}.next": option.next for name, option in step.options.items()}
        case _:
            return {}


def unanswered(step: AnyStep) -> Mapping[str, str]:
    """The steps that may follow without anything from the caller, by the field that names them."""
    match step:
        case Say() | Set():
            return {"next": step.next}
        case Collect() | Choice():
            return {"gave_up": step.gave_up}
        case Branch():
            return {f"cases.{value}": name for value, name in step.cases.items()} | {
                "otherwise": step.otherwise
            }
        case Transfer(failed=failed):
            return {"failed": failed} if failed else {}
        case ReturnPoint():
            return {"AGENT": step.agent, "SYSTEM": step.system, "otherwise": step.otherwise}
        case _:
            return {}
