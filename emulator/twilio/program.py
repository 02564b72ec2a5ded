"""Carries TwiML out, document after document, until the call is over."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from emulator.acs.errors import RestError
from emulator.acs.operations.sources import SoundFailed
from emulator.twilio.connect import connect
from emulator.twilio.dial import dial, enqueue
from emulator.twilio.ends import CallerLeft, HungUp
from emulator.twilio.notices import Trouble
from emulator.twilio.sources import SAMPLE_RATE, Announcement
from emulator.twilio.twiml import Element, read_twiml

if TYPE_CHECKING:
    from emulator.twilio.call import TwilioCall

MAX_DOCUMENTS = 50
"""A call that is sent round in a circle ends here (guessed)."""
TYPES = ("text/xml", "application/xml", "text/html")
LONGEST_PAUSE_S = 180.0


@dataclass(frozen=True, slots=True)
class Go:
    """The next document.

    Attributes:
        what: why it is asked for: `voice`, `redirect`, `action`.
        url: its address, maybe relative to the document that names it.
        params: further parameters of the request.
        method: `POST` or `GET`.
    """

    what: str
    url: str
    params: Mapping[str, str]
    method: str = "POST"


class Program:
    """What the app wants of one call.

    Args:
        call: whose TwiML is carried out.
    """

    def __init__(self, call: "TwilioCall") -> None:
        self._call = call
        self._base = ""

    async def run(self, first: Go) -> None:
        """From the first document to the end of the last one; returns when nothing is left to do.

        Raises:
            Trouble: a document could not be had, or is none.
        """
        go: Go | None = first
        documents = 0
        while go is not None:
            documents += 1
            if documents > MAX_DOCUMENTS:
                raise Trouble(12100, "the TwiML sends the call round in a circle")
            verbs = await self._document(go)
            try:
                go = await self._verbs(verbs)
            except HungUp:
                return

    async def _document(self, go: Go) -> list[Element]:
        url = urljoin(self._base, go.url) if self._base else go.url
        answer = await self._call.ask(go.what, url, go.params, method=go.method)
        self._base = url
        if answer.status != 200:
            raise Trouble(11200, f"{go.what}: answered {answer.status}")
        if answer.content_type not in TYPES:
            raise Trouble(12300, f"{go.what}: {answer.content_type}")
        return read_twiml(answer.body)

    def relative(self, url: str) -> str:
        """An address in the present document, made absolute."""
        return urljoin(self._base, url)

    async def _verbs(self, verbs: list[Element]) -> Go | None:
        for verb in verbs:
            if verb.name != "Reject":
                self._call.answer()
            go = await self._verb(verb)
            if go is not None:
                return go
        self._call.answer()
        return None

    async def _verb(self, verb: Element) -> Go | None:
        self._call.tell("twiml", verb=verb.name)
        match verb.name:
            case "Connect":
                return await self._connect(verb)
            case "Dial":
                return self._next(verb, await dial(self._call, verb))
            case "Enqueue":
                return self._next(verb, await enqueue(self._call, verb))
            case "Say":
                await self._sound({"kind": "text", "text": {"text": verb.text}}, verb)
            case "Play":
                uri = self.relative(verb.text)
                await self._sound({"kind": "file", "file": {"uri": uri}}, verb)
            case "Pause":
                seconds = min(_number(verb.attributes.get("length"), 1.0), LONGEST_PAUSE_S)
                await self._call.while_up(asyncio.sleep(seconds))
            case "Redirect":
                return Go("redirect", verb.text, {}, verb.attributes.get("method", "POST"))
            case "Hangup":
                raise HungUp
            case "Reject":
                self._call.rejected(verb.attributes.get("reason", "rejected"))
                raise HungUp
            case _:
                self._call.notice(Trouble(12200, f"{verb.name} is not emulated: skipped").notice)
        return None

    async def _connect(self, verb: Element) -> Go | None:
        try:
            params = await connect(self._call, self, verb)
        except CallerLeft:
            go = self._next(verb, {})
            if go is not None and self._call.parts.config.action_after_hang_up:
                # What it answers is not carried out any more.
                await self._call.ask(go.what, self.relative(go.url), go.params, method=go.method)
            raise
        return self._next(verb, params)

    @staticmethod
    def _next(verb: Element, params: Mapping[str, str]) -> Go | None:
        """Where a verb with an `action` goes on; without one the next verb is due."""
        action = verb.attributes.get("action")
        if not action:
            return None
        return Go("action", action, params, verb.attributes.get("method", "POST"))

    async def _sound(self, source: dict[str, object], verb: Element) -> None:
        """Play or speak; what cannot be had is silence, and a notice."""
        if verb.name == "Say" and not verb.text:
            return
        try:
            pcm = await self._call.parts.sounds.pcm(source, SAMPLE_RATE)
        except (SoundFailed, RestError) as error:
            self._call.notice(Trouble(11200, f"{verb.name}: {error}").notice)
            return
        loops = max(1, int(_number(verb.attributes.get("loop"), 1.0)))
        announcement = Announcement(pcm * min(loops, 10))
        await self._call.with_source(announcement, _wait(announcement.done))


def _number(text: str | None, default: float) -> float:
    try:
        return max(0.0, float(text)) if text is not None else default
    except ValueError:
        return default


def _wait(event: asyncio.Event) -> Awaitable[object]:
    return event.wait()
