"""A mu-law line with a session in PCM16: the whole way, quantisation included."""

import base64
import struct
import time

import numpy as np
import pytest

from media_host import g711
from media_host.agents.base import Codec
from media_host.lines.conversion import Conversion


def tone(hz, rate, seconds=1.0):
    times = np.arange(int(rate * seconds)) / rate
    return np.rint(10_000 * np.sin(2 * np.pi * hz * times)).astype("<i2")


def snr(samples, hz, rate):
    times = np.arange(len(samples)) / rate
    waves = np.column_stack((np.sin(2 * np.pi * hz * times), np.cos(2 * np.pi * hz * times)))
    parts, *_ = np.linalg.lstsq(waves, samples.astype(float), rcond=None)
    return 10 * np.log10(np.mean((waves @ parts) ** 2) / np.mean((samples - waves @ parts) ** 2))


def pieces(data, size):
    return [base64.b64encode(data[at : at + size]) for at in range(0, len(data), size)]


@pytest.mark.parametrize("codec", [Codec.PCM16_24K, Codec.PCM16_16K])
@pytest.mark.parametrize("hz", [440, 1900, 3300])
def test_both_ways_add_no_noise_to_that_of_mu_law(codec, hz):
    """G.711 alone gives about 38 dB; what is lost beside it is less than 1 dB."""
    conversion = Conversion(codec)
    rate = codec.sample_rate
    there = g711.encode(tone(hz, 8000).tobytes())
    alone = snr(np.frombuffer(g711.decode(there), "<i2"), hz, 8000)
    heard = b"".join(base64.b64decode(conversion.heard(piece)) for piece in pieces(there, 160))
    assert len(heard) == rate * 2
    assert snr(np.frombuffer(heard, "<i2")[rate // 10 :], hz, rate) > alone - 1
    said = b"".join(
        base64.b64decode(conversion.said(piece)) for piece in pieces(tone(hz, rate).tobytes(), rate // 25)
    )
    assert len(said) == 8000
    assert snr(np.frombuffer(g711.decode(said), "<i2")[800:], hz, 8000) > 36


def test_silence_stays_silence():
    conversion = Conversion(Codec.PCM16_24K)
    assert not any(base64.b64decode(conversion.heard(base64.b64encode(b"\xff" * 160))))
    assert base64.b64decode(conversion.said(base64.b64encode(bytes(960)))) == b"\xff" * 160


def test_what_was_flushed_is_not_heard_with_what_comes_next():
    conversion = Conversion(Codec.PCM16_24K)
    conversion.said(base64.b64encode(struct.pack("<480h", *[20_000] * 480)))
    conversion.flushed()
    assert base64.b64decode(conversion.said(base64.b64encode(bytes(960)))) == b"\xff" * 160


def test_less_than_a_sample_is_nothing_yet():
    assert Conversion(Codec.PCM16_24K).said(base64.b64encode(bytes(2))) == b""


def test_a_frame_takes_a_small_part_of_its_time():
    """20 ms both ways: well under 1 ms even on a loaded machine, by the process's own clock."""
    conversion = Conversion(Codec.PCM16_24K)
    caller, agent = base64.b64encode(b"\x2a" * 160), base64.b64encode(bytes(960))
    began = time.process_time()
    for _ in range(500):
        conversion.heard(caller)
        conversion.said(agent)
    assert (time.process_time() - began) / 500 < 0.002
