"""Call transfers, as `patchcord.yaml` declares them: one entry for each tenant that may lend us callers."""

from collections.abc import Collection, Iterator, Mapping

from shared.config.checks import ACS_USER, Mistake, Part
from shared.config.tenants import DEFAULT_TENANT, TenantConfig


class CallTransferConfig(Part, frozen=True, kw_only=True):
    """How a tenant's transfers are taken.

    Attributes:
        agent: who answers them.
        lifetime_s: how long a call may take to come (s).
        acs_user: our agent's ACS identity, for transfers of type ACS_USER; "" offers none.
    """

    agent: str
    lifetime_s: float = 60.0
    acs_user: str = ""


def call_transfer_mistakes(
    entries: dict[str, CallTransferConfig], agents: Collection[str], tenants: Mapping[str, TenantConfig]
) -> Iterator[Mistake]:
    """What is wrong under `call_transfers`."""
    users: set[str] = set()
    for tenant, entry in entries.items():
        place = f"call_transfers.{tenant}"
        if tenant != DEFAULT_TENANT and tenant not in tenants:
            yield Mistake(place, f"{DEFAULT_TENANT} or a name under tenants", tenant)
        if entry.agent not in agents:
            yield Mistake(f"{place}.agent", "one of " + ", ".join(sorted(agents)), entry.agent)
        elif tenant in tenants and not tenants[tenant].may_use(entry.agent):
            yield Mistake(f"{place}.agent", f"an agent that tenants.{tenant}.agents allows", entry.agent)
        if not 10 <= entry.lifetime_s <= 600:
            yield Mistake(f"{place}.lifetime_s", "seconds from 10 to 600", f"{entry.lifetime_s:g}")
        if entry.acs_user and (not ACS_USER.fullmatch(entry.acs_user) or entry.acs_user in users):
            yield Mistake(f"{place}.acs_user", "an 8:acs:… identity that no other tenant has", entry.acs_user)
        users.add(entry.acs_user)
