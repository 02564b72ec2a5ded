import base64

import pytest

from media_host.agents.base import Codec
from media_host.notices import TEXTS, Notices, tone
from shared.errors import AgentUnavailable


class Voice:
    def __init__(self, broken=False) -> None:
        self.broken, self.said = broken, []

    async def say(self, text, voice, sample_rate):
        if self.broken:
            raise AgentUnavailable("gone")
        self.said.append((text, sample_rate))
        return b"\1\0" * (sample_rate // 100)


def samples(pieces):
    return b"".join(base64.b64decode(piece) for piece in pieces)


async def test_every_notice_is_spoken_once_per_format_and_kept():
    voice, notices = Voice(), Notices()
    await notices.prepare(voice, {Codec.PCM16_24K, Codec.PCM16_16K})
    assert len(voice.said) == 2 * len(TEXTS)
    pcm = samples(notices.pieces("sorry", Codec.PCM16_24K))
    assert pcm.startswith(b"\1\0" * 240) and len(pcm) % (48 * 20) == 0


@pytest.mark.parametrize("voice", [None, Voice(broken=True)])
async def test_without_a_voice_it_is_a_tone_and_never_nothing(voice):
    notices = Notices()
    await notices.prepare(voice, {Codec.PCM16_16K})
    for name in TEXTS:
        assert samples(notices.pieces(name, Codec.PCM16_16K)) == tone(16000)


def test_a_format_nobody_prepared_is_a_tone():
    assert samples(Notices().pieces("sorry", Codec.PCM16_24K)) == tone(24000)
