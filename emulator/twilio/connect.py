"""`<Connect><Stream>`: the call's audio goes to the app until either side ends the stream."""

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit, urlunsplit

from emulator.twilio.notices import Notice, Trouble
from emulator.twilio.stream import MediaStream
from emulator.twilio.twiml import Element
from shared.settings import is_loopback

if TYPE_CHECKING:
    from emulator.twilio.call import TwilioCall

MAX_PARAMETER = 500
"""Characters of a parameter's name and value together; a longer one is left out (that it is, is guessed)."""
UPGRADE_AGENT = "Twilio.TmeWs/1.0"


class Relative(Protocol):
    """Knows the present document's address."""

    def relative(self, url: str) -> str:
        """An address in it, made absolute."""


async def connect(call: "TwilioCall", document: Relative, verb: Element) -> dict[str, str]:
    """Run the stream that is nested in `verb`; returns the parameters of the request that follows, if there is one.

    A stream that cannot be had, or that ends with an error, is told to the debugger and to its status callback; the call goes on.
    """
    streams = verb.named("Stream")
    if len(streams) != 1:
        call.notice(Notice(12200, "Connect without exactly one Stream: skipped"))
        return {}
    noun = streams[0]
    callback = noun.attributes.get("statusCallback", "")
    teller = _Teller(call, document.relative(callback) if callback else "", noun.attributes)
    try:
        stream = _stream(call, noun)
    except Trouble as trouble:
        call.notice(trouble.notice)
        teller.tell("stream-error", "", trouble.notice)
        return {}
    try:
        await stream.open()
    except Trouble as trouble:
        call.notice(trouble.notice)
        teller.tell("stream-error", stream.sid, trouble.notice)
        return {}
    teller.tell("stream-started", stream.sid)
    call.streaming(stream)
    try:
        fault = await call.with_source(stream, stream.ended())
    except BaseException:  # the caller has left, or the emulator stops: the app is told first; raised on
        await stream.stop()
        teller.tell("stream-stopped", stream.sid)
        raise
    if fault is not None:
        call.notice(fault.notice)
        call.lost(fault.notice)
        teller.tell("stream-error", stream.sid, fault.notice)
    teller.tell("stream-stopped", stream.sid)
    return {}


def _stream(call: "TwilioCall", noun: Element) -> MediaStream:
    """The stream that a noun describes, not dialled yet.

    Raises:
        Trouble: 31920: there is no address to dial.
    """
    parts = urlsplit(noun.attributes.get("url", ""))
    local = parts.scheme == "ws" and is_loopback(parts.hostname or "")
    if not parts.hostname or (parts.scheme != "wss" and not local):
        raise Trouble(31920, "Stream url is not wss")
    if parts.query:
        call.notice(Notice(12200, "Stream url: the query string is left out"))
    url = urlunsplit(parts._replace(query="", fragment=""))
    parameters = {}
    for parameter in noun.named("Parameter"):
        name, value = parameter.attributes.get("name", ""), parameter.attributes.get("value", "")
        if len(name) + len(value) > MAX_PARAMETER:
            call.notice(
                Notice(12200, f"Parameter {name[:40]}: longer than {MAX_PARAMETER} characters, left out")
            )
        elif name:
            parameters[name] = value
    headers = {"User-Agent": UPGRADE_AGENT, **call.signed_upgrade(url)}
    return MediaStream(
        call.parts.dialler, url, headers, call.account_sid, call.sid, parameters, call.faults, call.cleared
    )


class _Teller:
    """Tells a stream's status callback what becomes of the stream."""

    def __init__(self, call: "TwilioCall", url: str, attributes: dict[str, str]) -> None:
        self._call = call
        self._url = url
        self._name = attributes.get("name", "")
        self._method = attributes.get("statusCallbackMethod", "POST")

    def tell(self, event: str, stream_sid: str, notice: Notice | None = None) -> None:
        if not self._url:
            return
        error = {"StreamError": f"{notice.code} {notice.text}"} if notice else {}
        params = {
            "StreamSid": stream_sid,
            "StreamName": self._name or stream_sid,
            "StreamEvent": event,
            **error,
        }
        self._call.tell_app("stream", self._url, params, self._method)
