"""Audio as the two dialects name it (realtime.md 5): PCM16LE at three rates, and mu-law at 8 kHz. A-law is not emulated."""

from dataclasses import dataclass
from typing import Any

from media_host import g711


@dataclass(frozen=True, slots=True)
class Format:
    """An audio format: `sample_rate` in Hz, mono; PCM16LE unless `ulaw`."""

    sample_rate: int
    ulaw: bool = False

    @property
    def bytes_per_ms(self) -> int:
        """48 for PCM16 at 24 kHz."""
        return self.sample_rate * (1 if self.ulaw else 2) // 1000

    def ms(self, size: int) -> float:
        """How long `size` bytes last (ms)."""
        return size / self.bytes_per_ms

    def to_pcm(self, data: bytes) -> bytes:
        """PCM16LE at the same rate; half a sample at the end is dropped."""
        return g711.decode(data) if self.ulaw else data[: len(data) // 2 * 2]

    def from_pcm(self, pcm: bytes) -> bytes:
        """From PCM16LE at the same rate."""
        return g711.encode(pcm) if self.ulaw else pcm


PCM_24K = Format(24000)

FLAT_OUTPUTS = {
    "pcm16": PCM_24K,
    "pcm16_16000hz": Format(16000),
    "pcm16_8000hz": Format(8000),
    "g711_ulaw": Format(8000, ulaw=True),
}


def ga_format(value: dict[str, Any]) -> Format:
    """Of a GA session's `audio.input.format` or `audio.output.format`."""
    return Format(8000, ulaw=True) if value["type"] == "audio/pcmu" else PCM_24K


def flat_input(session: dict[str, Any]) -> Format:
    """Of a flat session's `input_audio_format` and `input_audio_sampling_rate`."""
    if session["input_audio_format"] == "g711_ulaw":
        return Format(8000, ulaw=True)
    return Format(session["input_audio_sampling_rate"])
