"""What one call's audio side tells people who look after the host: spans and metrics, made of the events that its record gets.

It sees each event as it is noted, never a frame of audio, so a call's audio costs nothing more for being watched. Of what is
said it tells how long it took, not what it was.
"""

from collections.abc import Callable, Iterable, Mapping

from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.handovers import OVER, TOGETHER
from shared.calls.record import CallRecord
from shared.telemetry import metrics, traces
from shared.telemetry.current import Current, follow, parse_trace, working_on
from shared.telemetry.instruments import Instrument
from shared.telemetry.traces import Happening, Value

FALLBACK = "agent_fallback"
"""Code of the fault that says that another agent has taken over (`agents.fallback`)."""

_NOT_THE_AGENT = frozenset({"media_lost", "drain"})
_TOLD = ("code", "reason", "phase", "by", "heardMs", "count", "answeredBy", "transferType", "target", "mode")
"""Details of events that are names or numbers."""


class CallTelemetry:
    """One call's connection.

    Args:
        record: the call as it stood when the line connected.
        now: Unix seconds.
        tools: names of the agent's tools; others are made up.
    """

    def __init__(self, record: CallRecord, now: Callable[[], float], tools: frozenset[str]) -> None:
        self._record = record
        self._now = now
        self._tools = tools
        self._media: traces.Open | None = None
        self._where = Current(record.call_id)
        self._handover: tuple[traces.Open | None, str] | None = None
        self._ending: tuple[float, str] | None = None

    def seen(self, event: CallEvent) -> None:
        """`event` has just been noted, by whatever task or callback of the line."""
        if event.kind is EventKind.MEDIA_CONNECTED:
            self._begin(event)
            return
        with working_on(self._where):
            self._tell(event)

    def _tell(self, event: CallEvent) -> None:
        data = event.data
        match event.kind:
            case EventKind.AGENT_READY:
                self._took(event, "agent start", metrics.AGENT_START, agent=_text(data, "agent"))
            case EventKind.FIRST_AUDIO:
                self._took(event, "first audio")
            case EventKind.TOOL:
                self._tool(event)
            case EventKind.CALLER_SAID:
                traces.past("caller speaks", event.at, self._now())
            case EventKind.AGENT_SAID:
                heard_s = _number(data, "heardMs") / 1000
                interrupted = data.get("interrupted") is True
                traces.past("agent speaks", event.at, event.at + heard_s, interrupted=interrupted)
            case EventKind.BARGE_IN:
                metrics.BARGE_IN.add(_number(data, "silenceMs") / 1000)
                self._happened(event)
            case EventKind.TRANSFER:
                mode = _text(data, "mode")
                self._handover = (traces.begin("handover", at=event.at, attributes=_told(data)), mode)
            case EventKind.HANDOVER:
                self._phase(event)
            case EventKind.FAULT:
                self._fault(_text(data, "code"))
                self._happened(event)
            case EventKind.HANG_UP:
                self._ending = (event.at, _text(data, "reason"))
                self._happened(event)
            case EventKind.OUTCOME:
                self._outcome(event)
            case EventKind.MEDIA_CLOSED:
                self._end(event)
            case _:
                self._happened(event)

    def _begin(self, event: CallEvent) -> None:
        """The call's tasks of this host work below its span from now on."""
        record = self._record
        follow(record.call_id, parse_trace(record.trace) or traces.fresh())
        attributes: dict[str, Value] = {
            "patchcord.tenant": record.tenant,
            "patchcord.line": record.line,
            "patchcord.agent": record.agent,
            "patchcord.host": _text(event.data, "hostId"),
            "patchcord.resumed": event.data.get("resumed") is True,
        }
        self._media = traces.begin("media", at=event.at, kind="server", attributes=attributes)
        if self._media is not None:
            self._where = Current(record.call_id, self._media.context)
            follow(record.call_id, self._media.context)

    def _took(self, event: CallEvent, name: str, metric: Instrument | None = None, **about: str) -> None:
        seconds = _number(event.data, "ms") / 1000
        if metric is not None:
            metric.add(seconds, about)
        traces.past(name, event.at - seconds, event.at, **about)

    def _tool(self, event: CallEvent) -> None:
        seconds, name = _number(event.data, "ms") / 1000, _text(event.data, "name")
        name = name if name in self._tools else "unknown"
        result = "ok" if event.data.get("ok") is True else "error"
        metrics.TOOL_SECONDS.add(seconds, tool=name, result=result)
        failed = "" if result == "ok" else "the tool gave an error"
        traces.past(f"tool {name}", event.at - seconds, event.at, failed=failed, tool=name)

    def _phase(self, event: CallEvent) -> None:
        phase = _text(event.data, "phase")
        if self._handover is None:
            return
        span, _ = self._handover
        if span is not None:
            span.happened(Happening(phase, event.at, {}))
        if phase in TOGETHER or phase in OVER:
            self._handed_over(event.at, phase)

    def _handed_over(self, at: float, result: str) -> None:
        if self._handover is not None:
            span, mode = self._handover
            self._handover = None
            metrics.HANDOVERS.add(mode=mode, result=result)
            if span is not None:
                span.set({"patchcord.result": result})
                span.end(at, result if result in OVER else "")

    def _fault(self, code: str) -> None:
        metrics.FAULTS.add(code=code)
        if code == FALLBACK:
            metrics.FALLBACKS.add(code=code)

    def _outcome(self, event: CallEvent) -> None:
        told = event.data.get("referenceVariables")
        if isinstance(told, dict) and (code := _text(told, "error")) and code not in _NOT_THE_AGENT:
            metrics.AGENT_FAILURES.add(agent=self._record.agent, code=code)
        self._happened(event)

    def _end(self, event: CallEvent) -> None:
        self._handed_over(event.at, "left")
        if self._ending is not None:
            begun, reason = self._ending
            traces.past("hang-up", begun, event.at, reason=reason)
        if self._media is not None:
            self._media.set({"patchcord.end.reason": _text(event.data, "reason")})
            self._media.end(event.at)
            self._media = None  # of a Twilio call the host itself tells that it is over, after this

    def _happened(self, event: CallEvent) -> None:
        if self._media is not None:
            self._media.happened(Happening(event.kind.value, event.at, _told(event.data)))


def call_telemetry(
    record: CallRecord, now: Callable[[], float], tools: Iterable[str]
) -> Callable[[CallEvent], None] | None:
    """What is to see the events of one connection of a call (see `CallTelemetry`), or None when nobody wants to know."""
    if not traces.on() and not metrics.on():
        return None
    return CallTelemetry(record, now, frozenset(tools)).seen


def _text(data: Mapping[str, Json], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""


def _number(data: Mapping[str, Json], key: str) -> float:
    value = data.get(key)
    return value if isinstance(value, int | float) else 0.0


def _told(data: Mapping[str, Json]) -> dict[str, Value]:
    return {
        f"patchcord.{name}": value
        for name in _TOLD
        if isinstance(value := data.get(name), str | int | float) and value != ""
    }
