"""What every scripted call is, whoever carries it: the person, the story, what was said, heard and measured."""

import asyncio
import contextlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from emulator.faults import Faults
from emulator.phone.audio import Track, is_loud
from emulator.phone.caller import KEY_GAP_S, Caller, StepFailed
from emulator.phone.live import LiveAudio
from emulator.phone.measured import Measured
from emulator.phone.narrator import Narrator
from emulator.phone.script import KEYS, CallerScript
from emulator.phone.story import StoryEvent
from shared.errors import InvalidInput, NotFound

MEDIA_WITHIN_S = 5.0
"""A caller who has something to say waits so long (s) for the app's media connection before the first step."""


class ScriptedCall(Narrator, ABC):
    """A person on the phone who follows a script; also the handset. `PhoneCall` is one at ACS, `TwilioPhone` one at Twilio.

    Attributes:
        id: our own name for it.
        line: `acs` or `twilio`.
        faults: of this call; may change in mid-call.
        failed: what did not go as the script says, or None.
    """

    line = "acs"

    def __init__(
        self, script: CallerScript, speech: Mapping[int, Mapping[str, bytes]], faults: Faults
    ) -> None:
        super().__init__()
        self.id = secrets.token_hex(6)
        self.failed: str | None = None
        self.faults = faults
        self._script = script
        self._speech = speech
        self._caller = Caller((), {}, 16000, self, self._story)
        self._said: Track | None = None
        self._heard: Track | None = None
        self._live: LiveAudio | None = None
        self._live_loud = False
        self._measured = Measured(self._story)
        self._connected = asyncio.Event()
        self._media = asyncio.Event()
        self._over: tuple[str, str] | None = None
        self._task: asyncio.Task[None] | None = None

    # --- what the line does ---

    @property
    @abstractmethod
    def correlation_id(self) -> str:
        """The name under which the call's record can be found: ACS's correlation id, Twilio's CallSid."""

    @property
    def connection_id(self) -> str | None:
        """The id of the app's connection that it talks to, or talked to last; None before the answer, and at Twilio."""
        return None

    @abstractmethod
    def hang_up(self, reason: str = "caller_hung_up") -> None:
        """The caller hangs up now, whatever the script says."""

    @abstractmethod
    def press_key(self, key: str) -> None:
        """The caller presses a key."""

    @abstractmethod
    def abort_media(self) -> None:
        """Break the media connection as a network fault would."""

    def saying(self, text: str) -> None:
        """The caller begins to say `text`; only ACS's transcription wants to know."""

    def deliver_again(self, copies: int = 1) -> None:
        """Deliver the call's IncomingCall event again; only ACS has one."""

    def _place(self) -> None:
        """Let it ring at the other end."""

    # --- for those who watch ---

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
        """Wait until the call has ended and the script is over."""
        if self._task is not None:
            await asyncio.wait({self._task})

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
        caller, measured = self._caller, self._measured
        body: dict[str, Any] = {
            "id": self.id,
            "line": self.line,
            "correlationId": self.correlation_id,
            "callConnectionId": self.connection_id,
            "from": self._script.caller,
            "to": self._script.to,
            "failed": self.failed,
            "ended": None if self._over is None else {"reason": self._over[0], "by": self._over[1]},
            "ended_ms": measured.ended_ms,
            "answered_ms": measured.answered_ms,
            "first_audio_ms": measured.first_audio_ms,
            "steps": {"done": caller.done, "of": len(self._script.steps), "at": caller.step},
            "barge_in_ms": caller.barge_in_ms,
            "said_ms": round(caller.mouth.spoken_ms),
            "heard_ms": round(caller.ears.loud_ms),
            "longest_silence_ms": round(measured.watch.longest_silence_ms),
            "longest_dead_air_ms": round(measured.watch.longest_dead_air_ms),
            "silent_after_media_loss_ms": measured.silent_after_loss_ms,
        }
        if self._live is not None:
            body["live"] = {
                "voiceDroppedMs": round(self._live.voice_dropped_ms),
                "hearingDroppedMs": round(self._live.hearing_dropped_ms),
            }
        return body

    # --- for those who meddle ---

    def dial(self) -> None:
        """Start the call; returns at once."""
        self._story.tell("dialled", **{"from": self._script.caller, "to": self._script.to})
        if self._script.faults:
            self._story.tell("fault", knobs=self._script.faults)
        self._measured.rings()
        self._place()
        self._task = asyncio.create_task(self._run(self._be_answered), name=f"caller {self.id}")

    def fault(self, knobs: Mapping[str, Any]) -> None:
        """From now on the call has these faults; knobs that are not named stay as they are.

        Raises:
            InvalidInput: names the wrong knob.
        """
        self.faults.set(knobs)
        self._story.tell("fault", knobs=dict(knobs))

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

    def answered(self, sample_rate: int) -> None:
        """See `Handset`."""
        self._measured.answered()
        self._caller = Caller(self._script.steps, self._speech[sample_rate], sample_rate, self, self._story)
        self._said, self._heard = Track(sample_rate), Track(sample_rate)
        self._live = LiveAudio(sample_rate)
        if self._without_media():
            self._media.set()
        self._connected.set()

    def _without_media(self) -> bool:
        """Whether there is no media connection to wait for before the first step."""
        return False

    def media_started(self) -> None:
        """See `Handset`."""
        self._media.set()

    def media_lost(self, reason: str) -> None:
        """See `Handset`."""
        self._media.set()
        self._measured.media_lost(reason)

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
        talks = self._live_loud or not self._caller.mouth.idle
        self._measured.tick(ears, waiting_ms, now, talks=talks)
        self._caller.tick(now)

    def flushed(self, now: float) -> None:
        """See `Handset`."""
        self._caller.ears.flush(now)

    def over(self, reason: str, by: str) -> None:
        """See `Handset`."""
        self._over = (reason, by)
        self._measured.over()
        if reason.startswith("rejected: "):
            self._story.tell("rejected", reason=reason.removeprefix("rejected: "))
        elif reason in ("caller_hung_up", "agent_hung_up"):
            self._story.tell("hang_up", by=by)
        self._caller.over()
        if self._live is not None:
            self._live.close()
        self._connected.set()
        self._media.set()
