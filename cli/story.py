"""Prints a call as it goes: what the phone reports, and what the record adds."""

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TextIO

type Json = Mapping[str, Any]


WIDTH = 110
"""Characters of a line; longer texts go on below their beginning."""


def line(seconds: float, what: str, text: str = "") -> str:
    """One entry of the story: time since dialling (s), what happened, and the detail."""
    head = f"{seconds:6.1f} s  {what:<13} "
    return textwrap.fill(text, WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or head.rstrip()


def _knobs(event: Json) -> str:
    return ", ".join(f"{name} = {value}" for name, value in (event.get("knobs") or {}).items())


def _dialled(event: Json) -> str:
    return f"{event.get('from', '')} calls {event.get('to', '')}"


TEXTS: Mapping[str, tuple[str, Callable[[Json], str]]] = {
    "dialled": ("dialled", _dialled),
    "rung": ("rings", lambda event: f"at {event.get('to', '')}, from {event.get('from', '')}"),
    "ringing": ("ringing", lambda event: ""),
    "answered": ("answered", lambda event: f"{event.get('ms', event['t']):.0f} ms after the event"),
    "caller_says": ("caller says", lambda event: f"“{event.get('text', '')}”"),
    "caller_plays": (
        "caller plays",
        lambda event: f"{event.get('file', '')} ({event.get('ms', 0) / 1000:.1f} s)",
    ),
    "tone": ("caller plays", lambda event: f"{event.get('hz', 0):g} Hz for {event.get('seconds', 0):g} s"),
    "keys": ("caller keys", lambda event: f"{event.get('count', 0)} keys"),
    "keys_heard": ("hears keys", lambda event: f"{event.get('count', 0)} keys"),
    "on_hold": ("on hold", lambda event: ""),
    "off_hold": ("off hold", lambda event: ""),
    "muted": ("muted", lambda event: ""),
    "unmuted": ("unmuted", lambda event: ""),
    "fault": ("FAULT", _knobs),
    "barge_in": (
        "barge-in",
        lambda event: f"the agent fell silent {event.get('ms', event.get('silenceMs', 0)):.0f} ms after",
    ),
    "rejected": ("rejected", lambda event: str(event.get("reason", ""))),
    "redirected": ("redirected", lambda event: str(event.get("to", ""))),
    "transferred": ("transferred", lambda event: str(event.get("to", ""))),
    "media_lost": ("media lost", lambda event: str(event.get("reason", ""))),
    "enqueued": ("queued", lambda event: str(event.get("queue", ""))),
    "flow": ("Studio flow", lambda event: f"goes on with {event.get('transferType') or 'nothing'}"),
    "notice": (
        "TWILIO",
        lambda event: f"{event.get('code')} {event.get('text', '')}: {event.get('detail', '')}",
    ),
    "hang_up": ("hang-up", lambda event: f"by the {event.get('by', 'other side')}"),
    "ended": ("ended", lambda event: str(event.get("reason", ""))),
    "failed": ("FAILED", lambda event: str(event.get("reason", event.get("message", "")))),
}


MORE: Mapping[str, tuple[str, Callable[[Json], str]]] = {
    "delivered": ("event taken", lambda event: f"by {event.get('subscription', '')}"),
    "agent_audio": ("app speaks", lambda event: ""),
    "agent_silent": ("app silent", lambda event: ""),
    "twiml": ("TwiML", lambda event: str(event.get("verb", ""))),
}
"""What is told where no transcript says what the app said."""


def tell(event: Json, *, more: bool = False, offset_s: float = 0.0) -> str | None:
    """The line for a story event of the phone; None for those that only tests read.

    Args:
        event: of the story.
        more: tell also when the app speaks and falls silent.
        offset_s: when the call was dialled, on the clock that is shown (s).
    """
    kind = str(event["kind"])
    known = TEXTS.get(kind) or (MORE.get(kind) if more else None)
    if known is None:
        return None
    what, text = known
    return line(float(event["t"]) / 1000 + offset_s, what, text(event))


STEPS: Mapping[str, str] = {
    "tool": "agent uses",
    "transfer": "agent calls",
    "handover": "handover",
    "ivr_step": "IVR step",
}
"""Entries of a record's timeline that are told as steps."""


class Storyteller:
    """Merges the phone's story with the transcript that the record gains, and writes both to `out`.

    Args:
        out: where lines go.
        record: returns the call's record as JSON, or None while there is none.
        steps: tell what an agent does beside talking, too: tools and handovers.
        offset_s: when the call was dialled, on the clock that is shown (s).
    """

    def __init__(
        self,
        out: TextIO,
        record: Callable[[], AsyncIterator[Json]],
        *,
        steps: bool = False,
        offset_s: float = 0.0,
    ) -> None:
        self._out = out
        self._record = record
        self._steps = steps
        self._offset_s = offset_s
        self._started = asyncio.get_running_loop().time() - offset_s
        self._told: set[tuple[str, str]] = set()

    def _say(self, text: str) -> None:
        self._out.write(text + "\n")
        self._out.flush()

    async def follow(self, story: AsyncIterator[Json]) -> None:
        """Write until the story ends; the transcript is followed beside it."""
        transcript = asyncio.create_task(self._follow_transcript())
        try:
            async for event in story:
                text = tell(event, offset_s=self._offset_s)
                if text is not None:
                    self._say(text)
        finally:
            transcript.cancel()
            await asyncio.gather(transcript, return_exceptions=True)

    async def _follow_transcript(self) -> None:
        async for record in self._record():
            self.tell_record(record)

    def tell_record(self, record: Json) -> None:
        """Write the turns and the steps that were not written yet."""
        seconds = asyncio.get_running_loop().time() - self._started
        for entry in record.get("timeline", []) if self._steps else []:
            what = str(entry.get("reason", ""))
            key = (entry["at"], entry["kind"] + what)
            if entry["kind"] in STEPS and key not in self._told:
                self._told.add(key)
                self._say(line(seconds, STEPS[entry["kind"]], what))
        for turn in record.get("transcript", []):
            key = (turn["at"], turn["who"])
            if key in self._told:
                continue
            self._told.add(key)
            if turn["who"] == "agent":
                cut = " … (interrupted)" if turn.get("interrupted") else ""
                self._say(line(seconds, "agent said", f"“{turn['text']}”{cut}"))
            else:
                self._say(line(seconds, "agent heard", f"“{turn['text']}”"))
