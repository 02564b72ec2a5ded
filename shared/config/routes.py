"""Routes: which dialled address gets which agent."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from shared.config.checks import ADDRESS_EXPECTED, NAME, Mistake, Part, is_address
from shared.config.ivr import Ivr, Prompt
from shared.config.recovery import prompt_mistakes
from shared.config.tenants import DEFAULT_TENANT, TenantConfig
from shared.config.tools import WEB_EXPECTED, is_web
from shared.wire.identifiers import Identifier


class Overflow(Part, frozen=True, kw_only=True):
    """What a caller gets who cannot be taken.

    Attributes:
        action: `reject` gives the busy tone; `redirect` sends the ringing call to `to`; `queue` answers it without an agent,
            plays `message` again and again, and lets the agent take it as soon as there is room.
        to: E.164 or `8:acs:…`: of `redirect`; of `queue`, where to a caller goes who has waited too long ("": the call ends).
        message: `queue`: a text or a recording, best 5 to 15 s long: room is looked for after each time.
        goodbye: `queue`: said before the call of a caller who has waited too long is ended; "" says nothing.
        max_wait_s: `queue`: how long (s).
        max_waiting: `queue`: how many callers of the tenant may wait; one more is rejected.
        cognitive_services: `queue`: address of the resource that speaks texts; "" leaves recordings.
        voice: Azure's name of the voice.
    """

    action: Literal["reject", "redirect", "queue"] = "reject"
    to: str = ""
    message: Prompt = ""
    goodbye: Prompt = ""
    max_wait_s: int = 120
    max_waiting: int = 20
    cognitive_services: str = ""
    voice: str = "en-US-JennyNeural"


class Route(Part, frozen=True, kw_only=True):
    """Dialled addresses and who answers them: an `agent`, or an `ivr`.

    `to`: E.164 numbers, `8:acs:…` identities, or `*` for any.
    """

    name: str
    to: list[str]
    agent: str = ""
    ivr: str = ""
    tenant: str = DEFAULT_TENANT
    task: str = ""
    overflow: Overflow = Overflow()


def route_mistakes(
    routes: Sequence[Route],
    agents: Collection[str],
    ivrs: Mapping[str, Ivr],
    tenants: Mapping[str, TenantConfig],
) -> Iterator[Mistake]:
    """What is wrong under `routes`."""
    if not routes:
        yield Mistake("routes", "at least one route", "none")
    names: set[str] = set()
    addresses: set[tuple[str, str]] = set()
    for index, route in enumerate(routes):
        place = f"routes[{index}]"
        if not NAME.fullmatch(route.name) or route.name in names:
            yield Mistake(f"{place}.name", "a name of its own, of small letters, digits, - and _", route.name)
        names.add(route.name)
        yield from _to_mistakes(place, route, addresses)
        yield from _who_mistakes(place, route, agents, ivrs)
        if route.tenant != DEFAULT_TENANT and route.tenant not in tenants:
            yield Mistake(f"{place}.tenant", f"{DEFAULT_TENANT} or a name under tenants", route.tenant)
        elif route.agent and route.tenant in tenants and not tenants[route.tenant].may_use(route.agent):
            yield Mistake(
                f"{place}.agent", f"an agent that tenants.{route.tenant}.agents allows", route.agent
            )
        yield from _overflow_mistakes(f"{place}.overflow", route)


def _overflow_mistakes(place: str, route: Route) -> Iterator[Mistake]:
    overflow = route.overflow
    if overflow.action == "redirect" or (overflow.action == "queue" and overflow.to):
        if not is_address(overflow.to):
            yield Mistake(f"{place}.to", ADDRESS_EXPECTED, overflow.to)
    elif overflow.to:
        yield Mistake(f"{place}.to", "nothing: a rejected call goes nowhere", overflow.to)
    if overflow.action != "queue":
        return
    if route.ivr:
        yield Mistake(f"{place}.action", "reject or redirect: an IVR needs no media host", "queue")
    if overflow.cognitive_services and not is_web(overflow.cognitive_services):
        yield Mistake(f"{place}.cognitive_services", WEB_EXPECTED, overflow.cognitive_services)
    yield from prompt_mistakes(
        f"{place}.message", overflow.message, overflow.cognitive_services, required=True
    )
    yield from prompt_mistakes(f"{place}.goodbye", overflow.goodbye, overflow.cognitive_services)
    if not 5 <= overflow.max_wait_s <= 3600:
        yield Mistake(f"{place}.max_wait_s", "seconds from 5 to 3600", str(overflow.max_wait_s))
    if not 1 <= overflow.max_waiting <= 1000:
        yield Mistake(f"{place}.max_waiting", "a whole number from 1 to 1000", str(overflow.max_waiting))


def _who_mistakes(
    place: str, route: Route, agents: Collection[str], ivrs: Mapping[str, Ivr]
) -> Iterator[Mistake]:
    if route.agent and route.ivr:
        yield Mistake(place, "an agent or an ivr, not both", route.name)
    elif route.ivr and (route.ivr not in ivrs or ivrs[route.ivr].tenant != route.tenant):
        yield Mistake(f"{place}.ivr", "the name of an IVR of the route's tenant", route.ivr)
    elif not route.ivr and route.agent not in agents:
        yield Mistake(f"{place}.agent", "one of " + ", ".join(sorted(agents)), route.agent)


def _to_mistakes(place: str, route: Route, addresses: set[tuple[str, str]]) -> Iterator[Mistake]:
    if not route.to:
        yield Mistake(f"{place}.to", "at least one number, identity or *", "none")
    for index, address in enumerate(route.to):
        if address != "*" and not is_address(address):
            yield Mistake(f"{place}.to[{index}]", "an E.164 number, an 8:acs:… identity or *", address)
        # An address belongs to one route; `*` to one route of each tenant.
        key = (route.tenant if address == "*" else "", address)
        if key in addresses:
            yield Mistake(f"{place}.to[{index}]", "an address that no other route has", address)
        addresses.add(key)


def route_for(routes: Sequence[Route], tenant: str | None, callee: Identifier) -> Route | None:
    """The route for a dialled address: an exact one first, then `*`. `tenant` None looks at all tenants' routes."""
    own = [route for route in routes if tenant is None or route.tenant == tenant]
    for wanted in ({callee.raw_id, callee.value} - {""}, {"*"}):
        for route in own:
            if not wanted.isdisjoint(route.to):
                return route
    return None
