"""A call's trace as a collector keeps it."""

from cli.metrics.otlp import Moment, SpanData

TRACE, AT = "ab" * 16, 1000.0
CALL = {
    "patchcord.call.id": "c1",
    "patchcord.line": "acs",
    "patchcord.agent": "desk",
    "patchcord.end.reason": "agent_done",
}


def span(name, number, above=None, begun=0.0, ended=1.0, **more):
    parent = "" if above is None else f"{above:016x}"
    about = {"service": "patchcord-media", "attributes": {"patchcord.call.id": "c1"}, **more}
    return SpanData(TRACE, f"{number:016x}", parent, name, AT + begun, AT + ended, **about)


def trace():
    return [
        span("agent speaks", 4, 3, 0.5, 2.5),
        span("call", 1, None, 0.0, 10.0, attributes=CALL, service="patchcord-functions",
             moments=(Moment(AT + 9, "hang_up <b>", {}),)),
        span("media", 3, 2, 0.3, 9.9),
        span("answer", 2, 1, 0.1, 0.4, service="patchcord-functions"),
        span("tool x", 5, 3, 3.0, 3.0, failed="the tool gave an error"),
    ]  # fmt: skip
