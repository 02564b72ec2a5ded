"""Calls that a tenant may have us make, as `patchcord.yaml` declares them under `tenants.NAME.outbound`."""

import re
from collections.abc import Iterator

from shared.config.checks import Mistake, Part
from shared.settings import E164


class OutboundConfig(Part, frozen=True, kw_only=True):
    """What keeps stolen credentials from becoming a large telephone bill.

    Attributes:
        countries: where may be called (ISO 3166, such as US); each is one country of a shared dialling code such as +1.
        caller_ids: our numbers that people may see; the first one when a request names none. Empty: ACS_PHONE_NUMBER.
        calls_per_minute: new calls of any 60 s.
        ring_s: after so long (s) an unanswered call is given up; the sweep does it, up to 15 s later.
    """

    countries: list[str]
    caller_ids: list[str] = []
    calls_per_minute: int = 10
    ring_s: int = 60


def outbound_mistakes(place: str, outbound: OutboundConfig) -> Iterator[Mistake]:
    """What is wrong under `outbound`."""
    if not outbound.countries:
        yield Mistake(f"{place}.countries", "at least one country", "none")
    for index, country in enumerate(outbound.countries):
        if not re.fullmatch(r"[A-Z]{2}", country):
            yield Mistake(f"{place}.countries[{index}]", "two capital letters (ISO 3166) such as US", country)
    for index, number in enumerate(outbound.caller_ids):
        if not E164.fullmatch(number):
            yield Mistake(f"{place}.caller_ids[{index}]", "an E.164 number such as +18005550000", number)
    if not 1 <= outbound.calls_per_minute <= 1000:
        yield Mistake(
            f"{place}.calls_per_minute", "a whole number from 1 to 1000", str(outbound.calls_per_minute)
        )
    if not 5 <= outbound.ring_s <= 115:
        yield Mistake(f"{place}.ring_s", "seconds from 5 to 115", str(outbound.ring_s))
