"""Writes what is said in a conversation to a WAV file: mixed, or one channel for each participant.

While the call lasts, each channel is a raw file at the conversation's rate, written by one thread; at the end they become one WAV
of 16 kHz, 16 bits (the service's format, from memory of its documentation: acs.md does not name it).
"""

import logging
import wave
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy
import soxr

from emulator.acs.legs import Spoken
from emulator.acs.mixing import Frame, mix

log = logging.getLogger(__name__)

FRAME_MS = 20
FILE_RATE = 16_000
MAX_CHANNELS = 5
"""Of an unmixed file (from memory of the documentation)."""
MAX_FRAMES = 4 * 3600 * 50
PIECE = 64 * 1024
COMBINED_S = 10

type Channels = Literal["mixed", "unmixed"]
type Samples = numpy.ndarray[tuple[int], numpy.dtype[numpy.int16]]


@dataclass(slots=True)
class _Track:
    """One channel: frames wait in `buffer` until there are enough of them for the file."""

    file: Path
    frames: int = 0
    buffer: bytearray = field(default_factory=bytearray)


class Recorder:
    """A tap on a conversation (see `Conversation.add_tap`).

    Args:
        folder: where its files go; exists.
        name: of the files.
        channels: `mixed` or `unmixed`.
        rate: the conversation's (Hz).
        places: channel numbers (from 0) of participants who have a fixed one.
        writer: one thread; shared by all recorders.
        over: called once when the conversation ends, or the recording is as long as it may be.

    Attributes:
        paused: nothing is recorded; the file has no gap there.
        ms: recorded so far (ms).
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        channels: Channels,
        rate: int,
        places: Mapping[str, int],
        writer: ThreadPoolExecutor,
        over: Callable[[], None],
    ) -> None:
        self.paused = False
        self.places = dict(places)
        self._folder = folder
        self._name = name
        self._channels = channels
        self._rate = rate
        self._writer = writer
        self._over = over
        self._silence = bytes(rate * 2 * FRAME_MS // 1000)
        self._frames = 0
        self._tracks: dict[int, _Track] = {}

    @property
    def ms(self) -> int:
        """See the class."""
        return self._frames * FRAME_MS

    def frame(self, now: float, spoken: Spoken) -> None:
        """20 ms of the conversation."""
        if self.paused:
            return
        if self._frames >= MAX_FRAMES:
            self.paused = True
            log.warning("a recording has reached its greatest length and stops")
            self._over()
            return
        if self._channels == "mixed":
            self._put(0, mix([frame for _, frame in spoken]))
        else:
            for leg, frame in spoken:
                if frame is not None and (place := self._place(leg.raw_id)) is not None:
                    self._put(place, frame)
        self._frames += 1

    def over(self) -> None:
        """The conversation has ended."""
        self._over()

    def _place(self, raw_id: str) -> int | None:
        """The participant's channel: fixed, or the first free one when it is first heard; None when there is none left."""
        place = self.places.get(raw_id)
        if place is None:
            taken = set(self.places.values())
            place = next((number for number in range(MAX_CHANNELS) if number not in taken), None)
            if place is not None:
                self.places[raw_id] = place
        return place

    def _put(self, place: int, frame: Frame) -> None:
        if frame is None:
            return
        track = self._tracks.get(place)
        if track is None:
            track = self._tracks[place] = _Track(self._folder / f"{self._name}.{place}.pcm")
        missing = self._frames - track.frames
        if missing > 0:
            track.buffer += self._silence * missing
        track.buffer += frame
        track.frames = self._frames + 1
        if len(track.buffer) >= PIECE:
            self._write(track)

    def _write(self, track: _Track) -> None:
        data, track.buffer = track.buffer, bytearray()
        self._writer.submit(self._append_or_say, track.file, data)

    @staticmethod
    def _append_or_say(file: Path, data: bytearray) -> None:
        """The call goes on without this piece; the file will be short, and `finish` fills it up with silence."""
        try:
            _append(file, data)
        except OSError as error:
            log.warning("a recording loses %d bytes: %s", len(data), error.strerror)

    @property
    def channel_count(self) -> int:
        """Channels that the file will have: 1 when mixed, else as far as the highest that is spoken for."""
        return 1 if self._channels == "mixed" else max(self.places.values(), default=0) + 1

    def finish(self) -> Path:
        """Make the WAV file; blocks, and nothing may be recorded any more. Call it from the writer's thread.

        Raises:
            OSError: it cannot be written.
        """
        for track in self._tracks.values():
            _append(track.file, track.buffer)
            track.buffer = bytearray()
        target = self._folder / f"{self._name}.wav"
        tracks = [self._tracks.get(place) for place in range(self.channel_count)]
        try:
            _combine([track.file if track else None for track in tracks], self._frames, self._rate, target)
        finally:
            self.discard()
        return target

    def discard(self) -> None:
        """Delete the raw files."""
        for track in self._tracks.values():
            track.file.unlink(missing_ok=True)


def _append(file: Path, data: bytes | bytearray) -> None:
    with file.open("ab") as out:
        out.write(data)


def _combine(files: Sequence[Path | None], frames: int, rate: int, target: Path) -> None:
    """Raw channels of `rate` Hz, padded to `frames`, as one WAV of 16 kHz; in pieces, so that length costs no memory."""
    streams = [
        soxr.ResampleStream(rate, FILE_RATE, 1, dtype="float32") if rate != FILE_RATE else None for _ in files
    ]
    piece = COMBINED_S * rate
    total = frames * rate * FRAME_MS // 1000
    wanted = frames * FILE_RATE * FRAME_MS // 1000
    sources = [None if file is None else file.open("rb") for file in files]
    try:
        with wave.open(str(target), "wb") as out:
            out.setnchannels(len(files))
            out.setsampwidth(2)
            out.setframerate(FILE_RATE)
            written = 0
            for start in range(0, total, piece):
                count = min(piece, total - start)
                last = start + count >= total
                columns: list[Samples] = []
                for source, stream in zip(sources, streams, strict=True):
                    data = source.read(count * 2) if source is not None else b""
                    samples: Samples = numpy.frombuffer(data.ljust(count * 2, b"\0"), "<i2")
                    columns.append(samples if stream is None else _resampled(stream, samples, last))
                length = min(len(columns[0]), wanted - written)
                out.writeframes(numpy.column_stack([column[:length] for column in columns]).tobytes())
                written += length
            out.writeframes(bytes((wanted - written) * 2 * len(files)))
    finally:
        for source in sources:
            if source is not None:
                source.close()


def _resampled(stream: soxr.ResampleStream, samples: Samples, last: bool) -> Samples:
    """The next piece at the file's rate; in floating point, since the library adds noise to 16 bits."""
    result = stream.resample_chunk(samples.astype(numpy.float32), last=last)
    rounded: Samples = numpy.clip(numpy.rint(result), -32768, 32767).astype("<i2")
    return rounded
