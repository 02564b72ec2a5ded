import base64

import pytest

from media_host.agents.base import Codec
from media_host.audio import PIECE_MS, silence_like, to_pieces
from media_host.g711 import encode


@pytest.mark.parametrize("codec", list(Codec))
def test_prepared_speech_in_every_format(codec):
    """2.5 pieces and a bit: whole frames, unpadded text except at the end, silence at the end."""
    samples = codec.sample_rate // 1000 * (PIECE_MS * 5 // 2 + 7)
    pcm = b"\x10\x27" * samples
    pieces = to_pieces(pcm, codec)
    audio = [base64.b64decode(piece, validate=True) for piece in pieces]
    assert [len(piece) for piece in audio[:2]] == [codec.bytes_per_ms * PIECE_MS] * 2 and len(audio) == 3
    assert not any(b"=" in piece for piece in pieces[:-1])
    whole = b"".join(audio)
    assert len(whole) % (codec.bytes_per_ms * 20) == 0
    wanted = encode(pcm) if codec is Codec.ULAW_8K else pcm
    assert whole.startswith(wanted)
    end = whole[len(wanted) :]
    assert end == (b"\xff" if codec is Codec.ULAW_8K else b"\0") * len(end) and end


def test_nothing_is_no_piece():
    assert to_pieces(b"", Codec.ULAW_8K) == []


@pytest.mark.parametrize("size", [0, 1, 2, 3, 160, 960])
def test_silence_is_as_long_as_what_it_stands_for(size):
    data = base64.b64encode(b"\x44" * size)
    assert base64.b64decode(silence_like(data, Codec.PCM16_8K), validate=True) == bytes(size)
    assert base64.b64decode(silence_like(data, Codec.ULAW_8K), validate=True) == b"\xff" * size
