"""Where an agent may send a caller, as `patchcord.yaml` declares it."""

from collections.abc import Iterator
from typing import Literal

from shared.config.checks import ADDRESS_EXPECTED, Mistake, Part, is_address
from shared.config.tools import WEB_EXPECTED, is_web


class Transfer(Part, frozen=True, kw_only=True):
    """One person, queue or system.

    Attributes:
        to: E.164 or `8:acs:…`.
        mode: `blind` hands the caller over at once; `warm` calls the other side in first, tells it who is there, and
            joins the two only when a person has confirmed (a voicemail answers too).
        announce: warm: said to the other side; may hold `{{variables}}` of the call.
        confirm: warm: what counts as a person: a key, or a key or a short spoken answer.
        stay: warm: afterwards the agent goes on listening for the transcript, or leaves the call.
        ring_s: for how long the other side may ring (s).
        confirm_s: warm: for how long its confirmation is waited for (s).
        hold_music: warm: https address of a WAV file (16 kHz, mono, 16 bit) that the caller hears meanwhile; "" leaves that
            to ACS, which may mean silence.
    """

    to: str
    mode: Literal["blind", "warm"] = "blind"
    announce: str = "A caller is on the line for you. Press 1 to take the call."
    confirm: Literal["key", "voice"] = "key"
    stay: Literal["listen", "leave"] = "leave"
    ring_s: int = 30
    confirm_s: float = 20.0
    hold_music: str = ""


def transfer_mistakes(place: str, transfer: str | Transfer) -> Iterator[Mistake]:
    """What is wrong with one target."""
    if isinstance(transfer, str):
        if not is_address(transfer):
            yield Mistake(place, ADDRESS_EXPECTED, transfer)
        return
    if not is_address(transfer.to):
        yield Mistake(f"{place}.to", ADDRESS_EXPECTED, transfer.to)
    if not 5 <= transfer.ring_s <= 180:
        yield Mistake(f"{place}.ring_s", "seconds from 5 to 180", str(transfer.ring_s))
    if not 3 <= transfer.confirm_s <= 120:
        yield Mistake(f"{place}.confirm_s", "seconds from 3 to 120", f"{transfer.confirm_s:g}")
    if transfer.hold_music and not is_web(transfer.hold_music):
        yield Mistake(f"{place}.hold_music", WEB_EXPECTED, transfer.hold_music)
