"""The synthesiser's child process: libespeak-ng through ctypes, and nothing of Patchcord but the pipe.

espeak-ng is GPLv3; it is loaded in this separate program only, never in the media host (`reference/embedded-agent.md`, section 2).
Request: `{"text", "voice", "rate" (words per minute), "sample_rate" (Hz)}`; answer: PCM16LE mono as payload.
"""

import ctypes

import espeakng_loader
import numpy
import soxr

from media_host.speech.pipe import Handler, Header, serve

# espeak-ng's speak_lib.h
AUDIO_OUTPUT_SYNCHRONOUS = 2
CHARS_UTF8 = 1
POS_CHARACTER = 1
PARAMETER_RATE = 1
INITIALIZE_DONT_EXIT = 0x8000

PEAK = 10 ** (-9 / 20)
"""Peaks are brought down to this share of full scale (-9 dBFS): espeak-ng itself speaks near full scale."""

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, initialised once; its state belongs to the whole process, which does one thing at a time.

    Raises:
        RuntimeError: the library or its data cannot be loaded.
    """

    def __init__(self) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate = self._library.espeak_Initialize(
            AUDIO_OUTPUT_SYNCHRONOUS, 60, data, INITIALIZE_DONT_EXIT
        )
        if self.sample_rate <= 0:
            raise RuntimeError("espeak-ng cannot be initialised")
        self._pieces: list[bytes] = []
        self._callback = CALLBACK(self._collect)  # kept: ctypes does not hold it for the library
        self._library.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples: "ctypes._Pointer[ctypes.c_short]", count: int, _: int) -> int:
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, count * 2))
        return 0

    def say(self, text: str, voice: str, rate: int) -> bytes:
        """PCM16 mono at `sample_rate`, near full scale.

        Raises:
            ValueError: no such voice.
            RuntimeError: the library refused the text.
        """
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"no voice {voice!r}")
        self._library.espeak_SetParameter(PARAMETER_RATE, rate, 0)
        self._pieces.clear()
        data = text.encode()
        if self._library.espeak_Synth(data, len(data) + 1, 0, POS_CHARACTER, 0, CHARS_UTF8, None, None) != 0:
            raise RuntimeError("espeak-ng refused the text")
        return b"".join(self._pieces)


def fit(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """PCM16LE at another sample rate (Hz), with its peak at -9 dBFS or below."""
    samples = numpy.frombuffer(pcm, numpy.int16).astype(numpy.float32) / 32768
    if not len(samples):
        return b""
    if from_rate != to_rate:
        samples = soxr.resample(samples, from_rate, to_rate)
    peak = float(numpy.abs(samples).max())
    gain = PEAK / peak if peak > PEAK else 1.0
    return bytes((samples * (gain * 32767)).round().astype("<i2").tobytes())


def build() -> Handler:
    """The engine as a request handler."""
    espeak = Espeak()

    def handle(request: Header, _: bytes) -> tuple[Header, bytes]:
        text, voice = str(request["text"]), str(request["voice"])
        rate, to_rate = int(str(request["rate"])), int(str(request["sample_rate"]))
        return {}, fit(espeak.say(text, voice, rate), espeak.sample_rate, to_rate)

    return handle


if __name__ == "__main__":
    serve(build)
