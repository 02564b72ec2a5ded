"""The load generator: N callers on one side of a program under test, the model's socket on the other.

Every call sends 50 frames a second each way, staggered over the 20 ms. Every frame is counted and checked: order, loss,
damage, another call's audio, and the time it took. It runs as its own process, on its own core, and takes orders:
one JSON object per line on stdin, one answer per line on stdout; it ends with stdin.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import uvloop

from bench.process import Usage, children, usage
from bench.speakers import Caller, Gauge, Model
from bench.traffic import FRAME_MS, summary
from bench.twilio_speaker import TwilioCaller

SETTLE_S = 1.0
START_S = 20.0
QUIET_S = 3.0
OPEN_GAP_S = 0.01


@dataclass(frozen=True, slots=True)
class Call:
    """How one caller reaches the program: its path and the headers that ACS would send, or Twilio for its call `twilio`."""

    path: str
    headers: dict[str, str] = field(default_factory=dict)
    twilio: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Order:
    """One run.

    Attributes:
        port: of the program under test, on 127.0.0.1.
        pid: whose CPU and memory are measured, its children's apart.
        seconds: length of the measured window.
        calls: one for each caller.
        audio: base64 frames for every caller to say, or None for stamped frames both ways, which need the model.
        silent: mark the frames as silent.
    """

    port: int
    pid: int
    seconds: float
    calls: list[Call]
    audio: list[bytes] | None = None
    silent: bool = False

    @classmethod
    def parse(cls, line: str) -> "Order":
        """Read an order."""
        fields: dict[str, Any] = json.loads(line)
        fields["calls"] = [Call(**call) for call in fields["calls"]]
        if fields.get("audio") is not None:
            fields["audio"] = [frame.encode() for frame in fields["audio"]]
        return cls(**fields)

    def text(self) -> str:
        """The line that `parse` reads."""
        fields = asdict(self)
        if self.audio is not None:
            fields["audio"] = [frame.decode() for frame in self.audio]
        return json.dumps(fields)


class Wheel:
    """Calls `tick` of each member every 20 ms: twenty groups, one a millisecond, on a clock that does not drift."""

    def __init__(self) -> None:
        self.slots: list[list[Caller | Model]] = [[] for _ in range(FRAME_MS)]
        self.running = True

    async def turn(self) -> None:
        """Until `running` is false."""
        slot, due = 0, time.monotonic()
        while self.running:
            now = time.monotonic()
            while due <= now:
                for member in self.slots[slot]:
                    member.tick(time.monotonic_ns())
                slot = (slot + 1) % FRAME_MS
                due += 0.001
            await asyncio.sleep(due - time.monotonic())


class Generator:
    """The model's server, and one run after another."""

    def __init__(self) -> None:
        self._gauge = Gauge()
        self._wheel = Wheel()
        self._models: list[Model] = []

    def model(self) -> Model:
        """A new session of the model."""
        number = 1_000_000 + len(self._models)
        model = Model(number, self._gauge)
        self._wheel.slots[number * 7 % FRAME_MS].append(model)
        self._models.append(model)
        return model

    async def run(self, order: Order) -> dict[str, Any]:
        """One run, from the first caller to the last goodbye."""
        loop = asyncio.get_running_loop()
        self._gauge, self._wheel, self._models = Gauge(), Wheel(), []
        gauge, models = self._gauge, self._models
        before = _sample(order.pid)
        turning = asyncio.ensure_future(self._wheel.turn())
        callers: list[Caller] = []
        caller: Caller
        for number, call in enumerate(order.calls):
            if call.twilio:
                caller = TwilioCaller(call.path, call.headers, number, gauge.twilio, call.twilio)
            else:
                caller = Caller(call.path, call.headers, number, gauge, order.audio, order.silent)
            callers.append(caller)
            await loop.create_connection(partial(_same, caller), "127.0.0.1", order.port)
            self._wheel.slots[number * 3 % FRAME_MS].append(caller)
            await asyncio.sleep(OPEN_GAP_S)
        await _until(lambda: all(caller.heard or caller.ended for caller in callers), START_S)
        await asyncio.sleep(SETTLE_S)
        gauge.window.start_ns = time.monotonic_ns()
        start, own = _sample(order.pid), time.process_time()
        heard = sum(caller.heard for caller in callers)
        await asyncio.sleep(order.seconds)
        gauge.window.end_ns = time.monotonic_ns()
        end, own = _sample(order.pid), time.process_time() - own
        seconds = (gauge.window.end_ns - gauge.window.start_ns) / 1e9
        heard = sum(caller.heard for caller in callers) - heard
        self._wheel.running = False
        await turning
        broken = [caller.status for caller in callers if caller.ended or not caller.heard]
        if order.audio is None:
            await _until(lambda: _count(callers, models)["missing"] == 0, QUIET_S)
        counts = _count(callers, models)
        for caller in callers:
            caller.close()
        peers: list[Caller | Model] = [*callers, *models]
        await _until(lambda: all(peer.ended for peer in peers), QUIET_S)
        left = [peer for peer in peers if not peer.ended]
        for peer in left:
            peer.transport.abort()
        return {
            "calls": len(callers),
            "seconds": round(seconds, 3),
            "broken": broken,
            "left_open": len(left),
            "frames": counts if order.audio is None else {"sent_up": counts["sent_up"], "heard": heard},
            "unknown": gauge.unknown + gauge.twilio.unknown,
            "gaps": _gaps(callers, models),
            "up": summary(gauge.up),
            "down": summary(gauge.down),
            "twilio": {"up": summary(gauge.twilio.up), "down": summary(gauge.twilio.down)},
            "cpu_s": round(end[0].cpu - start[0].cpu, 3),
            "cpu_user_s": round(end[0].user - start[0].user, 3),
            "cpu_system_s": round(end[0].system - start[0].system, 3),
            "children_cpu_s": round(end[1] - start[1], 3),
            "rss_before_kib": before[0].rss_kib,
            "rss_kib": end[0].rss_kib,
            "generator_load": round(own / seconds, 3),
        }


def _sample(pid: int) -> tuple[Usage, float]:
    """The process itself, and the CPU seconds of its living descendants."""
    below = 0.0
    for child in children(pid):
        try:
            below += usage(child).cpu
        except OSError:
            continue  # it has just ended
    return usage(pid), below


def _gaps(callers: list[Caller], models: list[Model]) -> list[str]:
    """Where frames are missing, in words, for whoever looks for the reason."""
    found = [
        f"{way} {ear.speaker}: {count} from {first}"
        for way, ears in (("up", [m.ear for m in models]), ("down", [c.ear for c in callers]))
        for ear in ears
        for first, count in ear.gaps
    ]
    return found[:20]


def _count(callers: list[Caller], models: list[Model]) -> dict[str, int]:
    """Every frame of the run, from the first to the last."""
    ears = [caller.ear for caller in callers] + [model.ear for model in models]
    sent_up, sent_down = sum(caller.sent for caller in callers), sum(model.sent for model in models)
    received_up, received_down = sum(m.ear.received for m in models), sum(c.ear.received for c in callers)
    pairs = {model.number: model.ear.speaker for model in models}
    crossed = sum(pairs.get(caller.ear.speaker) != caller.number for caller in callers)
    return {
        "sent_up": sent_up,
        "received_up": received_up,
        "sent_down": sent_down,
        "received_down": received_down,
        "missing": sent_up - received_up + sent_down - received_down,
        "disordered": sum(ear.disordered for ear in ears),
        "damaged": sum(ear.damaged for ear in ears),
        "crossed": crossed + sum(ear.crossed for ear in ears),
    }


def _same(caller: Caller) -> Caller:
    return caller


async def _until(condition: Callable[[], bool], limit_s: float) -> None:
    """Until `condition()` holds, or the time is up: the result tells."""
    end = time.monotonic() + limit_s
    while not condition() and time.monotonic() < end:  # noqa: ASYNC110  # counters of many peers, looked at 20 times a second
        await asyncio.sleep(0.05)


async def serve() -> None:
    """Take orders until stdin ends."""
    loop = asyncio.get_running_loop()
    generator = Generator()
    server = await loop.create_server(lambda: generator.model(), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        result = await generator.run(Order.parse(line))
        print(json.dumps(result), flush=True)


def main() -> None:
    """Serve."""
    uvloop.run(serve())


if __name__ == "__main__":
    main()
