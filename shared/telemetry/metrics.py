"""Every metric that Patchcord reports, with name, unit and description: this is the one place (docs/telemetry.md is made of it).

`infra/modules/metrics.bicep` asks for some of them by name. Durations are seconds.
"""

from shared.telemetry.instruments import Gauge, Instrument, Kind, Meter, Metric

QUICK = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0)
_CALL = ("tenant", "line", "direction")

_instruments: list[Instrument] = []
_gauges: list[Gauge] = []


def _counter(name: str, unit: str, description: str, *attributes: str, where: str = "both") -> Instrument:
    made = Instrument(Metric(f"patchcord.{name}", Kind.COUNTER, unit, description, attributes, where))
    _instruments.append(made)
    return made


def _seconds(
    name: str, description: str, *attributes: str, where: str = "both", buckets: tuple[float, ...] = QUICK
) -> Instrument:
    metric = Metric(f"patchcord.{name}", Kind.HISTOGRAM, "s", description, attributes, where, buckets)
    made = Instrument(metric)
    _instruments.append(made)
    return made


def _gauge(name: str, unit: str, description: str, *attributes: str, where: str) -> Gauge:
    made = Gauge(Metric(f"patchcord.{name}", Kind.GAUGE, unit, description, attributes, where))
    _gauges.append(made)
    return made


# --- calls -----------------------------------------------------------------------------------------------------
ANSWERED = _counter("calls.answered", "{call}", "Calls answered, or picked up if we made them", *_CALL)
REFUSED = _counter(
    "calls.refused",
    "{call}",
    "Calls refused before the answer: redirected elsewhere, or told that we are busy",
    "reason",
    "how",
    *_CALL,
)
FAILED = _counter(
    "calls.failed",
    "{call}",
    "Calls that ended by a fault of ours or of a service, or could not be answered",
    "reason",
    *_CALL,
)
NOT_REACHED = _counter("calls.not_reached", "{call}", "Calls of ours that nobody picked up", "reason", *_CALL)
TIME_TO_ANSWER = _seconds(
    "call.time_to_answer", "From the event's own time until the caller was through", *_CALL
)
TIME_TO_FIRST_AUDIO = _seconds(
    "call.time_to_first_audio", "From the answer until the first audio of an agent", *_CALL
)
DURATION = _seconds(
    "call.duration", "From the answer, or the connection, to the end of the call", *_CALL, buckets=LONG
)
ACTIVE = _gauge("calls.active", "{call}", "Calls of this media host now", where="media")
CAPACITY = _gauge(
    "calls.capacity", "{call}", "Calls that this media host takes at most; 0 while it drains", where="media"
)

# --- audio -----------------------------------------------------------------------------------------------------
BARGE_IN = _seconds(
    "barge_in.silence", "From the caller's first sound over the agent's voice to silence", where="media"
)
PLAYOUT_DROPPED = _counter(
    "playout.dropped", "s", "Agents' audio that was thrown away: made too far ahead", where="media"
)
LINE_DROPPED = _counter(
    "line.dropped",
    "{frame}",
    "Frames that the telephone side did not take: its connection was full",
    where="media",
)
LATE = _seconds(
    "playout.late",
    "How much later than asked the audio's clock was woken, looked at twice a second; from 0.2 s on callers hear gaps",
    where="media",
)
MEDIA_REFUSED = _counter(
    "media.refused", "{connection}", "Audio connections that were not let in", "reason", where="media"
)
MEDIA_LOST = _counter(
    "media.lost", "{call}", "Calls whose audio connection was lost while the caller was there", *_CALL
)
TWILIO_STREAMS = _counter(
    "twilio.streams",
    "{stream}",
    "Media streams of Twilio's: begun, or refused and why",
    "result",
    where="media",
)

# --- agents ----------------------------------------------------------------------------------------------------
AGENT_START = _seconds(
    "agent.start", "From the audio's connection until the agent is there", "agent", where="media"
)
FAULTS = _counter(
    "call.faults", "{fault}", "What went wrong in calls that went on, or ended by it", "code", where="media"
)
AGENT_FAILURES = _counter(
    "agent.failures",
    "{failure}",
    "Conversations that ended because the agent failed",
    "agent",
    "code",
    where="media",
)
FALLBACKS = _counter(
    "agent.fallbacks", "{agent}", "Agents that another one took over from", "code", where="media"
)
TOOL_SECONDS = _seconds("tool.duration", "How long tools took", "tool", "result", where="media")
HANDOVERS = _counter(
    "handovers",
    "{handover}",
    "Callers handed over to a person or another system",
    "mode",
    "result",
    where="media",
)

# --- doors -----------------------------------------------------------------------------------------------------
DOOR_REFUSALS = _counter(
    "door.refusals",
    "{request}",
    "Requests refused for their token, signature or credentials",
    "reason",
    where="functions",
)
POISONED = _counter(
    "events.poisoned", "{event}", "Events put aside: they will never be handled", "reason", where="functions"
)
EVENTS = _counter(
    "events.received", "{event}", "IncomingCall events, and what became of them", "result", where="functions"
)
CALLBACKS = _counter(
    "callbacks.received", "{event}", "Events that ACS told of calls", "type", where="functions"
)

# --- dependencies ----------------------------------------------------------------------------------------------
ACS_SECONDS = _seconds("acs.duration", "How long ACS took for what we asked", "operation", "result")
STORE_ERRORS = _counter("store.errors", "{error}", "Times that the store did not answer", "store")
CACHE_ERRORS = _counter(
    "cache.errors", "{error}", "Times that keys could not be read: Key Vault, a file, ACS's key set", "cache"
)
CACHE_AGE = _gauge(
    "cache.age",
    "s",
    "How old the keys in use are: far above 300 s, their source is away",
    "cache",
    where="both",
)
SWEEP_ACTIONS = _counter(
    "sweep.actions",
    "{call}",
    "What the sweep did about calls that nobody looked after",
    "action",
    where="functions",
)
PUBLISHED = _counter(
    "publish.events", "{event}", "Events published to the topic", "result", where="functions"
)
PUBLISH_BACKLOG = _gauge(
    "publish.backlog",
    "{event}",
    "Events that waited to be published when the sweep looked",
    where="functions",
)
RECORD_DROPPED = _counter(
    "record.dropped", "{event}", "Events of calls that were never stored", where="media"
)

METRICS = (*(one.metric for one in _instruments), *(one.metric for one in _gauges))
"""The table."""


def attach(meter: Meter) -> None:
    """Report to `meter` from now on."""
    for instrument in _instruments:
        instrument.record = meter.recorder(instrument.metric)
    for gauge in _gauges:
        meter.observe(gauge.metric, gauge.values)


def detach() -> None:
    """Report no more."""
    for instrument in _instruments:
        instrument.record = None


def on() -> bool:
    """Whether anybody takes what is measured."""
    return _instruments[0].record is not None
