"""Telephones that can be called: a script for each address.

    at: "+14255550111"
    on_ring: pick_up
    after_ms: 200
    steps:
      - listen
      - say: yes, speaking

`on_ring` is `pick_up`, `decline`, `busy`, `no_answer` or `unreachable`. Without steps the person says nothing until the call ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import address
from emulator.acs.offers import Offer
from emulator.phone.call import PhoneCall
from emulator.phone.script import CallerScript, parse_script
from shared.errors import InvalidInput

ON_RING = ("pick_up", "decline", "busy", "no_answer", "unreachable")
LONGEST_MS = 120_000
OWN = ("at", "on_ring", "after_ms")


@dataclass(frozen=True, slots=True)
class CalleeScript:
    """What happens when an address is called.

    Attributes:
        at: the address: an E.164 number or a raw id.
        on_ring: what the person does.
        after_ms: for how long it rings before that (ms).
        script: what happens from the answer on.
    """

    at: str
    on_ring: str
    after_ms: int
    script: CallerScript


def parse_callee(value: object) -> CalleeScript:
    """A callee's script from YAML or JSON data.

    Raises:
        InvalidInput: names the wrong place.
    """
    if not isinstance(value, dict):
        raise InvalidInput("phone", "a mapping with at, on_ring and steps")
    rest = {key: item for key, item in value.items() if key not in OWN}
    for taken in ("from", "to", "gives_up_ms", "voip_headers", "line"):
        if taken in rest:
            raise InvalidInput(taken, "nothing: a telephone that is called has an address `at`")
    on_ring, after_ms = value.get("on_ring", "pick_up"), value.get("after_ms", 100)
    if on_ring not in ON_RING:
        raise InvalidInput("on_ring", "one of " + ", ".join(ON_RING))
    if isinstance(after_ms, bool) or not isinstance(after_ms, int) or not 0 <= after_ms <= LONGEST_MS:
        raise InvalidInput("after_ms", f"0 to {LONGEST_MS}")
    steps = rest.get("steps") or [{"expect_hang_up": {"within_s": 3600}}]
    limit_s = rest.get("limit_s", 3600)
    try:
        script = parse_script({**rest, "steps": steps, "limit_s": limit_s, "to": value.get("at")})
    except InvalidInput as error:
        if error.field == "to":
            raise InvalidInput("at", 'a number such as "+14255550100" or a raw id such as 8:acs:…') from None
        raise
    return CalleeScript(script.to, on_ring, after_ms, script)


type Speech = Mapping[int, Mapping[str, bytes]]


class Phonebook:
    """The telephones of an emulator, by address.

    Args:
        exchange: where they ring.
        rung: takes each call that a telephone gets.
    """

    def __init__(self, exchange: Exchange, rung: Callable[[PhoneCall], Any]) -> None:
        self._exchange = exchange
        self._rung = rung
        self._phones: dict[str, tuple[CalleeScript, Speech]] = {}

    def add(self, callee: CalleeScript, speech: Speech) -> None:
        """Add a telephone, or give it another script."""
        self._phones[callee.at.removeprefix("4:")] = callee, speech

    def addresses(self) -> list[str]:
        """All addresses that can be called."""
        return list(self._phones)

    def remove(self, at: str) -> bool:
        """Take a telephone away; calls that it has go on. False when there is none."""
        return self._phones.pop(at.removeprefix("4:"), None) is not None

    def find(self, at: str) -> tuple[CalleeScript, Speech] | None:
        """The telephone at an address, or None."""
        return self._phones.get(at.removeprefix("4:"))

    def ring(self, offer: Offer) -> bool:
        """See `exchange.Phones`."""
        found = self.find(address(offer.parties.callee))
        if found is None:
            return False
        callee, speech = found
        script = msgspec.structs.replace(callee.script, caller=address(offer.parties.caller))
        call = PhoneCall(script, speech, self._exchange, offer.faults, offer)
        self._rung(call)
        call.ring(callee.on_ring, callee.after_ms / 1000)
        return True
