"""Faults on demand: what the emulated services do wrong when a test asks for it. The default is to do nothing wrong.

They can be set for every new call (`Emulator.faults`, `PUT /emulator/faults`, `patchcord emulate --fault`), for one call when it
is dialled (`faults:` in its script), and in mid-call (`fault:` as a step, `POST /emulator/calls/{id}/faults`).
"""

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec
import yaml
from aiohttp import web

from emulator.acs.errors import RestError
from shared.errors import InvalidInput

type MediaFault = Literal["", "abort", "half_open", "slow", "reconnect"]

SLOW_BYTES_S = 20_000
"""A slow media connection by default: less than a third of what 24 kHz audio needs (reliability.md 3E, 23)."""
LOOK_S = 0.05
MOST = 3600


@dataclass(slots=True)
class Faults:
    """Knobs of one call, or of the whole emulator (whose calls each start with a copy).

    Counts go down as faults happen; a change in mid-call counts from then on.

    Attributes:
        duplicate_events: further copies of each event, delivered at the same time.
        late_events_s: events are held back by this much (s) before the first attempt.
        lost_events: so many events are never delivered.
        reorder_events: each event waits until the next one was delivered (at most 5 s).
        event_age_s: `eventTime` is this much in the past (s), as after a long retry.
        duplicate_callbacks: further copies of each callback, with the same CloudEvent id.
        callback_order: `shuffled` (the service promises no order: the first callbacks come in any, and may beat the REST
            response), `natural`, or a list of callback types: each is held until those before it in the list were sent.
        callback_retries: further attempts when the app answers 5xx or does not answer (the service's number is unknown).
        late_callbacks_s: by type (`CallConnected`, or `*` for all others) how long a callback is held back (s).
        drop_callbacks: types that are never sent.
        unknown_callbacks: so many callbacks are followed by one of a type that nobody knows.
        media_refused: so many dials of the media WebSocket fail at the start.
        media_fault: what happens to the media WebSocket, once: `abort` (cut), `half_open` (nothing is sent or read any more,
            and nobody says so), `slow` (both ways at `slow_bytes_s`), `reconnect` (cut, and the service dials the same
            address again).
        media_fault_after_ms: when it happens, counted from the connection's start (ms).
        slow_bytes_s: bytes per second of a slow connection.
        odd_frames: so many `AudioData` frames have an odd size: too short, too long, empty, half a sample.
        unknown_kinds: so many media messages of unknown kinds are sent.
        rest_status: for an operation (`answer`, `hangUp`, `transferToParticipant`, …) the statuses of its first requests,
            which then have no effect.
        rest_retry_after_s: `Retry-After` of a 429 (s, whole seconds); None leaves the header out.
        rest_delay_s: for an operation how long its first response is held back (s) after it has taken effect.
        rest_timeout: for an operation how many of its requests are never answered and have no effect.
        failing_targets: addresses (`+1…`, `8:acs:…`) at which a transfer or an invitation fails.
        clock_skew_s: the signing clock is ahead by this much (s).
        bad_signatures: so many of Twilio's requests and upgrades are signed with a key that is not the account's.
        webhook_delay_s: Twilio holds each of its requests back by this much (s).
    """

    duplicate_events: int = 0
    duplicate_callbacks: int = 0
    callback_order: str | Sequence[str] = "shuffled"
    callback_retries: int = 3
    drop_callbacks: frozenset[str] = frozenset()
    media_refused: int = 0
    rest_status: Mapping[str, Sequence[int]] = field(default_factory=dict)
    rest_delay_s: Mapping[str, float] = field(default_factory=dict)
    failing_targets: frozenset[str] = frozenset()
    clock_skew_s: float = 0.0
    late_events_s: float = 0.0
    lost_events: int = 0
    reorder_events: bool = False
    event_age_s: float = 0.0
    late_callbacks_s: Mapping[str, float] = field(default_factory=dict)
    unknown_callbacks: int = 0
    media_fault: MediaFault = ""
    media_fault_after_ms: float = 0.0
    slow_bytes_s: int = SLOW_BYTES_S
    odd_frames: int = 0
    unknown_kinds: int = 0
    rest_retry_after_s: int | None = 1
    rest_timeout: Mapping[str, int] = field(default_factory=dict)
    bad_signatures: int = 0
    webhook_delay_s: float = 0.0

    def copy(self) -> "Faults":
        """Another one with the same values, for a call of its own."""
        return dataclasses.replace(self)

    def set(self, changes: Mapping[str, Any]) -> None:
        """Change some knobs, from JSON or YAML values; all or none.

        Raises:
            InvalidInput: names the wrong knob.
        """
        changed = parse_faults({**self.to_json(), **changes})
        for name in changes:
            setattr(self, name, getattr(changed, name))

    def to_json(self) -> dict[str, Any]:
        """The values as JSON has them."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        sets = {"drop_callbacks", "failing_targets"}
        return {name: sorted(value) if name in sets else value for name, value in values.items()}

    @property
    def media_trouble(self) -> bool:
        """Whether anything is due on the media connection; asked in every 20 ms tick."""
        return bool(self.media_fault or self.odd_frames or self.unknown_kinds)

    # --- counts that go down as faults happen ---

    def take(
        self, name: Literal["media_refused", "lost_events", "unknown_callbacks", "bad_signatures"]
    ) -> bool:
        """Whether this fault is due; if so, there is one less of it."""
        left: int = getattr(self, name)
        if left <= 0:
            return False
        setattr(self, name, left - 1)
        return True

    def take_delay_s(self, operation: str) -> float:
        """How long this response has to be held back (s); the next one is not."""
        delay_s = self.rest_delay_s.get(operation, 0.0)
        self.rest_delay_s = {name: value for name, value in self.rest_delay_s.items() if name != operation}
        return delay_s

    def take_status(self, operation: str) -> int | None:
        """The status with which this request has to fail, or None."""
        statuses = self.rest_status.get(operation)
        if not statuses:
            return None
        self.rest_status = {**self.rest_status, operation: tuple(statuses[1:])}
        return statuses[0]

    def take_timeout(self, operation: str) -> bool:
        """Whether this request is never answered."""
        left = self.rest_timeout.get(operation, 0)
        if left > 0:
            self.rest_timeout = {**self.rest_timeout, operation: left - 1}
        return left > 0

    def late_s(self, kind: str) -> float:
        """How long a callback of this type is held back (s)."""
        return self.late_callbacks_s.get(kind, self.late_callbacks_s.get("*", 0.0))


def parse_faults(value: object) -> Faults:
    """Faults from JSON or YAML data with the fields of `Faults`.

    Raises:
        InvalidInput: names the wrong knob.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput("faults", "a mapping of knobs to values")
    known = {item.name for item in dataclasses.fields(Faults)}
    for name in value:
        if name not in known:
            raise InvalidInput(f"faults.{name}", "one of " + ", ".join(sorted(known)))
    try:
        faults: Faults = msgspec.convert(dict(value), Faults)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise InvalidInput(f"faults{path.rstrip('`')}", text) from None
    _check(faults)
    return faults


def _check(faults: Faults) -> None:
    order = faults.callback_order
    if isinstance(order, str) and order not in ("shuffled", "natural"):
        raise InvalidInput("faults.callback_order", "shuffled, natural, or a list of callback types")
    if faults.slow_bytes_s < 1:
        raise InvalidInput("faults.slow_bytes_s", "at least 1 byte/s")
    for item in dataclasses.fields(faults):
        value = getattr(faults, item.name)
        if item.name == "clock_skew_s" or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if item.name != "slow_bytes_s" and not 0 <= value <= (
            MOST * 1000 if item.name.endswith("_ms") else MOST
        ):
            raise InvalidInput(f"faults.{item.name}", "a number from 0 up, at most an hour or 3600 times")
    for statuses in faults.rest_status.values():
        if any(not 400 <= status <= 599 for status in statuses):
            raise InvalidInput("faults.rest_status", "statuses from 400 to 599")


def fault_argument(text: str) -> dict[str, Any]:
    """One knob from the command line: `media_fault=abort`, `rest_status={answer: [429, 500]}` (the value is YAML).

    Raises:
        InvalidInput: it has no `=`, or the value is no YAML.
    """
    name, mark, value = text.partition("=")
    if not mark:
        raise InvalidInput("--fault", "KNOB=VALUE, for example media_fault=abort")
    try:
        return {name.strip(): yaml.safe_load(value)}
    except yaml.YAMLError:
        raise InvalidInput(f"--fault {name}", "a value in YAML") from None


async def hinder(faults: Faults, operation: str, request: web.Request) -> None:
    """Let a REST request fail, or never be answered, when the faults say so; otherwise returns at once.

    A request that is never answered ends when its client gives up, or the emulator stops.

    Raises:
        RestError: the status that was asked for; the request has had no effect.
    """
    if faults.take_timeout(operation):
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110  # aiohttp has no event for it
            await asyncio.sleep(LOOK_S)
        raise RestError(504, "504", "Timed out on demand.")  # nobody reads it
    status = faults.take_status(operation)
    if status is not None:
        raise RestError(status, "8516" if status == 429 else str(status), "Failed on demand.")
