"""TwiML: what Twilio is told to do with a call (twilio-and-transfers.md 2B, 2E).

`twilio.twiml.voice_response` builds and escapes the XML; here is what it does not do: characters that no XML may hold are
left out, and so is a parameter that is too long for Twilio.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol

from shared.wire.twilio_media import PARAMETER_LENGTH

APOLOGY = "We are sorry, we have a technical problem."

_WAIT = "Please stay on the line."
_LATER = "Please call again later."

# XML 1.0, section 2.2 "Characters": everything else must not stand in a document, not even as a reference.
_ILLEGAL = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

log = logging.getLogger(__name__)


class Step(Protocol):
    """What Twilio does next: one of these is set (`shared.config.twilio.NextStep`)."""

    @property
    def dial(self) -> str:
        """A number, E.164."""

    @property
    def enqueue(self) -> str:
        """The name of a queue."""

    @property
    def redirect(self) -> str:
        """The address of other TwiML."""

    @property
    def hangup(self) -> bool:
        """The call ends."""


def engage(
    stream_url: str,
    parameters: Mapping[str, str],
    *,
    action: str = "",
    status_callback: str = "",
    return_to: str = "",
) -> str:
    """The TwiML that connects a call with us.

    Args:
        stream_url: our `wss://` address, with the token in its path (Twilio drops a query).
        parameters: `<Parameter>`s by name, in their order. One whose name is empty, or which is longer than Twilio takes
            (`PARAMETER_LENGTH`), is left out: half a value would be a wrong one.
        action: what Twilio asks when the stream is over; "" goes on with the next verb.
        status_callback: who is told that the stream starts, stops or fails; "" is nobody.
        return_to: where the call goes after the stream, if there is no `action`; "" ends it.
    """
    response = _response()
    stream = response.connect(action=_clean(action) or None).stream(
        url=_clean(stream_url), status_callback=_clean(status_callback) or None
    )
    written = set()
    for number, (name, value) in enumerate(parameters.items(), 1):
        name, value = _clean(name), _clean(value)
        if not name or name in written or len(name) + len(value) > PARAMETER_LENGTH:
            log.warning(
                "parameter %d of a call for Twilio is left out: %d and %d characters",
                number,
                len(name),
                len(value),
            )
            continue
        written.add(name)
        stream.parameter(name=name, value=value)
    if return_to:
        response.redirect(_clean(return_to))
    return str(response)


def next_step(step: Step) -> str:
    """The TwiML of what comes after us."""
    response = _response()
    _add(response, step)
    return str(response)


def apology(step: Step | None, text: str = APOLOGY) -> str:
    """The TwiML that says that something is wrong, and then does `step`; None, and a step that ends the call, hangs up.

    Args:
        step: what comes then.
        text: what is said first; whether to wait or to call again follows.
    """
    response = _response()
    ends = step is None or not (step.dial or step.enqueue or step.redirect)
    response.say(_clean(f"{text} {_LATER if ends else _WAIT}"))
    _add(response, step)
    return str(response)


def _response() -> Any:
    from twilio.twiml.voice_response import VoiceResponse  # lazily: most processes never see Twilio

    return VoiceResponse()


def _add(response: Any, step: Step | None) -> None:  # Any: the package has no types
    if step is not None and step.dial:
        response.dial(_clean(step.dial))
    elif step is not None and step.enqueue:
        response.enqueue(_clean(step.enqueue))
    elif step is not None and step.redirect:
        response.redirect(_clean(step.redirect))
    else:
        response.hangup()


def _clean(text: str) -> str:
    return _ILLEGAL.sub("", text)
