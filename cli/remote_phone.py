"""The emulator's control API, seen from another process."""

import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
        ca_file: the certificate to trust when it speaks https.
    """

    def __init__(self, base: str, control_key: str, ca_file: Path | None = None) -> None:
        self._base = base
        trust = ssl.create_default_context(cafile=ca_file) if ca_file else True
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {control_key}"}, connector=aiohttp.TCPConnector(ssl=trust)
        )

    async def close(self) -> None:
        """Give the connections back."""
        await self._session.close()

    async def dial(self, script: Path | Mapping[str, Any], name: str = "") -> RemoteCall:
        """Start a call that a script describes, in a YAML file or as its data; `name` is what errors call it.

        Raises:
            PatchcordError: there is no such file, or the emulator refuses the script; the message names the step.
            Unavailable: nothing answers at the emulator's address.
        """
        body = read_script(script) if isinstance(script, Path) else script
        name = name or (str(script) if isinstance(script, Path) else "")
        try:
            async with self._session.post(f"{self._base}/emulator/calls", json=body) as response:
                answer = await response.json(content_type=None)
                if response.status != 201:
                    raise PatchcordError(f"{name}{': ' if name else ''}{answer['error']['message']}")
        except aiohttp.ClientError as error:
            raise Unavailable(
                f"no emulator answers at {self._base}: start one with `patchcord up` or `patchcord emulate`"
            ) from error
        return RemoteCall(answer["id"], answer["correlationId"])

    async def story(self, call: RemoteCall) -> AsyncIterator[Mapping[str, Any]]:
        """The story's events until the call has ended."""
        forever = aiohttp.ClientTimeout(total=None)
        url = f"{self._base}/emulator/calls/{call.id}/story"
        async with self._session.get(url, timeout=forever) as response:
            async for raw in response.content:
                yield json.loads(raw)

    async def hang_up(self, call: RemoteCall) -> None:
        """The caller hangs up."""
        async with self._session.post(f"{self._base}/emulator/calls/{call.id}/hang-up"):
            pass

    async def press(self, call: RemoteCall, keys: str) -> bool:
        """The caller presses keys; False when nobody is on the line yet, or any more."""
        url = f"{self._base}/emulator/calls/{call.id}/keys"
        async with self._session.post(url, json={"keys": keys}) as response:
            return response.status == 204

    async def speak(self, call: RemoteCall, pcm: AsyncIterator[bytes]) -> None:
        """The caller says `pcm` (PCM16LE mono at the rate of `hearing`) as it comes; until it or the call ends."""
        url = f"{self._base}/emulator/calls/{call.id}/voice"
        # Whichever side ends the call breaks this off.
        with contextlib.suppress(aiohttp.ClientError):
            async with self._session.post(url, data=pcm, timeout=aiohttp.ClientTimeout(total=None)):
                pass

    @contextlib.asynccontextmanager
    async def hearing(self, call: RemoteCall) -> AsyncIterator[tuple[int, AsyncIterator[bytes]] | None]:
        """What the caller hears: the sample rate (Hz) and PCM16LE mono until the call has ended; None when nobody answered."""
        url = f"{self._base}/emulator/calls/{call.id}/hearing"
        forever = aiohttp.ClientTimeout(total=None)
        async with self._session.get(url, timeout=forever) as response:
            if response.status != 200:
                yield None
            else:
                yield int(response.headers["X-Sample-Rate"]), response.content.iter_any()

    async def summary(self, call: RemoteCall) -> Mapping[str, Any]:
        """What the phone measured."""
        async with self._session.get(f"{self._base}/emulator/calls/{call.id}") as response:
            summary: Mapping[str, Any] = await response.json()
            return summary

    async def wav(self, call: RemoteCall, side: Literal["heard", "said"]) -> bytes | None:
        """What the caller heard or said, as a WAV file; None when nobody answered."""
        async with self._session.get(f"{self._base}/emulator/calls/{call.id}/{side}.wav") as response:
            return await response.read() if response.status == 200 else None


def read_script(path: Path) -> Any:
    """A caller's script as the control API takes it: the paths of its WAV files are absolute.

    Raises:
        PatchcordError: there is no such file, or it is no YAML.
    """
    try:
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PatchcordError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise PatchcordError(f"{path}: this is no YAML") from None
    steps = body.get("steps") if isinstance(body, dict) else None
    for step in steps if isinstance(steps, list) else []:
        played = step.get("play") if isinstance(step, dict) else None
        if isinstance(played, str):
            step["play"] = str((path.parent / played).resolve())
        elif isinstance(played, dict) and isinstance(played.get("file"), str):
            played["file"] = str((path.parent / played["file"]).resolve())
    return body
