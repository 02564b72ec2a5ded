"""Audio formats: what the configuration calls them, what the line calls them, and base64 pieces of prepared speech."""

import binascii
from functools import lru_cache

from media_host import g711
from media_host.agents.base import Codec

ACS_CODECS = {"pcm24KMono": Codec.PCM16_24K, "pcm16KMono": Codec.PCM16_16K}
"""ACS's names of audio formats (acs.md section 2)."""

ACS_NAMES = {codec: name for name, codec in ACS_CODECS.items()}

PIECE_MS = 960
"""Prepared speech is handed to playout in pieces of this length: whole frames and unpadded base64 at every rate."""


def to_pieces(pcm: bytes, codec: Codec) -> list[bytes]:
    """PCM16LE samples at the rate of `codec` as base64 pieces in it; the last is filled up with silence to whole 20 ms."""
    pcm += bytes(-len(pcm) % (codec.sample_rate // 50 * 2))
    audio = g711.encode(pcm) if codec is Codec.ULAW_8K else pcm
    size = codec.bytes_per_ms * PIECE_MS
    return [binascii.b2a_base64(audio[at : at + size], newline=False) for at in range(0, len(audio), size)]


def silence_like(data: bytes, codec: Codec) -> bytes:
    """Base64 of as much silence as `data` (base64) lasts."""
    return _silence(len(data) // 4 * 3 - data[-2:].count(b"="), codec)


@lru_cache(16)
def _silence(size: int, codec: Codec) -> bytes:
    """Base64 of `size` bytes; in mu-law the code of silence is 0xFF, not 0 (G.711 table 2a)."""
    return binascii.b2a_base64((b"\xff" if codec is Codec.ULAW_8K else b"\0") * size, newline=False)
