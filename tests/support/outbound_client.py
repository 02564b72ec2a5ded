"""A client of `POST /api/v1/calls` for tests over `call_world`."""

import json
from typing import Any

from shared.http import request
from shared.security.tenants import ALL_SCOPES

PHONE = "+14255550111"
ASKED = {
    "id": "o1",
    "number": PHONE,
    "agent": "reception",
    "taskName": "remind",
    "inputVariables": {"name": "Žofie"},
}


class Caller:
    """Makes calls with one tenant's credentials."""

    def __init__(self, world: Any, credentials: Any) -> None:
        self.world, self.credentials = world, credentials

    @classmethod
    async def of(cls, world: Any, tenant: str = "default", scopes=ALL_SCOPES) -> "Caller":
        return cls(world, await world.app.door.issue(tenant, scopes))

    def headers(self, **more: str) -> dict[str, str]:
        own = {"api-id": self.credentials.api_id, "api-secret": self.credentials.api_secret}
        return own | {"content-type": "application/json"} | more

    async def post(self, body: bytes | None = None, headers=None, **changes: Any) -> tuple[int, dict]:
        """Status and body; None takes a field away."""
        wanted = {name: value for name, value in (ASKED | changes).items() if value is not None}
        sent = json.dumps(wanted).encode() if body is None else body
        reply = await self.world.app.create_call(request("req-7", headers or self.headers(), sent))
        return reply.status, json.loads(reply.body)

    async def call(self, **changes: Any) -> dict:
        """A call that is accepted."""
        status, body = await self.post(**changes)
        assert status == 202, body
        return body

    async def refused(self, **changes: Any) -> tuple[int, str, str]:
        """Status, code and message of a refusal."""
        status, body = await self.post(**changes)
        return status, body["error"]["code"], body["error"]["message"]

    async def record(self, call_id: str, tenant: str = "default") -> Any:
        return await self.world.calls.get(tenant, call_id)
