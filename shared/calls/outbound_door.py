"""The HTTP side of outbound calls: `POST /api/v1/calls`."""

from dataclasses import dataclass

from shared.calls.outbound import Outbound
from shared.calls.outbound_request import parse_new_call, to_json
from shared.http import Reply, Request, json_reply, require_json


@dataclass(frozen=True, slots=True)
class OutboundApi:
    """Answers authenticated requests."""

    outbound: Outbound

    async def create(self, tenant: str, asked: Request) -> Reply:
        """Call somebody; 202, also for the same request again. What becomes of it is in the call's record.

        Raises:
            UnsupportedMediaType: the body is no JSON by its own account.
            InvalidInput: names the first wrong field.
            PatchcordError: what `Outbound.create` says.
        """
        require_json(asked)
        new = parse_new_call(asked.body)
        record = await self.outbound.create(tenant, new, asked.request_id)
        return json_reply(to_json(new, record), 202, {"location": f"/api/calls/{record.call_id}"})
