"""One scripted call from dialling to its end: the telephone, the story, what was measured."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from emulator.acs.exchange import Exchange
from emulator.acs.handset import Handset
from emulator.acs.identifiers import address, identifier
from emulator.acs.inbound import InboundCall
from emulator.acs.legs import PhoneLeg
from emulator.acs.offers import BUSY, DECLINED, UNREACHABLE, Offer
from emulator.faults import Faults
from emulator.phone.audio import SilenceWatch, Track, is_loud, read_wav
from emulator.phone.caller import KEY_GAP_S, Caller, StepFailed
from emulator.phone.live import LiveAudio
from emulator.phone.script import KEYS, CallerScript
from emulator.phone.story import Story, StoryEvent
from shared.errors import InvalidInput, NotFound

log = logging.getLogger(__name__)

MEDIA_WITHIN_S = 5.0
"""A caller who has something to say waits so long (s) for the app's media connection before the first step."""
SILENT_S = 0.5


class Voice(Protocol):
    """A speech synthesiser."""

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        """`text` as PCM16LE mono."""


async def render(script: CallerScript, voice: Voice | None) -> Mapping[int, Mapping[str, bytes]]:
    """All that the caller will say, by sample rate (Hz), so that nothing waits for the synthesiser during the call."""
    speech: dict[int, dict[str, bytes]] = {16000: {}, 24000: {}}
    for text in script.texts():
        if voice is None:
            raise StepFailed("this script speaks, and there is no synthesiser")
        for rate, texts in speech.items():
            texts[text] = await voice.say(text, script.voice, rate)
    for file in script.files():
        for rate, texts in speech.items():
            texts[file] = await asyncio.to_thread(read_wav, Path(file), rate)
    return speech


class PhoneCall(Handset):
    """A scripted call. Made by `Emulator.dial`, or when a telephone of `Emulator.add_phone` is called; it is the handset, too.

    Attributes:
        id: our own name for it.
        faults: of this call; may change in mid-call.
        failed: what did not go as the script says, or None.
    """

    def __init__(
        self,
        script: CallerScript,
        speech: Mapping[int, Mapping[str, bytes]],
        exchange: Exchange,
        faults: Faults,
        offer: Offer | None = None,
    ) -> None:
        self.id = secrets.token_hex(6)
        self.failed: str | None = None
        self._script = script
        self._speech = speech
        self.faults = faults.copy() if offer is None else offer.faults
        self._exchange = exchange
        self._story = Story()
        self._inbound: InboundCall | None = None
        if offer is None:
            self._inbound = exchange.place(
                self,
                identifier(script.caller),
                identifier(script.to),
                self.faults,
                display_name=script.display_name,
                custom_context={"voipHeaders": script.voip_headers} if script.voip_headers else None,
            )
            offer = self._inbound.offer
        self._offer = offer
        self._leg = self._inbound.leg if self._inbound else PhoneLeg(offer.parties.callee, self, offer.faults)
        self._caller = Caller((), {}, 16000, self, self._story)
        self._said: Track | None = None
        self._heard: Track | None = None
        self._live: LiveAudio | None = None
        self._live_loud = False
        self._watch = SilenceWatch()
        self._connected = asyncio.Event()
        self._media = asyncio.Event()
        self._over: tuple[str, str] | None = None
        self._speaking = False
        self._rang_ms = 0.0
        self._answered_ms: float | None = None
        self._first_audio_ms: float | None = None
        self._ended_ms: float | None = None
        self._lost_at: float | None = None
        self._silent_after_loss_ms: list[float] = []
        self._task: asyncio.Task[None] | None = None

    # --- for those who watch ---

    @property
    def correlation_id(self) -> str:
        """ACS's correlation id, as in the IncomingCall event."""
        return self._offer.parties.correlation_id

    @property
    def connection_id(self) -> str | None:
        """The id of the app's connection that it talks to, or talked to last; None before the answer."""
        return self._leg.call.id if self._leg.call else None

    @property
    def events(self) -> list[StoryEvent]:
        """The story so far."""
        return self._story.events

    def story(self) -> AsyncIterator[StoryEvent]:
        """The story from its start, until the call has ended."""
        return self._story.read()

    async def first(self, kind: str) -> StoryEvent:
        """The first event of a kind, waited for.

        Raises:
            LookupError: the call ended without one.
        """
        return await self._story.first(kind)

    async def ended(self) -> None:
        """Wait until the call has ended, the script is over, and the app has its last callback."""
        if self._task is not None:
            await asyncio.wait({self._task})
        for call in self._leg.calls:
            if call.is_over:
                await call.ended.wait()

    def said_wav(self) -> bytes | None:
        """What the caller said since the answer, as WAV; None when nobody answered, or it is no longer kept."""
        return self._said.wav() if self._said else None

    def heard_wav(self) -> bytes | None:
        """What the caller heard since the answer, as WAV; None when nobody answered, or it is no longer kept."""
        return self._heard.wav() if self._heard else None

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self._over is not None

    @property
    def kept_bytes(self) -> int:
        """Bytes of audio that are kept once the call has ended; 0 before."""
        if self._over is None or self._said is None or self._heard is None:
            return 0
        return self._said.size + self._heard.size

    def forget_audio(self) -> None:
        """Keep what was said and heard no longer: at once, and not when the garbage collector finds the call."""
        self._said = self._heard = None

    def summary(self) -> dict[str, Any]:
        """What was measured; times in ms."""
        call = self._leg.call
        streaming = call.streaming if call else None
        caller = self._caller
        body: dict[str, Any] = {
            "id": self.id,
            "correlationId": self.correlation_id,
            "callConnectionId": self.connection_id,
            "from": self._script.caller,
            "to": self._script.to,
            "failed": self.failed,
            "ended": None if self._over is None else {"reason": self._over[0], "by": self._over[1]},
            "ended_ms": self._ended_ms,
            "answered_ms": self._answered_ms,
            "first_audio_ms": self._first_audio_ms,
            "steps": {"done": caller.done, "of": len(self._script.steps), "at": caller.step},
            "barge_in_ms": caller.barge_in_ms,
            "said_ms": round(caller.mouth.spoken_ms),
            "heard_ms": round(caller.ears.loud_ms),
            "longest_silence_ms": round(self._watch.longest_silence_ms),
            "longest_dead_air_ms": round(self._watch.longest_dead_air_ms),
            "silent_after_media_loss_ms": self._silent_after_loss_ms,
            "callbacks": {"sent": call.outbox.sent, "failed": call.outbox.failed} if call else None,
        }
        if self._live is not None:
            body["live"] = {
                "voiceDroppedMs": round(self._live.voice_dropped_ms),
                "hearingDroppedMs": round(self._live.hearing_dropped_ms),
            }
        if streaming is not None:
            playout = streaming.playout
            body["media"] = {
                "dials": streaming.dials,
                "framesSent": streaming.frames_sent,
                "framesDropped": streaming.frames_dropped,
                "messagesReceived": streaming.messages_received,
                "audioReceived": streaming.audio_received,
                "ignored": streaming.ignored,
                "receivedMs": round(playout.received_ms),
                "playedMs": round(playout.played_ms),
                "flushedMs": round(playout.flushed_ms),
                "overflowMs": round(playout.overflow_ms),
                "stops": playout.stops,
                "underruns": playout.underruns,
                "longestQueueMs": round(playout.longest_queue_ms),
            }
        return body

    # --- for those who meddle ---

    def dial(self) -> None:
        """Start the call; returns at once."""
        self._story.tell("dialled", **{"from": self._script.caller, "to": self._script.to})
        if self._script.faults:
            self._story.tell("fault", knobs=self._script.faults)
        self._rang_ms = self._story.elapsed_ms()
        if self._inbound is not None:
            self._inbound.ring()
        self._task = asyncio.create_task(self._run(self._be_answered), name=f"caller {self.id}")

    def ring(self, on_ring: str, after_s: float) -> None:
        """The telephone rings, and somebody does `on_ring` after `after_s`; returns at once."""
        parties = self._offer.parties
        self._story.tell("rung", **{"from": address(parties.caller), "to": address(parties.callee)})
        self._offer.withdrawn.append(self._stopped_ringing)

        async def pick_up() -> None:
            await self._pick_up(on_ring, after_s)

        self._task = asyncio.create_task(self._run(pick_up), name=f"callee {self.id}")

    def deliver_again(self, copies: int = 1) -> None:
        """Deliver the call's IncomingCall event again."""
        if self._inbound is not None:
            self._inbound.deliver_again(copies)

    def abort_media(self) -> None:
        """Break the media connection as a network fault would."""
        if self._leg.call is not None and self._leg.call.streaming is not None:
            self._leg.call.streaming.abort()

    def fault(self, knobs: Mapping[str, Any]) -> None:
        """From now on the call has these faults; knobs that are not named stay as they are.

        Raises:
            InvalidInput: names the wrong knob.
        """
        self.faults.set(knobs)
        self._story.tell("fault", knobs=dict(knobs))

    def hang_up(self, reason: str = "caller_hung_up") -> None:
        """The caller hangs up now, whatever the script says."""
        if self._inbound is not None:
            self._inbound.hang_up(reason)
        elif self._offer.over:
            self._leg.hang_up(reason)
        else:
            self._exchange.refuse(self._offer, DECLINED)

    def press_key(self, key: str) -> None:
        """The caller presses a key."""
        self._leg.press(key)

    async def press_keys(self, keys: str) -> None:
        """The caller presses several keys, 100 ms apart.

        Raises:
            InvalidInput: there are no such keys; the message does not show them.
            NotFound: nobody has answered, or the call has ended.
        """
        if not keys or not KEYS.issuperset(keys.upper()):
            raise InvalidInput("keys", "0-9, *, #, A-D as text")
        if not self._connected.is_set() or self._over is not None:
            raise NotFound("nobody is on the line")
        self._story.tell("keys", count=len(keys))
        for key in keys.upper():
            self.press_key(key)
            await asyncio.sleep(KEY_GAP_S)

    async def live(self) -> LiveAudio:
        """The caller's live voice and ears, once somebody has answered.

        Raises:
            NotFound: the call has ended, or ended without an answer.
        """
        await self._connected.wait()
        if self._over is not None or self._live is None:
            raise NotFound("nobody is on the line")
        return self._live

    def saying(self, text: str) -> None:
        """The caller begins to say `text`."""
        self._leg.saying(text)

    # --- the script ---

    async def _run(self, begin: Callable[[], Awaitable[None]]) -> None:
        try:
            async with asyncio.timeout(self._script.limit_s):
                await begin()
                if self._over is None:
                    await self._caller.run()
        except TimeoutError:
            self.failed = (
                f"{self._caller.step or 'ringing'}: the call took longer than {self._script.limit_s:g} s"
            )
        except StepFailed as failure:
            self.failed = str(failure)
        finally:
            if self.failed:
                self._story.tell("failed", reason=self.failed)
            if self._over is None:
                self.hang_up()
            reason, by = self._over or ("caller_hung_up", "caller")
            self._story.tell("ended", reason=reason, by=by)
            self._story.close()

    def _stopped_ringing(self) -> None:
        """Whoever called gave up, or the service did."""
        self._leg.gone("stopped_ringing", "other")

    async def _pick_up(self, on_ring: str, after_s: float) -> None:
        """Let it ring, then pick up, refuse, or do nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if on_ring == "no_answer" else after_s):
                await self._connected.wait()
        if self._over is not None:
            return
        self._offer.withdrawn.remove(self._stopped_ringing)
        if on_ring == "pick_up":
            self._exchange.pick_up(self._offer, self._leg)
            await self._media_stands()
            return
        refusal = {"busy": BUSY, "unreachable": UNREACHABLE}.get(on_ring, DECLINED)
        self._leg.gone(refusal.reason, "caller")
        self._exchange.refuse(self._offer, refusal)

    async def _be_answered(self) -> None:
        """Wait for the answer, or for the caller's patience to end.

        Raises:
            StepFailed: nobody answered.
        """
        gives_up = self._script.gives_up_ms
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if gives_up is None else gives_up / 1000):
                await self._connected.wait()
        if self._over is not None:
            raise StepFailed(f"not answered: {self._over[0]}")
        if not self._connected.is_set():
            self.hang_up()
            return
        await self._media_stands()

    async def _media_stands(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEDIA_WITHIN_S):
                await self._media.wait()

    # --- the handset ---

    def ringing(self) -> None:
        """See `Handset`."""
        self._story.tell("ringing")

    def delivered(self, subscription: str) -> None:
        """See `Handset`."""
        self._story.tell("delivered", subscription=subscription)

    def answered(self, sample_rate: int) -> None:
        """See `Handset`."""
        self._answered_ms = round(self._story.elapsed_ms() - self._rang_ms, 1)
        self._story.tell("answered", ms=self._answered_ms)
        self._caller = Caller(self._script.steps, self._speech[sample_rate], sample_rate, self, self._story)
        self._said, self._heard = Track(sample_rate), Track(sample_rate)
        self._live = LiveAudio(sample_rate)
        call = self._leg.call
        streaming = None if call is None else call.streaming
        if streaming is None or streaming.active or not streaming.options.start:
            self._media.set()
        self._connected.set()

    def media_started(self) -> None:
        """See `Handset`."""
        self._media.set()

    def media_lost(self, reason: str) -> None:
        """See `Handset`."""
        self._media.set()
        if self._lost_at is None:
            self._lost_at = time.monotonic()
        self._story.tell("media_lost", reason=reason)

    def redirected(self, to: str) -> None:
        """See `Handset`."""
        self._story.tell("redirected", to=to)

    def transferred(self, to: str) -> None:
        """See `Handset`."""
        self._story.tell("transferred", to=to)

    def heard_key(self, key: str) -> None:
        """See `Handset`."""
        self._story.tell("keys_heard", count=len(key))

    def held(self, *, on: bool) -> None:
        """See `Handset`."""
        self._story.tell("on_hold" if on else "off_hold")

    def muted(self) -> None:
        """See `Handset`."""
        self._story.tell("muted")

    def next_frame(self, now: float) -> bytes | None:
        """See `Handset`."""
        frame = self._caller.mouth.next_frame(now)
        if frame is None and self._live is not None:
            frame = self._live.next_frame()
            self._live_loud = frame is not None and is_loud(frame)
        if self._said is not None:
            self._said.add(frame)
        return frame

    def hear(self, pcm: bytes | None, waiting_ms: float, now: float) -> None:
        """See `Handset`."""
        ears = self._caller.ears
        ears.hear(pcm, waiting_ms, now)
        if self._heard is not None:
            self._heard.add(pcm)
        if self._live is not None:
            self._live.hear(pcm)
        self._watch.tick(ears.loud, self._live_loud or not self._caller.mouth.idle)
        if ears.loud:
            self._note_loss_over()
            if not self._speaking:
                self._speaks()
        elif self._speaking and not waiting_ms and ears.quiet_s(now) >= SILENT_S:
            self._speaking = False
            self._story.tell("agent_silent", since=round(self._story.elapsed_ms() - SILENT_S * 1000, 1))
        self._caller.tick(now)

    def _speaks(self) -> None:
        self._speaking = True
        event = self._story.tell("agent_audio")
        if self._first_audio_ms is None and self._answered_ms is not None:
            self._first_audio_ms = round(event["t"] - self._rang_ms - self._answered_ms, 1)

    def _note_loss_over(self) -> None:
        if self._lost_at is not None:
            self._silent_after_loss_ms.append(round((time.monotonic() - self._lost_at) * 1000, 1))
            self._lost_at = None

    def flushed(self, now: float) -> None:
        """See `Handset`."""
        self._caller.ears.flush(now)

    def over(self, reason: str, by: str) -> None:
        """See `Handset`."""
        self._over = (reason, by)
        self._ended_ms = self._story.elapsed_ms()
        self._note_loss_over()
        if reason.startswith("rejected: "):
            self._story.tell("rejected", reason=reason.removeprefix("rejected: "))
        elif reason in ("caller_hung_up", "agent_hung_up"):
            self._story.tell("hang_up", by=by)
        self._caller.over()
        if self._live is not None:
            self._live.close()
        self._connected.set()
        self._media.set()
