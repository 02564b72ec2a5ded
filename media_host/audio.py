"""Audio formats: what the configuration calls them, what the line calls them, and base64 pieces of prepared speech."""

import binascii

from media_host.agents.base import Codec

ACS_CODECS = {"pcm24KMono": Codec.PCM16_24K, "pcm16KMono": Codec.PCM16_16K}
"""ACS's names of audio formats (acs.md section 2)."""

PIECE_MS = 960
"""Prepared speech is handed to playout in pieces of this length: whole frames and unpadded base64 at every rate."""


def to_pieces(pcm: bytes, codec: Codec) -> list[bytes]:
    """PCM16LE samples as base64 pieces; the last is filled up with silence to a whole 20 ms frame."""
    pcm += bytes(-len(pcm) % (codec.bytes_per_ms * 20))
    size = codec.bytes_per_ms * PIECE_MS
    return [binascii.b2a_base64(pcm[at : at + size], newline=False) for at in range(0, len(pcm), size)]
