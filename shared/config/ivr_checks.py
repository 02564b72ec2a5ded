"""What can be wrong with an IVR's flow; every mistake is named with its place."""

import re
from collections.abc import Collection, Iterator, Mapping

from shared.config.checks import ACS_USER, ADDRESS_EXPECTED, NAME, Mistake, is_address
from shared.config.ivr import (
    MOST_TEXT,
    AnyStep,
    AudioFile,
    Branch,
    Choice,
    Collect,
    HangUp,
    Ivr,
    Prompt,
    ReturnPoint,
    Say,
    Set,
    Transfer,
    answered,
    unanswered,
)
from shared.config.tenants import DEFAULT_TENANT
from shared.config.tools import WEB_EXPECTED, is_web
from shared.settings import E164
from shared.wire.custom_context import RESERVED

VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
KEY = re.compile(r"[0-9*#]")
MOST_DIGITS = 30


def ivr_mistakes(
    ivrs: Mapping[str, Ivr], tenants: Collection[str], dialled: Collection[str]
) -> Iterator[Mistake]:
    """What is wrong under `ivrs`; `dialled` are the addresses that routes have already."""
    identities: set[str] = set()
    for name, ivr in ivrs.items():
        place = f"ivrs.{name}"
        if not NAME.fullmatch(name):
            yield Mistake(place, "a name of small letters, digits, - and _", name)
        if not ACS_USER.fullmatch(ivr.identity) or ivr.identity in identities or ivr.identity in dialled:
            expected = "an 8:acs:… identity that no other IVR and no route has"
            yield Mistake(f"{place}.identity", expected, ivr.identity)
        identities.add(ivr.identity)
        if ivr.tenant != DEFAULT_TENANT and ivr.tenant not in tenants:
            yield Mistake(f"{place}.tenant", f"{DEFAULT_TENANT} or a name under tenants", ivr.tenant)
        if ivr.cognitive_services and not is_web(ivr.cognitive_services):
            yield Mistake(f"{place}.cognitive_services", WEB_EXPECTED, ivr.cognitive_services)
        yield from _number_mistakes(place, ivr)
        yield from _prompt_mistakes(f"{place}.apology", ivr.apology, ivr)
        for step_name, step in ivr.steps.items():
            yield from _step_mistakes(f"{place}.steps.{step_name}", step_name, step, ivr)
        yield from _way_mistakes(place, ivr)


def _number_mistakes(place: str, ivr: Ivr) -> Iterator[Mistake]:
    if ivr.fallback and not E164.fullmatch(ivr.fallback):
        yield Mistake(f"{place}.fallback", "an E.164 number", ivr.fallback)
    calls_numbers = bool(ivr.fallback) or any(
        isinstance(step, Transfer) and step.to.startswith("+") for step in ivr.steps.values()
    )
    # A caller who comes back has dialled the identity: there is no number left to show.
    if (ivr.caller_id or calls_numbers) and not E164.fullmatch(ivr.caller_id):
        yield Mistake(f"{place}.caller_id", "an E.164 number of yours, to show to others", ivr.caller_id)


def _prompt_mistakes(place: str, prompt: Prompt, ivr: Ivr, *, may_lack: bool = False) -> Iterator[Mistake]:
    if isinstance(prompt, AudioFile):
        if not is_web(prompt.audio):
            yield Mistake(f"{place}.audio", WEB_EXPECTED, prompt.audio)
    elif not prompt.strip():
        if prompt or not may_lack:
            yield Mistake(place, "a text, or {audio: ADDRESS}")
    elif len(prompt) > MOST_TEXT:
        yield Mistake(place, f"at most {MOST_TEXT} characters", str(len(prompt)))
    elif not ivr.cognitive_services:
        yield Mistake(place, "{audio: ADDRESS}, or cognitive_services to speak texts", prompt)


def _step_mistakes(place: str, name: str, step: AnyStep, ivr: Ivr) -> Iterator[Mistake]:
    if not NAME.fullmatch(name):
        yield Mistake(place, "a name of small letters, digits, - and _", name)
    for field, following in {**answered(step), **unanswered(step)}.items():
        if following not in ivr.steps:
            yield Mistake(f"{place}.{field}", "the name of a step", following)
    match step:
        case Say():
            yield from _prompt_mistakes(f"{place}.prompt", step.prompt, ivr)
        case HangUp():
            yield from _prompt_mistakes(f"{place}.prompt", step.prompt, ivr, may_lack=True)
        case Collect():
            yield from _asking_mistakes(place, step, ivr)
            yield from _variable_mistakes(f"{place}.variable", step.variable)
            yield from _digits_mistakes(place, step)
        case Choice():
            yield from _asking_mistakes(place, step, ivr)
            if step.variable:
                yield from _variable_mistakes(f"{place}.variable", step.variable)
            yield from _option_mistakes(f"{place}.options", step, ivr)
        case Branch():
            if not step.cases:
                yield Mistake(f"{place}.cases", "at least one value and its step", "none")
        case Set():
            for variable in step.variables:
                yield from _variable_mistakes(f"{place}.variables", variable)
        case Transfer():
            yield from _transfer_mistakes(place, step, ivr)
        case _:
            pass  # a return point: its ways are all there is of it


def _variable_mistakes(place: str, variable: str) -> Iterator[Mistake]:
    if not VARIABLE.fullmatch(variable):
        yield Mistake(place, "a name of letters, digits, - and _, at most 64", variable)
    elif variable in RESERVED:
        yield Mistake(place, "another name than " + ", ".join(sorted(RESERVED)), variable)


def _asking_mistakes(place: str, step: Collect | Choice, ivr: Ivr) -> Iterator[Mistake]:
    yield from _prompt_mistakes(f"{place}.prompt", step.prompt, ivr)
    yield from _prompt_mistakes(f"{place}.no_input", step.no_input, ivr, may_lack=True)
    yield from _prompt_mistakes(f"{place}.no_match", step.no_match, ivr, may_lack=True)
    if not 1 <= step.attempts <= 10:
        yield Mistake(f"{place}.attempts", "a number from 1 to 10", str(step.attempts))
    if not 1 <= step.silence_s <= 300:
        yield Mistake(f"{place}.silence_s", "whole seconds from 1 to 300", str(step.silence_s))


def _digits_mistakes(place: str, step: Collect) -> Iterator[Mistake]:
    if not 1 <= step.min_digits <= step.max_digits <= MOST_DIGITS:
        expected = f"1 <= min_digits <= max_digits <= {MOST_DIGITS}"
        yield Mistake(f"{place}.max_digits", expected, f"{step.min_digits} to {step.max_digits}")
    if step.terminator and not KEY.fullmatch(step.terminator):
        yield Mistake(f"{place}.terminator", "one key 0-9, * or #, in quotes", step.terminator)
    if not step.terminator and step.min_digits < step.max_digits:
        # ACS reports digits that end with a pause as a failure, without the digits (sub-code 8532).
        yield Mistake(f"{place}.terminator", "a key, because the number of digits is not fixed", "none")
    if not 1 <= step.between_keys_s <= 60:
        yield Mistake(f"{place}.between_keys_s", "whole seconds from 1 to 60", str(step.between_keys_s))


def _option_mistakes(place: str, step: Choice, ivr: Ivr) -> Iterator[Mistake]:
    options = step.options
    if not options:
        yield Mistake(place, "at least one option", "none")
        return
    keys = [option.key for option in options.values() if option.key]
    spoken = [bool(option.phrases) for option in options.values()]
    for name, option in options.items():
        if not 0 < len(name) <= 64:
            yield Mistake(place, "names of 1 to 64 characters", name)
        if option.key and (not KEY.fullmatch(option.key) or keys.count(option.key) > 1):
            yield Mistake(f"{place}.{name}.key", "one key 0-9, * or # of its own, in quotes", option.key)
        if any(not phrase.strip() for phrase in option.phrases):
            yield Mistake(f"{place}.{name}.phrases", "words that one may say", "nothing")
    # ACS takes phrases for all options or is not asked for speech, and keys for all or for none.
    if any(spoken) and not all(spoken):
        yield Mistake(place, "phrases for all options, or for none", f"{sum(spoken)} of {len(spoken)}")
    if (keys and len(keys) < len(options)) or (not keys and not any(spoken)):
        yield Mistake(
            place, "keys for all options, or for none and phrases", f"{len(keys)} of {len(options)}"
        )
    if any(spoken) and not ivr.cognitive_services:
        yield Mistake(place, "keys only, or cognitive_services to understand speech", "phrases")


def _transfer_mistakes(place: str, step: Transfer, ivr: Ivr) -> Iterator[Mistake]:
    if not is_address(step.to):
        yield Mistake(f"{place}.to", ADDRESS_EXPECTED, step.to)
    if step.to.startswith("+") and (step.return_step or step.send is not None):
        yield Mistake(place, "neither send nor return_step: a number takes no variables", step.to)
    if step.return_step and not isinstance(ivr.steps.get(step.return_step), ReturnPoint):
        yield Mistake(f"{place}.return_step", "the name of a return_point", step.return_step)


def _way_mistakes(place: str, ivr: Ivr) -> Iterator[Mistake]:
    """Steps that nothing leads to, and circles in which the caller is never asked anything."""
    if ivr.start not in ivr.steps:
        yield Mistake(f"{place}.start", "the name of a step", ivr.start)
        return
    reached, ahead = set[str](), [ivr.start]
    while ahead:
        name = ahead.pop()
        if name in reached or name not in ivr.steps:
            continue
        reached.add(name)
        step = ivr.steps[name]
        ahead += [*answered(step).values(), *unanswered(step).values()]
        if isinstance(step, Transfer):
            ahead.append(step.return_step)
    for name in ivr.steps.keys() - reached:
        yield Mistake(f"{place}.steps.{name}", "a step that another one leads to", name)
    # What is left after all steps without a way on have been taken out, again and again, goes in circles.
    ways = {name: set(unanswered(step).values()) & ivr.steps.keys() for name, step in ivr.steps.items()}
    while ends := [name for name, following in ways.items() if not following & ways.keys()]:
        for name in ends:
            del ways[name]
    if ways:
        circle = " → ".join(sorted(ways))
        yield Mistake(f"{place}.steps", "no circle in which the caller answers nothing", circle)
