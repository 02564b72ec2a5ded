"""G.711 mu-law as ITU-T G.711 has it, for what the emulated Twilio sends and plays; not the product's tables."""

import numpy

BIAS, CLIP = 0x84, 32635
SILENCE = 0xFF


def _decoded(code: int) -> int:
    code = ~code & 0xFF
    size = (((code & 0x0F) << 3) + BIAS << (code >> 4 & 7)) - BIAS
    return -size if code & 0x80 else size


def _encoded(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    size = min(abs(sample), CLIP) + BIAS
    exponent = size.bit_length() - 8
    return ~(sign | exponent << 4 | size >> exponent + 3 & 0x0F) & 0xFF


_DECODE = numpy.array([_decoded(code) for code in range(256)], "<i2")
_ENCODE = numpy.array([_encoded(sample) for sample in range(-32768, 32768)], numpy.uint8)


def decode(data: bytes) -> bytes:
    """Mu-law bytes as PCM16LE."""
    return bytes(_DECODE[numpy.frombuffer(data, numpy.uint8)].tobytes())


def encode(pcm: bytes) -> bytes:
    """PCM16LE as mu-law bytes; one sample each."""
    return bytes(_ENCODE[numpy.frombuffer(pcm, "<i2").astype(numpy.int32) + 32768].tobytes())
