"""Between a mu-law line and a session in PCM16: G.711, and the rate up and down (`resampling`); 2 ms each way."""

import binascii

import numpy as np

from media_host import g711
from media_host.agents.base import Codec
from media_host.resampling import Downsampler, Upsampler, factor_of


class Conversion:
    """One call's.

    Args:
        codec: the session's: PCM16 at 16 or 24 kHz.
    """

    def __init__(self, codec: Codec) -> None:
        self._up = Upsampler(factor_of(codec))
        self._down = Downsampler(factor_of(codec))

    def heard(self, data: bytes) -> bytes:
        """The caller's mu-law (base64 of any length) as the session's PCM16, base64."""
        samples = np.frombuffer(g711.decode(binascii.a2b_base64(data)), "<i2")
        return binascii.b2a_base64(self._up.feed(samples).astype("<i2").tobytes(), newline=False)

    def said(self, data: bytes) -> bytes:
        """The session's PCM16 (base64 of whole samples) as mu-law, base64; b"" when it is not yet a sample's worth."""
        samples = self._down.feed(np.frombuffer(binascii.a2b_base64(data), "<i2"))
        return binascii.b2a_base64(g711.encode(samples.astype("<i2").tobytes()), newline=False)

    def flushed(self) -> None:
        """What was said is thrown away: nothing of it may be heard with what comes next."""
        self._down.reset()
