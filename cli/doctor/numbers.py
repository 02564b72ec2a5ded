"""Link "numbers": does a route answer each number of ours, and does ACS know them?"""

from collections.abc import AsyncIterator, Mapping

from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from shared.config.document import Config
from shared.errors import PatchcordError
from shared.settings import E164
from shared.transfers.numbers import NumberPool

ROUTE = 'add it to a route of patchcord.yaml (routes: - to: ["{number}"]), or take it out there'


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Numbers that settings and tenants name against routes; routes against what ACS has."""
    config = exam.config
    if config is None:
        yield unknown("routes", "patchcord.yaml is wrong or not known")
        return
    answered = await _answered(exam, config)
    for one in _covered(exam, config, answered):
        yield one
    if exam.acs_numbers is None:
        yield unknown(
            "known to ACS",
            "this ACS does not say which numbers it has (an emulator's, or not reached)",
            "az communication phonenumber list --connection-string …",
        )
        return
    routed = {to for route in config.all_routes for to in route.to if E164.fullmatch(to)}
    for one in _known(exam.acs_numbers, routed, answered, twilio=bool(config.twilio)):
        yield one


async def _answered(exam: Examination, config: Config) -> set[str]:
    """Who dials one of these gets an answer; "*" is everybody."""
    found = {to for route in config.all_routes for to in route.to}
    if config.call_transfers and exam.store is not None:
        try:
            found |= {one.number for one in await NumberPool(exam.store, exam.now).list()}
        except PatchcordError:
            return found  # the link "store" says so
    return found


def _covered(exam: Examination, config: Config, answered: set[str]) -> list[Finding]:
    """Numbers that people see when we call them, and those of azd."""
    named: dict[str, str] = {}
    if exam.known_settings is not None and exam.settings.phone_number:
        named[exam.settings.phone_number] = "ACS_PHONE_NUMBER"
    for tenant, entry in config.tenants.items():
        for number in entry.outbound.caller_ids if entry.outbound else ():
            named.setdefault(number, f"tenants.{tenant}.outbound.caller_ids")
    for number in exam.subject.azd.get("PATCHCORD_PHONE_NUMBERS", "").split(","):
        if number.strip():
            named.setdefault(number.strip(), "PATCHCORD_PHONE_NUMBERS")
    missing = [] if "*" in answered else [number for number in named if number not in answered]
    if not missing:
        return [ok("routes", f"answer all {len(named)} numbers that settings and tenants name")]
    return [
        broken("routes", f"nobody answers {number} ({named[number]})", ROUTE.format(number=number))
        for number in missing
    ]


def _known(
    numbers: Mapping[str, str], routed: set[str], answered: set[str], *, twilio: bool
) -> list[Finding]:
    found = []
    for number in sorted(routed - numbers.keys()):
        if twilio:
            found.append(unknown("known to ACS", f"{number} is not ACS's; it may be Twilio's, see there"))
        else:
            mend = f"get it (az communication phonenumber …, or the portal), or take {number} out of routes"
            found.append(broken("known to ACS", f"{number} is no number of this ACS resource", mend))
    for number, calling in sorted(numbers.items()):
        if "inbound" not in calling and number in routed:
            mend = "give it the capability inbound (portal: Phone numbers, Features)"
            found.append(
                broken("known to ACS", f"{number} takes no calls (calling: {calling or 'none'})", mend)
            )
        elif number not in answered and "*" not in answered and "inbound" in calling:
            found.append(broken("known to ACS", f"nobody answers {number}", ROUTE.format(number=number)))
    return found or [ok("known to ACS", f"{len(numbers)} numbers, all answered")]
