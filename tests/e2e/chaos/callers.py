"""Callers who never stop to make a sound and always hear it again: any silence in what they hear is a gap of ours."""

import asyncio
import io
import statistics
import time
import wave
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cli.gateway_client import GatewayClient, is_complete
from cli.stack import Stack
from emulator.phone.scripted import ScriptedCall
from shared.errors import PatchcordError
from tests.support.timing import patience

type Json = Mapping[str, Any]

NUMBER = "+18005550000"
RESOURCE = "9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10"
IDENTITY = f"8:acs:{RESOURCE}_patchcord"
UNREPORTED = "disconnect_not_reported"
QUIET = 100.0
"""RMS below which 20 ms are silence; the tones have several thousand."""

CONFIG = """
agents:
  mirror: {{kind: realtime, service: openai, endpoint: "{model}", auth: none, model: echo, connections_per_minute: 10000,
           silence: {{after_s: 0}}}}
recovery:
  identity: "{identity}"
  cognitive_services: https://speech.example
  waiting: One moment, please. We are connecting you again.
  notice: I am sorry. Please call again.
routes:
  - {{name: all, to: ["{number}"], agent: mirror, overflow: {overflow}}}
tenants:
  default: {{max_concurrent_calls: {limit}}}
"""


def configuration(model: str, *, overflow: str = "{action: reject}", limit: int = 1000) -> str:
    """patchcord.yaml of these callers."""
    return CONFIG.format(model=model, identity=IDENTITY, number=NUMBER, overflow=overflow, limit=limit)


@dataclass(frozen=True, slots=True)
class Told:
    """One caller afterwards.

    Attributes:
        answered_s: how long it rang (s).
        gap_ms: the longest silence that it heard after the first sound (ms).
        ended: reason in the last record of the conversation, or what is wrong with it.
        moved: how often another call went on with the conversation.
        faults: what the telephone says went wrong, or "".
    """

    answered_s: float
    gap_ms: int
    ended: str
    moved: int
    faults: str = ""


@dataclass(slots=True)
class Callers:
    """Some callers of one stack."""

    stack: Stack
    calls: list[ScriptedCall] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    """Ids of those who hung up in the middle, as they should."""

    def hang_up(self, call: ScriptedCall) -> None:
        """The caller hangs up before the time."""
        self.left.add(call.id)
        call.hang_up()

    async def dial(self, count: int, seconds: float, *, apart_s: float = 0.05) -> list[ScriptedCall]:
        """Dial `count` times; each caller sounds for `seconds` from the answer on, then hangs up."""
        placed = []
        for _ in range(count):
            number = len(self.calls)
            script = {
                "from": f"+1425555{number:04}",
                "to": NUMBER,
                "limit_s": 300,
                "steps": [
                    {"tone": {"hz": 300 + 20 * (number % 50), "seconds": seconds, "within_s": 280}},
                    "hang_up",
                ],
            }
            placed.append(await self.stack.emulator.dial(script))
            self.calls.append(placed[-1])
            await asyncio.sleep(apart_s)
        return placed

    async def heard(self, calls: Sequence[ScriptedCall], within_s: float = 60) -> None:
        """Wait until each of `calls` has heard something.

        Raises:
            TimeoutError, LookupError: one has not, or it has ended before.
        """
        async with asyncio.timeout(patience(within_s)):
            await asyncio.gather(*(call.first("agent_audio") for call in calls))

    async def ended(self, within_s: float = 120) -> None:
        """Wait until all have hung up."""
        async with asyncio.timeout(patience(within_s)):
            await asyncio.gather(*(call.ended() for call in self.calls))

    async def told(self, within_s: float = 60) -> list[Told]:
        """What became of each, once all records are complete."""
        client = self.stack.client()
        try:
            records = await _complete(client, len(self.calls), within_s)
        finally:
            await client.close()
        return [_told(call, records, left=call.id in self.left) for call in self.calls]


async def _complete(client: GatewayClient, at_least: int, within_s: float) -> list[Json]:
    """All records, as soon as they are complete, or as they are when that takes too long."""
    until = time.monotonic() + patience(within_s)
    while True:
        try:
            records = [await client.call(str(known["callId"])) for known in await every_call(client)]
        except PatchcordError:
            records = []  # the function app is away for a moment
        if len(records) >= at_least and all(map(_is_final, records)):
            return records
        if time.monotonic() > until:
            return records
        await asyncio.sleep(0.5)


async def every_call(client: GatewayClient) -> list[Json]:
    """Summaries of the tenant's newest 200 calls."""
    status, body = await client.ask("GET", "/api/calls?limit=200")
    if status != 200:
        raise PatchcordError(f"the list of calls answered {status}")
    return list(body["calls"])


def _is_final(record: Json) -> bool:
    """Whether nothing more is to come; the end may also be known from the sweep alone, when ACS could not report it."""
    return is_complete(record) or (record["ended"] or {}).get("reason") == UNREPORTED


def _told(call: ScriptedCall, records: Sequence[Json], *, left: bool) -> Told:
    summary = call.summary()
    by_source = {record["movedFrom"]: record for record in records if record["movedFrom"]}
    found = [record for record in records if record["correlationId"] == call.correlation_id]
    if len(found) != 1:
        return Told(0, 0, f"{len(found)} records", 0, str(summary["failed"] or ""))
    last, moved = found[0], 0
    while last["callId"] in by_source:
        if last["ended"] is None or last["ended"]["reason"] != "moved":
            return Told(0, 0, f"moved, but ended with {last['ended']}", moved)
        last, moved = by_source[last["callId"]], moved + 1
    ended = last["ended"]["reason"] if last["ended"] and _is_final(last) else "not final"
    if left and ended == UNREPORTED:
        ended = "caller_hung_up"  # within the outage: nobody could tell us
    faults = "" if left else str(summary["failed"] or "")
    return Told((summary["answered_ms"] or 0) / 1000, longest_gap_ms(call), ended, moved, faults)


def longest_gap_ms(call: ScriptedCall) -> int:
    """The longest silence between the first and the last sound that the caller heard (ms), from its recording."""
    heard = call.heard_wav()
    if heard is None:
        return 0
    with wave.open(io.BytesIO(heard)) as wav:
        frame = wav.getframerate() // 50
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(float)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    loud = np.flatnonzero(np.sqrt((frames**2).mean(axis=1)) >= QUIET)
    return 20 * int(max(np.diff(loud) - 1, default=0))


def spread(values: Sequence[float]) -> str:
    """`median / highest`."""
    return f"{statistics.median(values):.0f} / {max(values):.0f}" if values else "-"
