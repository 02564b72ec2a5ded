"""G.711 against an independent reckoning, by exponent and mantissa, of all 256 codes and all 65,536 samples."""

import struct

import numpy as np
import pytest

from media_host.g711 import decode, encode


def decoded(code: int) -> int:
    inverted = code ^ 0xFF
    exponent, mantissa = inverted >> 4 & 7, inverted & 15
    magnitude = ((mantissa << 3) + 132 << exponent) - 132
    return -magnitude if inverted & 0x80 else magnitude


def encoded(sample: int) -> int:
    magnitude = min(abs(sample) // 4, 8158) + 33
    exponent = magnitude.bit_length() - 6
    code = exponent << 4 | magnitude >> exponent + 1 & 15
    return (code | (0x80 if sample < 0 else 0)) ^ 0xFF


def test_all_codes():
    values = struct.unpack("<256h", decode(bytes(range(256))))
    assert list(values) == [decoded(code) for code in range(256)]
    assert (values[0x00], values[0x80], values[0xFF], values[0x7F]) == (-32124, 32124, 0, 0)


def test_all_samples():
    samples = np.arange(-32768, 32768, dtype="<i2")
    codes = encode(samples.tobytes())
    assert list(codes) == [encoded(int(sample)) for sample in samples]


def test_a_code_survives_the_way_there_and_back():
    codes = bytes(code for code in range(256) if code != 0x7F)  # minus zero comes back as zero
    assert encode(decode(codes)) == codes


def test_half_a_sample_is_refused():
    with pytest.raises(ValueError, match="buffer size"):
        encode(b"\0\0\0")
