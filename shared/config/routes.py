"""Routes: which dialled address gets which agent."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

from shared.config.checks import ADDRESS_EXPECTED, NAME, Mistake, Part, is_address
from shared.config.ivr import Ivr
from shared.config.tenants import DEFAULT_TENANT, TenantConfig
from shared.wire.identifiers import Identifier


class Overflow(Part, frozen=True, kw_only=True):
    """What a caller gets who cannot be taken: the busy tone, or another number (`to`: E.164 or `8:acs:…`)."""

    action: Literal["reject", "redirect"] = "reject"
    to: str = ""


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
        if route.overflow.action == "redirect" and not is_address(route.overflow.to):
            yield Mistake(f"{place}.overflow.to", ADDRESS_EXPECTED, route.overflow.to)


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
