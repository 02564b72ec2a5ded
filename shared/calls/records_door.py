"""The HTTP side of call records: `GET /api/calls` and `GET /api/calls/{id}`."""

import re
from dataclasses import dataclass

from shared.calls.repository import Calls
from shared.errors import InvalidInput, NotFound
from shared.http import Reply, Request, json_reply

LIST_DEFAULT, LIST_MOST = 50, 500


@dataclass(frozen=True, slots=True)
class RecordsApi:
    """Answers authenticated requests."""

    calls: Calls

    async def list(self, tenant: str, asked: Request) -> Reply:
        """The tenant's newest calls, as many as the parameter `limit` says.

        Raises:
            InvalidInput: `limit`.
        """
        wanted = asked.params.get("limit", str(LIST_DEFAULT))
        if not re.fullmatch(r"[0-9]{1,3}", wanted) or not 1 <= int(wanted) <= LIST_MOST:
            raise InvalidInput("limit", f"a whole number from 1 to {LIST_MOST}")
        records = await self.calls.list(tenant, int(wanted))
        return json_reply({"calls": [record.to_summary() for record in records]})

    async def get(self, tenant: str, call_id: str) -> Reply:
        """One call of the tenant.

        Raises:
            NotFound: there is none, or it is another tenant's.
        """
        record = await self.calls.get(tenant, call_id)
        if record is None:
            raise NotFound("no such call")
        return json_reply(record.to_json())
