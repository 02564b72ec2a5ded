"""What goes wrong on a media WebSocket when it is asked for: odd frames, unknown kinds, a connection that fails."""

from emulator.acs.media import AudioWriter, MediaOptions
from emulator.acs.socket import MediaSocket
from emulator.faults import Faults

UNKNOWN = (
    b'{"kind":"SomethingNew","somethingNew":{"value":1}}',
    b'{"kind":"MarkData","markData":{"id":"m1","status":"Completed"}}',
    b'{"kind":7}',
    b'{"somethingElse":true}',
)
"""Messages that an app has to ignore: of a newer service, of a preview (acs.md 3.2), of a wrong shape."""


def odd_frame(pcm: bytes | None, frame_bytes: int, number: int) -> bytes:
    """A frame of a size that is not 20 ms: half a sample short, too long, empty, a single byte, three frames at once.

    Args:
        pcm: what the frame should hold; None is silence.
        frame_bytes: its proper size.
        number: which of the odd sizes.
    """
    whole = pcm or bytes(frame_bytes)
    sizes = (frame_bytes - 1, frame_bytes + 2, 0, 1, 3 * frame_bytes, frame_bytes // 2 + 1)
    size = sizes[number % len(sizes)]
    return (whole * 3)[:size].ljust(size, b"\0")


class MediaFaults:
    """Applies the faults of one call to its media connection.

    Args:
        faults: of the call; read when something is due.
        options: the stream's format.
    """

    def __init__(self, faults: Faults, options: MediaOptions) -> None:
        self._faults = faults
        self._frame_bytes = options.frame_bytes

    def message(self, writer: AudioWriter, pcm: bytes | None, socket: MediaSocket) -> bytes:
        """The message for this frame, odd when that is due; messages of unknown kinds go out before it."""
        faults = self._faults
        if faults.unknown_kinds:
            faults.unknown_kinds -= 1
            socket.send(UNKNOWN[faults.unknown_kinds % len(UNKNOWN)])
        if faults.odd_frames:
            faults.odd_frames -= 1
            pcm = odd_frame(pcm, self._frame_bytes, faults.odd_frames)
        return writer.frame(pcm)

    def strike(self, socket: MediaSocket, connected_ms: float) -> bool:
        """Do to the connection what is due; returns whether the service has to dial again by itself."""
        faults = self._faults
        fault = faults.media_fault
        if not fault or connected_ms < faults.media_fault_after_ms:
            return False
        faults.media_fault = ""
        if fault == "half_open":
            socket.half_open()
        elif fault == "slow":
            socket.slow_down(faults.slow_bytes_s)
        else:
            socket.abort()
        return fault == "reconnect"
