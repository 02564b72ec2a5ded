"""Tenants, as `patchcord.yaml` declares them: their ACS resource, what they may use, and their limits."""

from collections.abc import Collection, Iterator

from shared.config.checks import ACS_USER, SECRET, SECRET_EXPECTED, TENANT, Mistake, Part
from shared.config.outbound import OutboundConfig, outbound_mistakes
from shared.settings import is_service

DEFAULT_TENANT = "default"


class AcsResource(Part, frozen=True, kw_only=True):
    """An ACS resource of a tenant's own.

    Attributes:
        endpoint: `https://NAME.communication.azure.com`; plain http only on loopback.
        resource_id: its immutable id (a GUID), for which ACS signs what it sends us.
        key: reference to its access key; "" takes our managed identity.
    """

    endpoint: str
    resource_id: str
    key: str = ""


class TenantConfig(Part, frozen=True, kw_only=True):
    """A tenant.

    Attributes:
        acs: its ACS resource; None is the settings' one.
        agents: the only agents that may talk to its calls; empty allows all.
        max_concurrent_calls: None takes the setting MAX_CONCURRENT_CALLS.
        return_identities: ACS identities to which a caller may be given back (`returnTo`).
        outbound: which calls it may have us make; None allows none.
    """

    acs: AcsResource | None = None
    agents: list[str] = []
    max_concurrent_calls: int | None = None
    return_identities: list[str] = []
    outbound: OutboundConfig | None = None

    def may_use(self, agent: str) -> bool:
        """Whether `agent` may talk to its calls."""
        return not self.agents or agent in self.agents


def tenant_mistakes(tenants: dict[str, TenantConfig], agents: Collection[str]) -> Iterator[Mistake]:
    """What is wrong under `tenants`."""
    for name, tenant in tenants.items():
        place = f"tenants.{name}"
        if not TENANT.fullmatch(name):
            yield Mistake(place, "a name of small letters, digits and -", name)
        if tenant.max_concurrent_calls is not None and not 1 <= tenant.max_concurrent_calls <= 100_000:
            yield Mistake(
                f"{place}.max_concurrent_calls",
                "a whole number from 1 to 100000",
                str(tenant.max_concurrent_calls),
            )
        for index, agent in enumerate(tenant.agents):
            if agent not in agents:
                yield Mistake(f"{place}.agents[{index}]", "one of " + ", ".join(sorted(agents)), agent)
        for index, identity in enumerate(tenant.return_identities):
            if not ACS_USER.fullmatch(identity):
                yield Mistake(f"{place}.return_identities[{index}]", "an 8:acs:… identity", identity)
        if tenant.acs is not None:
            yield from _acs_mistakes(f"{place}.acs", tenant.acs)
        if tenant.outbound is not None:
            yield from outbound_mistakes(f"{place}.outbound", tenant.outbound)


def _acs_mistakes(place: str, acs: AcsResource) -> Iterator[Mistake]:
    if not is_service(acs.endpoint):
        yield Mistake(
            f"{place}.endpoint", "https://NAME.communication.azure.com (http only on loopback)", acs.endpoint
        )
    if not acs.resource_id:
        yield Mistake(f"{place}.resource_id", "the resource's immutable id (a GUID)", "none")
    if acs.key and not SECRET.fullmatch(acs.key):
        yield Mistake(f"{place}.key", SECRET_EXPECTED)
