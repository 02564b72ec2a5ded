"""The recogniser's child process: one pocketsphinx decoder for all calls (`reference/embedded-agent.md`, section 3).

The whole utterance is decoded at once, without the best-path pass. Two small things decide about the result: a dither of a few
steps (digitally silent pauses make the features useless), and wide beams. The same audio is then decoded with a free loop over
phones; how much better that fits is the measure of "this was something else".

Request: `{"grammar": JSGF, "sample_rate": Hz}` with PCM16LE as payload, or `{"grammar", "prepare": true}` without;
answer: `{"text": STR or null, "score": FLOAT}`.
"""

import math

import numpy
import soxr
from pocketsphinx import Decoder, get_model_path

from media_host.speech.pipe import Handler, Header, serve

RATE = 16000
GRAMMARS = 64
"""So many compiled grammars are kept."""
SHORTEST = RATE // 10 * 2  # bytes: 100 ms
DITHER = 4.0  # steps of 16 bits, RMS
LOG_BASE = math.log(1.0001)  # Hypothesis.score is linear; the decoder counts in this base
PHONES = "phones"


class Engine:
    """The decoder with its compiled grammars, kept by their text."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._decoder = self._new_decoder()

    def _new_decoder(self) -> Decoder:
        decoder = Decoder(
            hmm=get_model_path("en-us/en-us"),
            dict=get_model_path("en-us/cmudict-en-us.dict"),
            lm=None,
            samprate=RATE,
            bestpath=False,
            cmn="batch",  # nothing of one utterance may influence the next, which is another caller's
            beam=1e-80,
            pbeam=1e-80,
            wbeam=1e-60,
            lw=1.0,
            loglevel="FATAL",
        )
        decoder.add_allphone_file(PHONES, get_model_path("en-us/en-us-phone.lm.bin"))
        return decoder

    def prepare(self, grammar: str) -> str:
        """The name of the compiled grammar.

        Raises:
            ValueError: the decoder does not take it: a mistake in it, or a word that is not in the dictionary.
        """
        if grammar in self._names:
            return self._names[grammar]
        if len(self._names) >= GRAMMARS:
            # Some 0.1 s, once in many dialogues. Removing single searches leaves others unreachable (pocketsphinx 5.1.1).
            self._names.clear()
            self._decoder = self._new_decoder()
        name = f"g{len(self._names)}"
        try:
            self._decoder.add_jsgf_string(name, grammar)
        except (RuntimeError, ValueError) as error:
            raise ValueError("the grammar has a mistake, or a word that is not in the dictionary") from error
        self._names[grammar] = name
        return name

    def recognise(self, pcm: bytes, sample_rate: int, grammar: str) -> Header:
        """The text in the grammar that fits best, with the score of `recogniser.Recognition`."""
        name = self.prepare(grammar)
        audio = condition(pcm, sample_rate)
        if len(audio) < SHORTEST:
            return {"text": None, "score": -1e6}
        text, words, frames = self._decode(audio, name)
        if not text:
            return {"text": None, "score": -1e6}
        _, phones, _ = self._decode(audio, PHONES)
        return {"text": text, "score": (words - phones) / max(frames, 1)}

    def _decode(self, audio: bytes, search: str) -> tuple[str, float, int]:
        """Text, log score, and frames of speech in it."""
        decoder = self._decoder
        decoder.activate_search(search)
        decoder.reinit_feat()  # what the last utterance taught it about noise is another caller's
        decoder.start_utt()
        decoder.process_raw(audio, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        if hypothesis is None or hypothesis.score <= 0:
            return "", -1e6, 0
        frames = sum(
            segment.end_frame - segment.start_frame + 1
            for segment in decoder.seg()
            if segment.word[0] not in "<(+" and segment.word != "SIL"
        )
        return hypothesis.hypstr, math.log(hypothesis.score) / LOG_BASE, frames


def condition(pcm: bytes, sample_rate: int) -> bytes:
    """PCM16LE at 16 kHz, dithered; the same input gives the same output."""
    samples = numpy.frombuffer(pcm, numpy.int16).astype(numpy.float32)
    if sample_rate != RATE:
        samples = soxr.resample(samples, sample_rate, RATE)
    dither = numpy.random.default_rng(1).normal(0.0, DITHER, len(samples))
    return bytes((samples + dither).round().clip(-32768, 32767).astype("<i2").tobytes())


def build() -> Handler:
    """The engine as a request handler."""
    engine = Engine()

    def handle(request: Header, pcm: bytes) -> tuple[Header, bytes]:
        grammar = str(request["grammar"])
        if request.get("prepare"):
            engine.prepare(grammar)
            return {}, b""
        return engine.recognise(pcm, int(str(request["sample_rate"])), grammar), b""

    return handle


if __name__ == "__main__":
    serve(build)
