"""A small client of the function app's API, as a tenant would use it."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp

from shared.errors import NotFound, PatchcordError, Unavailable

type Json = Mapping[str, Any]


class GatewayClient:
    """Requests with a tenant's credentials; `GET /api/calls` and `GET /api/calls/{id}` by name.

    Args:
        base: the function app's address.
        headers: the two credential headers.
    """

    def __init__(self, base: str, headers: Mapping[str, str]) -> None:
        self._base = base
        self._session = aiohttp.ClientSession(headers=dict(headers), timeout=aiohttp.ClientTimeout(total=10))

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()

    async def ask(self, method: str, path: str, body: Json | None = None) -> tuple[int, Json]:
        """Any request: the status and the JSON that answers it, an error's too.

        Raises:
            Unavailable: the function app does not answer.
        """
        try:
            async with self._session.request(method, self._base + path, json=body) as response:
                answer: Json = await response.json(content_type=None)
                return response.status, answer
        except aiohttp.ClientError as error:
            raise Unavailable(f"the function app does not answer at {self._base}: {error}") from error

    async def _get(self, path: str) -> Any:
        try:
            async with self._session.get(self._base + path) as response:
                body = await response.json(content_type=None)
                if response.status == NotFound.status:
                    raise NotFound(f"{path}: not found")
                if response.status != 200:
                    raise PatchcordError(f"GET {path} answered {response.status}: {body}")
                return body
        except aiohttp.ClientError as error:
            raise Unavailable(f"the function app does not answer at {self._base}: {error}") from error

    async def calls(self) -> list[Json]:
        """The newest calls, newest first."""
        body = await self._get("/api/calls")
        calls: list[Json] = body["calls"]
        return calls

    async def call(self, call_id: str) -> Json:
        """One call's record.

        Raises:
            NotFound: no such call of this tenant.
        """
        record: Json = await self._get(f"/api/calls/{call_id}")
        return record

    async def find(self, correlation_id: str) -> Json | None:
        """The summary of the call that ACS knows by `correlation_id`, or None while there is none."""
        for call in await self.calls():
            if call.get("correlationId") == correlation_id:
                return call
        return None

    async def follow(self, correlation_id: str, every_s: float = 0.3) -> AsyncIterator[Json]:
        """The record again and again while it grows; never ends by itself."""
        call_id = ""
        while True:
            record = None
            try:
                if not call_id and (found := await self.find(correlation_id)):
                    call_id = str(found["callId"])
                if call_id:
                    record = await self.call(call_id)
            except Unavailable:
                pass  # the function app is being restarted; the next look will tell
            if record is not None:
                yield record
            await asyncio.sleep(every_s)

    async def settled(self, correlation_id: str, within_s: float) -> Json:
        """The record once it is complete: ACS has reported the end, and the media host has written its last word.

        Raises:
            Unavailable: it was not complete `within_s` seconds later.
        """
        try:
            async with asyncio.timeout(within_s):
                async for record in self.follow(correlation_id, 0.1):
                    if is_complete(record):
                        return record
        except TimeoutError:
            pass
        raise Unavailable(f"the call's record was not complete after {within_s:.0f} s")


def is_complete(record: Json) -> bool:
    """Whether nothing more is to come into a call's record. Twilio tells of no code with which a call has ended."""
    if record["state"] in ("rejected", "redirected", "failed"):
        return True
    if record["state"] != "ended":
        return False
    media = record["media"]
    silent = media["endedAt"] or media["lost"] or not media["startedAt"]
    told = record.get("line") == "twilio" or record["ended"]["code"] is not None
    return bool(told and silent)
