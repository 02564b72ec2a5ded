"""The emulator's control API, seen from another process."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from shared.errors import PatchcordError, Unavailable


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """A call dialled through the control API."""

    id: str
    correlation_id: str


class RemotePhone:
    """Dials scripted calls on an emulator that another process runs.

    Args:
        base: the emulator's address.
        control_key: its control key.
    """

    def __init__(self, base: str, control_key: str) -> None:
        self._base = base
        self._session = aiohttp.ClientSession(headers={"Authorization": f"Bearer {control_key}"})

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()

    async def dial(self, script: Path) -> RemoteCall:
        """Start a call.

        Raises:
            PatchcordError: the emulator refuses the script; the message names the step.
            Unavailable: nothing answers at the emulator's address.
        """
        body = yaml.safe_load(script.read_text())
        try:
            async with self._session.post(f"{self._base}/emulator/calls", json=body) as response:
                answer = await response.json(content_type=None)
                if response.status != 201:
                    raise PatchcordError(f"{script}: {answer['error']['message']}")
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"no emulator answers at {self._base}: start one with `patchcord up`"
            ) from error
        return RemoteCall(answer["id"], answer["correlationId"])

    async def story(self, call: RemoteCall) -> AsyncIterator[Mapping[str, Any]]:
        """The story's events until the call has ended."""
        forever = aiohttp.ClientTimeout(total=None)
        url = f"{self._base}/emulator/calls/{call.id}/story"
        async with self._session.get(url, timeout=forever) as response:
            async for raw in response.content:
                yield json.loads(raw)

    async def summary(self, call: RemoteCall) -> Mapping[str, Any]:
        """What the phone measured."""
        async with self._session.get(f"{self._base}/emulator/calls/{call.id}") as response:
            summary: Mapping[str, Any] = await response.json()
            return summary
