"""Unmixed media streaming: a stream for each speaker, at most four at a time (acs.md 2)."""

from emulator.acs.legs import Leg, Spoken
from emulator.acs.media import AudioWriter, MediaOptions
from emulator.acs.mixing import Frame, Resampler

MAX_SPEAKERS = 4


class _Stream:
    """One participant's stream."""

    def __init__(self, options: MediaOptions, leg: Leg, rate: int) -> None:
        self.spoke_at = 0.0
        self._writer = AudioWriter(options, leg.known_id)
        self._resampler = None if rate == options.sample_rate else Resampler(rate, options.sample_rate)

    def frame(self, pcm: Frame) -> bytes:
        return self._writer.frame(pcm if self._resampler is None else self._resampler.convert(pcm))


class Speakers:
    """Chooses the speakers and writes their frames.

    With more than four participants the four who spoke last are streamed (how the service ranks them is guessed).

    Args:
        options: the streams' format.
    """

    def __init__(self, options: MediaOptions) -> None:
        self._options = options
        self._streams: dict[Leg, _Stream] = {}

    def frames(self, spoken: Spoken, rate: int, now: float) -> list[bytes]:
        """The messages of these 20 ms; `rate` is that of the frames (Hz)."""
        streams = self._streams
        for leg, pcm in spoken:
            if leg not in streams:
                streams[leg] = _Stream(self._options, leg, rate)
            if pcm is not None:
                streams[leg].spoke_at = now
        if len(streams) > len(spoken):
            there = {leg for leg, _ in spoken}
            streams = self._streams = {leg: stream for leg, stream in streams.items() if leg in there}
        chosen = spoken
        if len(spoken) > MAX_SPEAKERS:
            chosen = sorted(spoken, key=lambda entry: -streams[entry[0]].spoke_at)[:MAX_SPEAKERS]
        return [streams[leg].frame(pcm) for leg, pcm in chosen]
