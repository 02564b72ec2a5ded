"""Small pieces of RFC 6455 that the fast path of `websocket` needs, and the limits that a peer must keep."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may do; 0 switches a limit off.

    Attributes:
        max_message: bytes of one message, fragments together; more is closed with 1009.
        write_bound: bytes that may wait for a slow peer; then messages are dropped and counted.
        rate: frames per second, averaged over as many frames; more is closed with 1008.
        handshake_s: from the TCP connection to the end of the request's head (s).
        first_message_s: from the handshake to the first message (s); then closed with 1008.
        idle_s: without any message (s); then closed with 1001.
        ping_interval_s: how often we ask whether the peer is there (s).
        ping_timeout_s: how long the answer may take (s); then the connection is cut.
        close_s: how long a closing handshake may take (s).
    """

    max_message: int = 65_536
    write_bound: int = 262_144
    rate: int = 0
    handshake_s: float = 10.0
    first_message_s: float = 0.0
    idle_s: float = 0.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    close_s: float = 2.0

    @property
    def tick_s(self) -> float:
        """How often to look at the clock: once a second, or oftener when a limit is shorter than 4 s."""
        spans = (self.first_message_s, self.idle_s, self.ping_interval_s, self.ping_timeout_s)
        return min([1.0, *(span / 4 for span in spans if span)])


SERVER_LIMITS = Limits(rate=250, first_message_s=5.0, idle_s=30.0)
"""For lines that dial us (reliability.md 3C T7)."""


def frame_head(first: int, size: int, *, masked: bool) -> bytes:
    """Header of a frame with `size` bytes of payload, up to the masking key (RFC 6455 5.2).

    `first` is its first byte: 0x81 for a final text frame, 0x82 for a final binary one.
    """
    mask = 0x80 if masked else 0
    if size < 126:
        return bytes((first, mask | size))
    if size < 65_536:
        return bytes((first, mask | 126)) + size.to_bytes(2)
    return bytes((first, mask | 127)) + size.to_bytes(8)


def is_utf8(data: bytes) -> bool:
    """Whether a text message may hold `data`."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


class Masks:
    """Masking keys, unpredictable to whoever chose the text (RFC 6455 10.3), for one system call in 256."""

    __slots__ = ("_at", "_random")

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def next(self) -> bytes:
        """Four random bytes."""
        at = self._at
        if at == len(self._random):
            self._random = os.urandom(1024)
            at = 0
        self._at = at + 4
        return self._random[at : at + 4]
