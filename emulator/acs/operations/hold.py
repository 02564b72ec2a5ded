"""`hold` and `unhold`: a participant that is on hold is not heard, and hears only what is played to it."""

from typing import Any

from emulator.acs.calls import Call
from emulator.acs.errors import RestError, invalid
from emulator.acs.events import result
from emulator.acs.identifiers import Identifier
from emulator.acs.legs import Leg
from emulator.acs.operations.sources import SoundFailed
from emulator.acs.services import Operation
from emulator.acs.sounds import Sound

type Json = dict[str, Any]

KEY = "hold"


def _music_of(call: Call) -> dict[str, Sound]:
    sounds: dict[str, Sound] = call.extras.setdefault(KEY, {})
    return sounds


def _held(call: Call, who: Identifier) -> Leg:
    call.require_connected()
    leg = call.participant(who)
    if leg is call:
        raise invalid("TargetParticipant")
    return leg


def hold(call: Call, who: Identifier, music: Json | None, operation: Operation) -> None:
    """Put a participant on hold, with music in a loop when there is any; without it hears nothing (guessed).

    Raises:
        RestError: 404/8522: it is not in the call; 400/8501, 400/8523, 400/8585.
    """
    leg = _held(call, who)
    if not leg.on_hold:
        leg.hold(on=True)
    if music is not None and call.services.sounds is not None:
        call.spawn(_play(call, leg, music, operation))


async def _play(call: Call, leg: Leg, music: Json, operation: Operation) -> None:
    """Music that cannot be played: HoldFailed, and the participant is off hold again (guessed)."""
    sounds, conversation = call.services.sounds, call.conversation
    if sounds is None or conversation is None:
        return
    try:
        pcm = await sounds.pcm(music, conversation.rate)
    except RestError as error:
        information = result(error.status, int(error.code), error.message)
    except SoundFailed as failure:
        information = result(failure.code, failure.sub_code, failure.message)
    else:
        if leg.on_hold and not leg.is_gone and not call.is_over:
            _silence(call, leg)
            _music_of(call)[leg.raw_id] = call.play(pcm, {leg.raw_id}, loop=True)
        return
    call.report("HoldFailed", {"resultInformation": information}, operation)
    if leg.on_hold:
        leg.hold(on=False)


def _silence(call: Call, leg: Leg) -> None:
    music = _music_of(call).pop(leg.raw_id, None)
    if music is not None:
        music.cancel()


def unhold(call: Call, who: Identifier) -> None:
    """Take a participant off hold; does nothing more when it is not on hold.

    Raises:
        RestError: as `hold`.
    """
    leg = _held(call, who)
    _silence(call, leg)
    if leg.on_hold:
        leg.hold(on=False)
