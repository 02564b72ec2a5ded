"""Transcription of a call: a WebSocket to the app on which the words of scripted callers come (acs.md 3.2).

The words are the script's own: nothing here takes dictation, so a participant who speaks without a script is not transcribed, nor
is what apps play (guessed).
"""

import asyncio
import logging
import uuid
from typing import Any, Self

from websockets.exceptions import WebSocketException

from emulator.acs.calls import Call
from emulator.acs.errors import RestError, wrong_state
from emulator.acs.events import COMPLETED, result
from emulator.acs.legs import Leg, Spoken
from emulator.acs.operations import transcript
from emulator.acs.operations.requests import TranscriptionOptions, read_transcription_options
from emulator.acs.operations.utterance import Utterances
from emulator.acs.services import Operation
from emulator.acs.socket import MediaSocket

log = logging.getLogger(__name__)

type Json = dict[str, Any]

OPEN_TIMEOUT_S = 5.0
NORMAL_CLOSE = 1000
END_SILENCE_S = 0.5
FRAMES_PER_S = 50
REFUSED = "Action failed, Transport url is not valid or web socket server is not operational."


def update(status: str, details: str, code: int = 200, sub_code: int = 0, message: str = COMPLETED) -> Json:
    """Data of the Transcription callbacks."""
    return {
        "transcriptionUpdate": {"transcriptionStatus": status, "transcriptionStatusDetails": details},
        "resultInformation": result(code, sub_code, message),
    }


class _Speaker:
    """Follows one participant: what its script says, and when it is heard saying it."""

    def __init__(self, leg: Leg, rate: int) -> None:
        self.leg = leg
        self.texts: list[str] = []
        self.utterances = Utterances(END_SILENCE_S, rate * 2 // FRAMES_PER_S)
        leg.text_listeners.append(self._text)

    def _text(self, text: str) -> None:
        self.texts.append(text)

    def forget(self) -> None:
        if self._text in self.leg.text_listeners:
            self.leg.text_listeners.remove(self._text)


class Transcription:
    """The transcription of a call.

    Args:
        call: which.
        options: `transcriptionOptions` of its answer.

    Attributes:
        subscription_id: as in `transcriptionSubscription`.
        locale: at present.
    """

    def __init__(self, call: Call, options: TranscriptionOptions) -> None:
        self.subscription_id = str(uuid.uuid4())
        self.locale = options.locale
        self._call = call
        self._options = options
        self._socket: MediaSocket | None = None
        self._starting = False
        self._broke = False
        self._began = 0.0
        self._speakers: dict[Leg, _Speaker] = {}
        call.when_gone.append(self._call_over)

    @classmethod
    def of(cls, call: Call) -> Self:
        """The transcription of `call`.

        Raises:
            RestError: 405/8522 the call was answered without transcription options.
        """
        known = call.extras.get("transcription")
        if not isinstance(known, cls):
            raise RestError(405, "8522", "Transcription was not configured when the call was answered.")
        return known

    @property
    def active(self) -> bool:
        """Whether the connection stands, or is being made."""
        return self._starting or (self._socket is not None and self._socket.is_open)

    @property
    def starts_with_call(self) -> bool:
        """`startTranscription`."""
        return self._options.start

    def subscription(self) -> Json:
        """`transcriptionSubscription` of the call's properties."""
        kinds = ["final", "intermediate"] if self._options.intermediate else ["final"]
        return {
            "id": self.subscription_id,
            "state": "active" if self.active else "inactive",
            "subscribedResultTypes": kinds,
            "locale": self.locale,
        }

    # --- operations ---

    def start(self, locale: str | None, operation: Operation | None) -> None:
        """Connect; the callback tells how it went.

        Raises:
            RestError: 400/8585 it has started already.
        """
        if self.active:
            raise wrong_state("Transcription has started already.")
        self.locale = locale or self.locale
        self._starting = True
        self._call.spawn(self._start(operation))

    async def _start(self, operation: Operation | None) -> None:
        try:
            socket = self._dial()
            await socket.open(OPEN_TIMEOUT_S)
        except (OSError, TimeoutError, WebSocketException, ValueError) as error:
            log.info("transcription of %s: not connected: %s", self._call.id, type(error).__name__)
            failed = update("transcriptionFailed", "streamConnectionUnsuccessful", 400, 8581, REFUSED)
            self._call.post("TranscriptionFailed", failed, operation)
            return
        finally:
            self._starting = False
        if self._call.is_over:
            await socket.close()
            return
        self._socket = socket
        self._began = asyncio.get_running_loop().time()
        call, model = self._call, self._options.model
        ids = (self.subscription_id, self.locale, call.id, call.parties.correlation_id)
        socket.send(transcript.metadata(*ids, model))
        if call.conversation is not None:
            call.conversation.add_tap(self)
        details = "streamConnectionReestablished" if self._broke else "subscriptionStarted"
        self._broke = False
        call.post("TranscriptionStarted", update("transcriptionStarted", details), operation)

    def _dial(self) -> MediaSocket:
        call = self._call
        headers = {
            "x-ms-call-connection-id": call.id,
            "x-ms-call-correlation-id": call.parties.correlation_id,
            "Authorization": call.services.signer.media_header(call.faults.clock_skew_s),
        }
        return call.services.dialler.socket(self._options.url, headers, self._ignore, self._closed)

    def stop(self, operation: Operation | None) -> None:
        """Close the connection.

        Raises:
            RestError: 400/8585 it has not started.
        """
        if self._socket is None or not self._socket.is_open:
            raise wrong_state("Transcription has not started.")
        self._call.spawn(self._stop(operation))

    async def _stop(self, operation: Operation | None) -> None:
        socket = self._drop()
        if socket is not None:
            await socket.close(NORMAL_CLOSE)
            stopped = update("transcriptionStopped", "subscriptionStopped")
            self._call.post("TranscriptionStopped", stopped, operation)

    def _drop(self) -> MediaSocket | None:
        """Let go of the connection; None when there is none any more."""
        socket, self._socket = self._socket, None
        self._forget()
        return socket if socket is not None and socket.is_open else None

    def _call_over(self) -> None:
        socket = self._drop()
        if socket is not None:
            self._call.post("TranscriptionStopped", update("transcriptionStopped", "subscriptionStopped"))
            self._call.spawn(socket.close(NORMAL_CLOSE))

    def change(self, locale: str, operation: Operation | None) -> None:
        """Go on in another language.

        Raises:
            RestError: 400/8585 it has not started.
        """
        if not self.active:
            raise wrong_state("Transcription has not started.")
        self.locale = locale
        changed = update("transcriptionUpdated", "transcriptionLocaleUpdated")
        self._call.post("TranscriptionUpdated", changed, operation)

    # --- the connection ---

    @staticmethod
    def _ignore(_: bytes) -> None:
        """The app has nothing to say here."""

    def _closed(self, code: int) -> None:
        if self._socket is None:
            return
        self._socket = None
        self._forget()
        if code == NORMAL_CLOSE:
            stopped = update("transcriptionStopped", "subscriptionStopped")
            self._call.post("TranscriptionStopped", stopped, None)
            return
        self._broke = True
        message = "Action failed, the transcription connection was interrupted."
        failed = update("transcriptionFailed", "streamConnectionInterrupted", 500, 8603, message)
        self._call.post("TranscriptionFailed", failed, None)

    # --- the tap ---

    def frame(self, now: float, spoken: Spoken) -> None:
        """20 ms of the conversation."""
        socket = self._socket
        if socket is None:
            return
        for leg, pcm in spoken:
            speaker = self._speakers.get(leg)
            if speaker is None:
                rate = leg.conversation.rate if leg.conversation else 0
                speaker = self._speakers[leg] = _Speaker(leg, rate)
            happened = speaker.utterances.frame(pcm)
            text = " ".join(speaker.texts)
            if not text or happened is None:
                continue
            long_s = speaker.utterances.ago_s
            offset_s = now - self._began - long_s
            if happened == "began" and self._options.intermediate:
                words = text.split()
                early = " ".join(words[: max(1, len(words) // 2)])
                socket.send(transcript.data(early, leg.raw_id, offset_s, long_s, final=False))
            elif happened == "ended":
                spoken_s = max(0.0, long_s - END_SILENCE_S)
                socket.send(transcript.data(text, leg.raw_id, offset_s, spoken_s, final=True))
                speaker.texts.clear()

    def over(self) -> None:
        """The conversation has ended; `_call_over` has seen to everything."""

    def _forget(self) -> None:
        if self._call.conversation is not None:
            self._call.conversation.remove_tap(self)
        for speaker in self._speakers.values():
            speaker.forget()
        self._speakers.clear()


def set_up(call: Call) -> None:
    """For `Services.on_made`: the transcription that an answer asks for."""
    options = read_transcription_options(call.request.transcription)
    if options is not None:
        call.extras["transcription"] = Transcription(call, options)


def start_with_call(call: Call) -> None:
    """For `Services.on_connected`: start the transcription, if it is to start with the call."""
    transcription = call.extras.get("transcription")
    if isinstance(transcription, Transcription) and transcription.starts_with_call:
        transcription.start(None, None)
