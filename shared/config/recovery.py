"""What becomes of callers whose media host stops or dies, as `patchcord.yaml` declares it under `recovery` (docs/operations.md)."""

from collections.abc import Collection, Iterator
from typing import Literal

from shared.config.checks import ACS_USER, ADDRESS_EXPECTED, Mistake, Part, is_address
from shared.config.ivr import AudioFile, Prompt
from shared.config.tools import WEB_EXPECTED, is_web
from shared.settings import E164

type DrainStep = Literal["self_transfer", "fallback", "notice"]
type LostStep = Literal["restart", "self_transfer", "fallback", "notice"]

DRAINING: tuple[DrainStep, ...] = ("self_transfer", "fallback", "notice")
LOST: tuple[LostStep, ...] = ("restart", "self_transfer", "fallback", "notice")

MOST_TEXT = 400
"""Characters of a text that a caller hears while something is wrong: about half a minute."""


class RecoveryConfig(Part, frozen=True, kw_only=True):
    """Ways out, in the order in which they are tried; one that is not open is skipped, and after the last one we hang up.

    `self_transfer` moves the caller to `identity`, where another media host goes on with the conversation; `fallback` to a
    person; `notice` says that the call ends; `restart` lets ACS connect its audio again, to another media host.

    Attributes:
        draining: for calls that are still on when a media host must stop.
        lost: for calls whose media host is gone.
        identity: an `8:acs:…` identity of ours, whose calls Event Grid delivers to us; "" allows no self-transfer.
        most_moves: how often one conversation may be moved, so that it does not go round in circles.
        fallback: for agents without a transfer `fallback` of their own; "" has none.
        caller_id: what the fallback's telephone shows when no number of ours was dialled.
        waiting: what ACS plays to a caller whose audio is lost, again and again until it is back; "" plays nothing.
        notice: what ACS says before it hangs up on a caller whose audio is lost; "" hangs up at once.
        cognitive_services: address of the resource that speaks texts; "" leaves recordings.
        voice: Azure's name of the voice.
    """

    draining: tuple[DrainStep, ...] = DRAINING
    lost: tuple[LostStep, ...] = LOST
    identity: str = ""
    most_moves: int = 3
    fallback: str = ""
    caller_id: str = ""
    waiting: Prompt = ""
    notice: Prompt = ""
    cognitive_services: str = ""
    voice: str = "en-US-JennyNeural"


def recovery_mistakes(entry: RecoveryConfig, dialled: Collection[str]) -> Iterator[Mistake]:
    """What is wrong under `recovery`; `dialled` are the addresses that routes and IVRs have already."""
    for field, steps in (("draining", entry.draining), ("lost", entry.lost)):
        place = f"recovery.{field}"
        if len(set(steps)) < len(steps):
            yield Mistake(place, "each step once", ", ".join(steps))
        if "notice" in steps[:-1]:
            yield Mistake(place, "notice as the last step: it ends the call", ", ".join(steps))
        if "self_transfer" in steps and not entry.identity and tuple(steps) not in (DRAINING, LOST):
            yield Mistake(place, "recovery.identity for self_transfer", "none")
    if entry.identity and (not ACS_USER.fullmatch(entry.identity) or entry.identity in dialled):
        expected = "an 8:acs:… identity that no route, no IVR and no call transfer has"
        yield Mistake("recovery.identity", expected, entry.identity)
    if not 1 <= entry.most_moves <= 20:
        yield Mistake("recovery.most_moves", "a whole number from 1 to 20", str(entry.most_moves))
    if entry.fallback and not is_address(entry.fallback):
        yield Mistake("recovery.fallback", ADDRESS_EXPECTED, entry.fallback)
    if entry.caller_id and not E164.fullmatch(entry.caller_id):
        yield Mistake("recovery.caller_id", "an E.164 number of yours, to show to others", entry.caller_id)
    if entry.cognitive_services and not is_web(entry.cognitive_services):
        yield Mistake("recovery.cognitive_services", WEB_EXPECTED, entry.cognitive_services)
    yield from prompt_mistakes("recovery.waiting", entry.waiting, entry.cognitive_services)
    yield from prompt_mistakes("recovery.notice", entry.notice, entry.cognitive_services)


def prompt_mistakes(
    place: str, prompt: Prompt, cognitive_services: str, *, required: bool = False
) -> Iterator[Mistake]:
    """What is wrong with words that ACS is to speak while no agent can; `required`: there must be some."""
    if isinstance(prompt, AudioFile):
        if not is_web(prompt.audio):
            yield Mistake(f"{place}.audio", WEB_EXPECTED, prompt.audio)
    elif not prompt.strip():
        if prompt or required:
            yield Mistake(place, "a text, or {audio: ADDRESS}")
    elif len(prompt) > MOST_TEXT:
        yield Mistake(place, f"at most {MOST_TEXT} characters", str(len(prompt)))
    elif not cognitive_services:
        yield Mistake(place, "{audio: ADDRESS}, or cognitive_services to speak texts", prompt)
