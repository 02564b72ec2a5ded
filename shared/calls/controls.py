"""Call control for each tenant: most share one ACS resource, some bring their own."""

import asyncio
from collections.abc import Mapping
from functools import partial

from shared.calls.control import CallControl
from shared.config.tenants import TenantConfig
from shared.security.secrets import Secrets
from shared.settings import AcsAccess


class CallControls:
    """One `CallControl` for each ACS resource.

    Args:
        shared: the settings' resource, for all tenants that have none of their own.
        own: of the others, by tenant.

    Attributes:
        shared, own: as given.
    """

    def __init__(self, shared: CallControl, own: Mapping[str, CallControl]) -> None:
        self.shared = shared
        self.own = own

    @classmethod
    def from_config(
        cls, acs: AcsAccess, managed_identity: str, tenants: Mapping[str, TenantConfig], secrets: Secrets
    ) -> "CallControls":
        """As the settings and patchcord.yaml have it; keys are read on first use."""
        own = {
            name: CallControl(
                AcsAccess(tenant.acs.endpoint),
                managed_identity,
                key=partial(secrets.get, tenant.acs.key) if tenant.acs.key else None,
            )
            for name, tenant in tenants.items()
            if tenant.acs is not None
        }
        return cls(CallControl(acs, managed_identity), own)

    def of(self, tenant: str) -> CallControl:
        """The one of a tenant's resource."""
        return self.own.get(tenant, self.shared)

    async def close(self) -> None:
        """Give back connections; idempotent."""
        await asyncio.gather(self.shared.close(), *(control.close() for control in self.own.values()))
