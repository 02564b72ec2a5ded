"""Event subscriptions as the emulator and Azure tell of them, and whether they let our calls through."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from cli.doctor.arm import ArmRefused
from cli.doctor.examination import Examination, NoAnswer
from cli.doctor.finding import Finding, broken, ok, unknown
from shared.settings import E164

INCOMING_CALL = "Microsoft.Communication.IncomingCall"
VERSION = "2025-02-15"
MOST_ATTEMPTS, MOST_MINUTES = 5, 2
"""More of either only brings events of callers who have hung up."""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """One subscription.

    Attributes:
        name: its name.
        types: event types; empty is all.
        filters: operator (small letters), key and values of each advanced filter.
        state: `provisioningState`.
        attempts, minutes: how often and how long an event is delivered.
    """

    name: str
    types: Sequence[str]
    filters: Sequence[tuple[str, str, Sequence[Any]]]
    state: str
    attempts: int
    minutes: float

    def lets_through(self, raw_id: str) -> bool | None:
        """Whether a call to `raw_id` passes; None if a filter is too clever to tell."""
        for operator, key, values in self.filters:
            if key.lower() != "data.to.rawid":
                return None
            if operator == "stringin":
                if raw_id.lower() not in [str(value).lower() for value in values]:
                    return False
            elif operator == "stringbeginswith":
                if not raw_id.lower().startswith(tuple(str(value).lower() for value in values)):
                    return False
            else:
                return None
        return True


def own_numbers(exam: Examination) -> set[str]:
    """Numbers that routes name, and azd's."""
    routes = exam.config.all_routes if exam.config else []
    found = {to for route in routes for to in route.to if E164.fullmatch(to)}
    named = exam.subject.azd.get("PATCHCORD_PHONE_NUMBERS", "").split(",")
    return found | {number.strip() for number in named if number.strip()}


async def of_emulator(exam: Examination) -> AsyncIterator[Finding]:
    """Those of the emulator, by its control API."""
    key = {"Authorization": f"Bearer {exam.subject.control_key}"}
    try:
        answer = await exam.ask("GET", exam.subject.emulator + "/emulator/subscriptions", headers=key)
    except NoAnswer as error:
        yield broken("subscription", f"the emulator: {error}", "start `patchcord up`")
        return
    body = answer.json()
    if answer.status != 200 or not isinstance(body, dict):
        yield broken("subscription", f"the emulator answered {answer.status}", "start `patchcord up` again")
        return
    found = [
        Subscribed(
            str(one["name"]),
            one["included_event_types"],
            [(f"{each['operator']}".lower(), each["key"], each["values"]) for each in one["filters"]],
            "Succeeded",
            one["max_attempts"],
            one["ttl_s"] / 60,
        )
        for one in body["subscriptions"]
        if not one["topic"]
    ]
    for finding in judged(exam, found, "stop `patchcord up` with Ctrl-C and start it again: it subscribes"):
        yield finding


async def of_azure(exam: Examination) -> AsyncIterator[Finding]:
    """Those of the system topic of the ACS resource, by Azure Resource Manager."""
    arm, topic = exam.arm, exam.subject.azd.get("ACS_TOPIC_NAME", "")
    assert arm is not None  # noqa: S101  # asked by the caller
    if not topic:
        yield unknown("subscription", "azd knows no ACS_TOPIC_NAME", "azd provision")
        return
    path = arm.id("Microsoft.EventGrid/systemTopics", topic) + "/eventSubscriptions"
    try:
        found = [from_arm(one) for one in await arm.list(path, VERSION)]
    except ArmRefused as error:
        yield unknown("subscription", str(error), "az login, role Reader on the resource group")
        return
    for finding in judged(exam, found, "azd hooks run postdeploy"):
        yield finding


def from_arm(resource: dict[str, Any]) -> Subscribed:
    """One of `Microsoft.EventGrid/systemTopics/eventSubscriptions`."""
    said = resource.get("properties") or {}
    asked, retries = said.get("filter") or {}, said.get("retryPolicy") or {}
    return Subscribed(
        str(resource.get("name", "")),
        asked.get("includedEventTypes") or (),
        [
            (str(each.get("operatorType", "")).lower(), str(each.get("key", "")), each.get("values") or ())
            for each in asked.get("advancedFilters") or ()
        ],
        str(said.get("provisioningState", "")),
        int(retries.get("maxDeliveryAttempts") or 30),
        float(retries.get("eventTimeToLiveInMinutes") or 1440),
    )


def judged(exam: Examination, found: Sequence[Subscribed], mend: str) -> list[Finding]:
    """What the subscriptions mean for our calls; `mend` is the command that makes them."""
    ours = [one for one in found if not one.types or INCOMING_CALL in one.types]
    if not ours:
        return [broken("subscription", "nobody subscribes to IncomingCall: no call reaches us", mend)]
    judgements = [
        broken("subscription", f"{one.name} is {one.state or 'in no known state'}, not Succeeded", mend)
        for one in ours
        if one.state != "Succeeded"
    ]
    judgements += [
        broken(
            "retries",
            f"{one.name}: {one.attempts} attempts within {one.minutes:g} minutes; a caller waits for one",
            f"{mend} (3 attempts, 1 minute)",
        )
        for one in ours
        if one.attempts > MOST_ATTEMPTS or one.minutes > MOST_MINUTES
    ]
    passes = {
        number: [one.lets_through(f"4:{number}") for one in ours] for number in sorted(own_numbers(exam))
    }
    shut = [
        number for number, answers in passes.items() if not any(answer is not False for answer in answers)
    ]
    if shut:
        numbers = f'azd env set PATCHCORD_PHONE_NUMBERS "{",".join(passes)}" && ' if exam.subject.azd else ""
        text = f"no filter lets through calls to {', '.join(shut)}"
        judgements.append(broken("filters", text, numbers + mend))
    return judgements or [
        ok("subscription", f"{', '.join(one.name for one in ours)}; {len(passes)} of our numbers pass")
    ]
