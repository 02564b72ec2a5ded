"""One ACS resource: reached, let in, and whose id it has (acs.md 1)."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote
from uuid import uuid4

from cli.doctor.acs_rest import ask_acs
from cli.doctor.examination import Answer, Examination, NoAnswer
from cli.doctor.finding import Finding, broken, ok, unknown
from shared.settings import AcsAccess

CALLS, IDENTITIES, NUMBERS = "2025-05-15", "2023-10-01", "2022-12-01"
"""Versions of ACS's interfaces (acs.md 1; azure-communication-phonenumbers has the last)."""
LIST_KEY = '"$(az communication list-key -n NAME -g GROUP --query primaryConnectionString -o tsv)"'
CLOCK_S = 600.0
"""A signed request is good for 15 minutes; a clock that is off by so much (s) is the likelier reason."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that is to be examined.

    Attributes:
        acs: where, and its key; without one a token is taken.
        audience: the id that it must have.
        of: ends the names of checks: "" or the tenant's.
        mend_access, mend_id: how endpoint and key, and the id (`{id}`), are put right.
    """

    acs: AcsAccess = field(repr=False)
    audience: str
    of: str
    mend_access: str
    mend_id: str


async def examine(
    exam: Examination, one: Resource, *, with_id: Finding | None = None
) -> AsyncIterator[Finding]:
    """One question to Call Automation, then an identity that is made and deleted.

    `with_id`: instead of the look at the id, which is not known.
    """
    try:
        path = f"/calling/callConnections/{uuid4()}?api-version={CALLS}"
        answer = await ask_acs(exam, one.acs, "GET", path, who=f"ACS{one.of}")
    except NoAnswer as error:
        yield broken(f"reached{one.of}", str(error), one.mend_access)
        return
    yield ok(f"reached{one.of}", one.acs.endpoint)
    access = ("key" if one.acs.access_key else "role") + one.of
    if (refusal := _refusal(exam, one, access, answer)) is not None:
        yield refusal
        return
    yield ok(access, "accepted by Call Automation")
    yield with_id or await _id(exam, one)


def _refusal(exam: Examination, one: Resource, access: str, answer: Answer) -> Finding | None:
    """What is wrong by the answer to a question about a call that does not exist; 404 is right."""
    if answer.status in (404, 410):
        return None
    if answer.status not in (401, 403):
        return broken(access, f"this is no Call Automation: it answered {answer.status}", one.mend_access)
    ahead = exam.clocks.get(f"ACS{one.of}", 0.0)
    if abs(ahead) > CLOCK_S:
        text = f"refused: this machine's clock is off by {-ahead:+.0f} s"
        return broken(access, text, "timedatectl set-ntp true")
    if not one.acs.access_key:
        mend = "role Contributor on the ACS resource: az role assignment create"
        return broken(access, f"ACS answered {answer.status}", mend)
    text = f"ACS answered {answer.status}: this resource has another key"
    return broken(access, text, one.mend_access.replace("=VALUE", f"={LIST_KEY}"))


async def _id(exam: Examination, one: Resource) -> Finding:
    """An identity's id begins with the resource's: `8:acs:RESOURCE_USER` (acs.md 1.4)."""
    check = f"resource id{one.of}"
    try:
        made = await ask_acs(exam, one.acs, "POST", f"/identities?api-version={IDENTITIES}", b"{}")
        user = str(made.json()["identity"]["id"]) if made.status == 201 else ""
    except NoAnswer as error:
        return unknown(check, str(error))
    except (KeyError, TypeError):
        user = ""
    found = re.fullmatch(r"8:acs:([0-9A-Za-z-]+)_[0-9A-Za-z-]+", user)
    if found is None:
        return unknown(check, f"ACS made no identity to look at (it answered {made.status})")
    left = await _delete(exam, one, user)
    if found[1] != one.audience:
        return broken(
            check,
            f"ACS_RESOURCE_ID is not this resource's: its callbacks and audio would be refused{left}",
            one.mend_id.format(id=found[1]),
        )
    return ok(check, f"it is what ACS signs for{left}")


async def _delete(exam: Examination, one: Resource, user: str) -> str:
    """Delete the identity; what to add to the report if that did not go."""
    path = f"/identities/{quote(user, safe='')}?api-version={IDENTITIES}"
    try:
        status = (await ask_acs(exam, one.acs, "DELETE", path)).status
    except NoAnswer:
        status = 0
    return "" if status == 204 else f" (the identity made for this, {user}, could not be deleted: {status})"


async def numbers_of(exam: Examination, acs: AcsAccess) -> dict[str, str] | None:
    """Each number that the resource has, with its calling capability; None if it does not say, as an emulator."""
    found: dict[str, str] = {}
    path = f"/phoneNumbers?skip=0&top=100&api-version={NUMBERS}"
    for _ in range(20):
        try:
            answer = await ask_acs(exam, acs, "GET", path)
        except NoAnswer:
            return None
        body = answer.json()
        if answer.status != 200 or not isinstance(body, dict):
            return None
        for one in body.get("phoneNumbers") or []:
            found[str(one.get("phoneNumber"))] = str((one.get("capabilities") or {}).get("calling", ""))
        following = str(body.get("nextLink") or "").removeprefix(acs.endpoint)
        if not following:
            break
        path = "/" + following.lstrip("/")
    return found
