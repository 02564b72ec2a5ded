"""A flow goes on: from the state and what has happened to the new state and what is to be done. No I/O, no clock."""

import re
from collections.abc import Mapping

from msgspec.structs import replace

from shared.config import ivr as steps
from shared.ivr.state import (
    Action,
    Answer,
    Ask,
    CallIn,
    Connected,
    EndCall,
    Gone,
    Happened,
    IvrState,
    Leave,
    Moved,
    Result,
    Speak,
    TransferTo,
    Visit,
)
from shared.wire.custom_context import CONVERSATION, RESERVED, RETURN_STEP, RETURN_TO, TRANSFER_TYPE

_NAME = re.compile(r"\{\{\s*([^{}\s]+)\s*\}\}")
_VALUE_LENGTH = 1024


def move(ivr: steps.Ivr, state: IvrState, happened: Happened) -> Moved:
    """What follows from `happened`; the same state when it is stale, or is nothing that the flow waits for."""
    match happened:
        case Gone():
            return Moved(_over(state))
        case Connected() if state.phase == "ringing":
            return _Walk(ivr, state).to(_first(ivr, state))
        case Answer(context=context) if state.phase not in ("ringing", "over") and context == state.context:
            return _answered(ivr, state, happened)
        case _:
            return Moved(state)


def filled(template: str, variables: Mapping[str, str]) -> str:
    """`template` with `{{name}}` replaced by variables; one that nobody has set is empty."""
    return _NAME.sub(lambda found: variables.get(found[1], ""), template)


def _first(ivr: steps.Ivr, state: IvrState) -> str:
    """Whoever dials the identity can name any step: only return points count."""
    back = ivr.steps.get(state.return_step)
    return state.return_step if isinstance(back, steps.ReturnPoint) else ivr.start


def _over(state: IvrState) -> IvrState:
    return replace(state, phase="over", variables={}, secret=())


def _answered(ivr: steps.Ivr, state: IvrState, answer: Answer) -> Moved:
    walk = _Walk(ivr, state)
    match state.phase:
        case "fallback" if answer.result is Result.ACCEPTED:
            return walk.end(Leave(), "fallback_answered")
        case "fallback":
            return walk.apologise("fallback_failed")
        case "apology":
            return walk.end(EndCall("ivr_failed"))
    step = ivr.steps.get(state.step)
    match step, answer.result:
        case steps.HangUp(), _:
            return walk.end(EndCall("ivr_ended"))
        case steps.Say(), Result.PLAYED:
            return walk.to(step.next)
        case steps.Collect(), Result.KEYS:
            return walk.keys(step, answer.value)
        case steps.Choice(), Result.CHOSEN:
            return walk.chosen(step, answer.value)
        case steps.Choice(), Result.KEYS:
            return walk.chosen(step, _option_of(step, answer.value))
        case ((steps.Collect() | steps.Choice()), (Result.NO_INPUT | Result.NO_MATCH)):
            return walk.ask_again(step, answer.result)
        case steps.Transfer(), Result.ACCEPTED:
            return Moved(_over(state), None, [Visit(state.step, "transferred")])
        case ((steps.Say() | steps.Collect() | steps.Choice() | steps.Transfer()), _) if not state.faults:
            return walk.once_more(step)
        case steps.Transfer(failed=failed), _ if failed:
            walk.tell(state.step, "failed")
            return walk.to(failed)
        case _:  # also a step that the configuration has lost since the call began
            return walk.trouble()


def _option_of(step: steps.Choice, key: str) -> str:
    return next((name for name, option in step.options.items() if option.key == key), "")


class _Walk:
    """One move, step by step until something is to be waited for."""

    def __init__(self, ivr: steps.Ivr, state: IvrState) -> None:
        self._ivr = ivr
        self._state = state
        self._visits: list[Visit] = []

    def tell(self, step: str, result: str = "") -> None:
        """A line for the record."""
        self._visits.append(Visit(step, result))

    def to(self, name: str) -> Moved:
        """Enter a step, and those behind it that need no waiting (the configuration has no endless ones)."""
        while True:
            step = self._ivr.steps.get(name)
            self._state = replace(self._state, phase="step", step=name, attempt=1, faults=0)
            self.tell(name)
            match step:
                case steps.Branch():
                    name = step.cases.get(self._state.variables.get(step.variable, ""), step.otherwise)
                case steps.ReturnPoint():
                    kinds = {"AGENT": step.agent, "SYSTEM": step.system}
                    name = kinds.get(self._state.variables.get(TRANSFER_TYPE, ""), step.otherwise)
                case steps.Set():
                    for variable, template in step.variables.items():
                        self._set(variable, template)
                    name = step.next
                case steps.HangUp(prompt=""):
                    return self.end(EndCall("ivr_ended"))
                case None:
                    return self.trouble()
                case _:
                    return self._ask(self._action(step))

    def keys(self, step: steps.Collect, pressed: str) -> Moved:
        """Digits, with the key that ended them."""
        digits = pressed.removesuffix(step.terminator) if step.terminator else pressed
        if not step.min_digits <= len(digits) <= step.max_digits or not digits.isdecimal():
            return self.ask_again(step, Result.NO_MATCH)
        self._keep({step.variable: digits}, secret=step.secret)
        self.tell(self._state.step, "answered")
        return self.to(step.next)

    def chosen(self, step: steps.Choice, name: str) -> Moved:
        """One of the options."""
        option = step.options.get(name)
        if option is None:
            return self.ask_again(step, Result.NO_MATCH)
        if step.variable:
            self._keep({step.variable: name})
        self.tell(self._state.step, "answered")
        return self.to(option.next)

    def ask_again(self, step: steps.Collect | steps.Choice, why: Result) -> Moved:
        """No answer, or none that fits."""
        self.tell(self._state.step, why.value)
        if self._state.attempt >= step.attempts:
            return self.to(step.gave_up)
        self._state = replace(self._state, attempt=self._state.attempt + 1)
        sorry = step.no_input if why is Result.NO_INPUT else step.no_match
        return self._ask(Ask(step, self._spoken(sorry, step.prompt)))

    def once_more(self, step: steps.Say | steps.Collect | steps.Choice | steps.Transfer) -> Moved:
        """ACS failed at it: the same again, once."""
        self.tell(self._state.step, "failed")
        self._state = replace(self._state, faults=1)
        return self._ask(self._action(step))

    def trouble(self) -> Moved:
        """Nothing that a step provides for: the fallback number, or an apology (requirement 57)."""
        self.tell(self._state.step, "failed")
        if not self._ivr.fallback:
            return self.apologise("")
        self._state = replace(self._state, phase="fallback")
        return self._ask(CallIn(self._ivr.fallback))

    def apologise(self, why: str) -> Moved:
        """The last words."""
        if why:
            self.tell(self._state.step, why)
        self._state = replace(self._state, phase="apology")
        return self._ask(Speak(*self._spoken(self._ivr.apology)))

    def end(self, action: Action, result: str = "") -> Moved:
        """The last action."""
        if result:
            self.tell(self._state.step, result)
        return Moved(replace(_over(self._state), turn=self._state.turn + 1), action, self._visits)

    def _ask(self, action: Action) -> Moved:
        return Moved(replace(self._state, turn=self._state.turn + 1), action, self._visits)

    def _action(
        self, step: steps.Say | steps.HangUp | steps.Collect | steps.Choice | steps.Transfer
    ) -> Action:
        match step:
            case steps.Say(prompt=prompt) | steps.HangUp(prompt=prompt):
                return Speak(*self._spoken(prompt))
            case steps.Collect() | steps.Choice():
                return Ask(step, self._spoken(step.prompt))
            case _:
                return TransferTo(step.to, self._headers(step) if step.to.startswith("8:") else {})

    def _headers(self, step: steps.Transfer) -> dict[str, str]:
        state = self._state
        wanted = state.shown if step.send is None else state.variables
        headers = {
            name: value
            for name, value in wanted.items()
            if name not in RESERVED and (step.send is None or name in step.send)
        }
        headers[CONVERSATION] = state.conversation
        if step.return_step:
            headers |= {RETURN_TO: self._ivr.identity, RETURN_STEP: step.return_step}
        return headers

    def _spoken(self, *prompts: steps.Prompt) -> list[steps.Prompt]:
        texts = [
            one if isinstance(one, steps.AudioFile) else filled(one, self._state.variables)[: steps.MOST_TEXT]
            for one in prompts
        ]
        return [one for one in texts if isinstance(one, steps.AudioFile) or one.strip()] or ["…"]

    def _set(self, variable: str, template: str) -> None:
        """What is made of a secret is one, too."""
        state = self._state
        secret = not set(_NAME.findall(template)).isdisjoint(state.secret)
        self._keep({variable: filled(template, state.variables)}, secret=secret)

    def _keep(self, values: Mapping[str, str], *, secret: bool = False) -> None:
        state = self._state
        cut = {name: value[:_VALUE_LENGTH] for name, value in values.items()}
        hidden = {*state.secret} - cut.keys() | (cut.keys() if secret else set())
        self._state = replace(state, variables={**state.variables, **cut}, secret=tuple(sorted(hidden)))
