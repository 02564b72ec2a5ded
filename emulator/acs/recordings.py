"""Recordings of calls: started, paused, stopped, kept for a day, announced through Event Grid (acs.md 1.6, 4.2, 5.2).

Guessed, because acs.md leaves it open: `source` and `subject` of `RecordingStateChanged` are the call connection's, like those of
other callbacks; pausing twice, or resuming what runs, is 400/8585; a stopped recording is unknown (404/8522) at once; the
`sessionEndReason` of a recording that was stopped by request; all of the metadata document. Not the service's way: the file is
a WAV whatever format was asked for (and says so in its event), and storage of one's own is refused (405/8520).
"""

import asyncio
import base64
import json
import logging
import shutil
import tempfile
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from emulator.acs.callbacks import Outbox
from emulator.acs.conversation import Conversation
from emulator.acs.errors import RestError, not_found, wrong_state
from emulator.acs.events import PREFIX, TOPIC, callback, result, timestamp
from emulator.acs.recorder import FILE_RATE, Channels, Recorder
from emulator.acs.services import Services
from emulator.faults import Faults

log = logging.getLogger(__name__)

type Json = dict[str, Any]

STORAGE = "https://emulator.asm.skype.com"
"""The SDKs refuse any other kind of host for downloads; see `emulator.python_sdk`."""
KEPT_S = 24 * 3600
KEPT_FILES = 100
CLOSE_S = 5.0


class Grid(Protocol):
    """Event Grid."""

    def publish(self, event: Mapping[str, Any], *, faults: Faults | None = None) -> object:
        """Deliver an event to those who want it."""


@dataclass(frozen=True, slots=True)
class RecordingRequest:
    """A checked StartCallRecordingRequest.

    Attributes:
        callback_uri: where `RecordingStateChanged` goes, or None.
        channels: `mixed` or `unmixed`.
        places: fixed channels of participants, by raw id.
        paused: it begins with a pause.
        api_version: callbacks carry it.
    """

    callback_uri: str | None
    channels: Channels
    places: Mapping[str, int]
    paused: bool
    api_version: str


@dataclass(slots=True, eq=False)
class Recording:
    """One that runs."""

    id: str
    document: str
    connection_id: str
    conversation: Conversation
    request: RecordingRequest
    recorder: Recorder
    outbox: Outbox
    faults: Faults
    started: datetime
    pauses: list[Json] = field(default_factory=list)

    def properties(self) -> Json:
        """RecordingStateResponse."""
        return {
            "recordingId": self.id,
            "recordingState": "inactive" if self.recorder.paused else "active",
            "recordingKind": "azureCommunicationServices",
        }


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A finished recording."""

    content: Path
    metadata: Json
    made: float


class Recordings:
    """All recordings of an emulator.

    Args:
        services: what calls share.
        grid: takes `RecordingFileStatusUpdated`.
    """

    def __init__(self, services: Services, grid: Grid) -> None:
        self._services = services
        self._grid = grid
        self._active: dict[str, Recording] = {}
        self._files: OrderedDict[str, StoredFile] = OrderedDict()
        self._folder: Path | None = None
        self._writer = ThreadPoolExecutor(1, "recordings")
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self, conversation: Conversation, connection_id: str, faults: Faults, request: RecordingRequest
    ) -> Recording:
        """Record a conversation from now on.

        Raises:
            RestError: 400/8559: it is being recorded already.
        """
        if any(known.conversation is conversation for known in self._active.values()):
            raise RestError(400, "8559", "Recording has already started for this call.")
        recording_id = _new_id()
        document = f"0-emu-d1-{uuid.uuid4().hex}"
        recorder = Recorder(
            self._home(),
            document,
            request.channels,
            conversation.rate,
            request.places,
            self._writer,
            lambda: self._end(recording_id, "CallEnded"),
        )
        outbox = Outbox(self._services.session, self._services.signer, faults)
        recording = Recording(
            recording_id,
            document,
            connection_id,
            conversation,
            request,
            recorder,
            outbox,
            faults,
            datetime.now(UTC),
        )
        self._active[recording_id] = recording
        recorder.paused = request.paused
        if request.paused:
            self._note_pause(recording)
        conversation.add_tap(recorder)
        self._announce(recording, "inactive" if request.paused else "active")
        return recording

    def find(self, recording_id: str) -> Recording:
        """A recording that runs or pauses.

        Raises:
            RestError: 404/8522.
        """
        recording = self._active.get(recording_id)
        if recording is None:
            raise not_found("Recording")
        return recording

    def pause(self, recording_id: str) -> None:
        """Leave out what is said from now on.

        Raises:
            RestError: 404/8522; 400/8585 when it pauses already.
        """
        recording = self.find(recording_id)
        if recording.recorder.paused:
            raise wrong_state("The recording is paused.")
        recording.recorder.paused = True
        self._note_pause(recording)
        self._announce(recording, "inactive")

    def resume(self, recording_id: str) -> None:
        """Go on recording.

        Raises:
            RestError: 404/8522; 400/8585 when it runs.
        """
        recording = self.find(recording_id)
        if not recording.recorder.paused:
            raise wrong_state("The recording is not paused.")
        recording.recorder.paused = False
        recording.pauses[-1]["endTime"] = timestamp("Z")
        self._announce(recording, "active")

    def stop(self, recording_id: str) -> None:
        """End it; its file is announced when it is ready.

        Raises:
            RestError: 404/8522.
        """
        self.find(recording_id)
        self._end(recording_id, "InitiatedByUser")

    @staticmethod
    def _note_pause(recording: Recording) -> None:
        recording.pauses.append({"startTime": timestamp("Z")})

    # --- files ---

    def file(self, document: str) -> StoredFile:
        """A finished recording.

        Raises:
            RestError: 404/8522: there is none, or no more.
        """
        self._forget_old()
        stored = self._files.get(document)
        if stored is None:
            raise not_found("Recording")
        return stored

    def delete(self, document: str) -> None:
        """Delete a file.

        Raises:
            RestError: 404/8522.
        """
        self.file(document)
        self._drop(document)

    def _drop(self, document: str) -> None:
        self._files.pop(document).content.unlink(missing_ok=True)

    def _forget_old(self) -> None:
        while self._files:
            document, oldest = next(iter(self._files.items()))
            if len(self._files) <= KEPT_FILES and time.monotonic() - oldest.made < KEPT_S:
                return
            self._drop(document)

    def _home(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="patchcord-recordings-"))
        return self._folder

    # --- the end of a recording ---

    def _end(self, recording_id: str, reason: Literal["CallEnded", "InitiatedByUser"]) -> None:
        recording = self._active.pop(recording_id, None)
        if recording is None:
            return
        recording.conversation.remove_tap(recording.recorder)
        if recording.recorder.paused and recording.pauses and "endTime" not in recording.pauses[-1]:
            recording.pauses[-1]["endTime"] = timestamp("Z")
        last = self._announce(recording, "inactive")
        task = asyncio.create_task(self._finish(recording, reason, last))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, recording: Recording, reason: str, last: asyncio.Task[None] | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            content = await loop.run_in_executor(self._writer, recording.recorder.finish)
        except OSError as error:
            log.warning("recording %s could not be written: %s", recording.document, error.strerror)
            return
        self._files[recording.document] = StoredFile(content, self._metadata(recording), time.monotonic())
        self._forget_old()
        self._grid.publish(self._event(recording, reason), faults=recording.faults)
        if last is not None:
            await asyncio.wait({last})

    def _announce(self, recording: Recording, state: str) -> asyncio.Task[None] | None:
        """`RecordingStateChanged`, when there is an address for it."""
        if recording.request.callback_uri is None:
            return None
        common = {
            "version": recording.request.api_version,
            "serverCallId": recording.conversation.server_call_id,
            "correlationId": recording.conversation.correlation_id,
        }
        data = {
            "recordingId": recording.id,
            "state": state,
            "startDateTime": _dotnet(recording.started, "+00:00"),
            "recordingKind": "azureCommunicationServices",
            "resultInformation": result(),
        }
        event = callback(recording.connection_id, "RecordingStateChanged", common, data)
        return recording.outbox.post(event, recording.request.callback_uri)

    @staticmethod
    def _event(recording: Recording, reason: str) -> Json:
        """RecordingFileStatusUpdated in the Event Grid schema (acs.md 5.2)."""
        conversation = recording.conversation
        here = f"{STORAGE}/v1/objects/{recording.document}"
        chunk = {
            "documentId": recording.document,
            "index": 0,
            "endReason": "SessionEnded",
            "contentLocation": f"{here}/content/audio",
            "metadataLocation": f"{here}/content/acsmetadata",
            "deleteLocation": here,
        }
        data = {
            "recordingStorageInfo": {"recordingChunks": [chunk]},
            "recordingStartTime": _dotnet(recording.started, "Z"),
            "recordingDurationMs": recording.recorder.ms,
            "recordingContentType": "Audio",
            "recordingChannelType": recording.request.channels.capitalize(),
            "recordingFormatType": "Wav",
            "sessionEndReason": reason,
        }
        return {
            "id": str(uuid.uuid4()),
            "topic": TOPIC,
            "subject": f"/recording/call/{conversation.correlation_id}"
            f"/serverCallId/{conversation.server_call_id}/recordingId/{recording.id}",
            "data": data,
            "eventType": PREFIX + "RecordingFileStatusUpdated",
            "dataVersion": "1.0",
            "metadataVersion": "1",
            "eventTime": timestamp("Z"),
        }

    def _metadata(self, recording: Recording) -> Json:
        """The document behind `metadataLocation`: which channel is whose, and the pauses (shape from memory, unverified)."""
        recorder = recording.recorder
        return {
            "resourceId": self._services.resource_id,
            "callId": recording.conversation.correlation_id,
            "chunkDocumentId": recording.document,
            "chunkIndex": 0,
            "chunkStartTime": _dotnet(recording.started, "Z"),
            "chunkDuration": recorder.ms,
            "pauseResumeIntervals": recording.pauses,
            "recordingInfo": {
                "contentType": "audio",
                "channelType": recording.request.channels,
                "format": "wav",
                "audioConfiguration": {
                    "sampleRate": str(FILE_RATE),
                    "bitRate": FILE_RATE * 16 * recorder.channel_count,
                    "channels": recorder.channel_count,
                },
            },
            "participants": [
                {"participantId": who, "channel": place} for who, place in sorted(recorder.places.items())
            ],
        }

    async def close(self) -> None:
        """End all recordings and delete all files; for at most 5 s."""
        for recording_id in list(self._active):
            self._end(recording_id, "CallEnded")
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_S)
            for task in late:
                task.cancel()
        await asyncio.to_thread(self._writer.shutdown)
        if self._folder is not None:
            await asyncio.to_thread(shutil.rmtree, self._folder, True)
            self._folder = None


def _new_id() -> str:
    """Opaque to clients: the service's ids are base64 of a small JSON object (acs.md 4.2), too."""
    inside = {"platformEndpointId": str(uuid.uuid4()), "resourceSpecificId": str(uuid.uuid4())}
    return base64.urlsafe_b64encode(json.dumps(inside).encode()).rstrip(b"=").decode()


def _dotnet(at: datetime, suffix: str) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f") + "0" + suffix
