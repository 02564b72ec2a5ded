"""What a call needs from the telephone at its other end."""


class Handset:
    """The caller's side of a call; this one is somebody outside the emulator, who picks up and says nothing.

    Times are loop time (s); nothing here may block.
    """

    def ringing(self) -> None:
        """The call was offered to the app."""

    def delivered(self, subscription: str) -> None:
        """A subscriber took the IncomingCall event."""

    def answered(self, sample_rate: int) -> None:
        """The app answered; audio will be PCM16LE mono at `sample_rate` Hz, a frame every 20 ms."""

    def media_started(self) -> None:
        """The app's media connection stands: from now on it hears the caller."""

    def media_lost(self, reason: str) -> None:
        """The media connection could not be made, or broke in mid-call; the call stays up."""

    def redirected(self, to: str) -> None:
        """The app sent the ringing call on to another address."""

    def transferred(self, to: str) -> None:
        """The call was handed to another address, and goes on there unless that lies outside the emulator."""

    def heard_key(self, key: str) -> None:
        """Somebody else in the call pressed a key, or an app sent one."""

    def held(self, *, on: bool) -> None:
        """An app put the caller on hold, or took it off."""

    def muted(self) -> None:
        """An app muted the caller."""

    def next_frame(self, now: float) -> bytes | None:
        """20 ms of what the caller says, or None when the caller is quiet."""
        return None

    def hear(self, pcm: bytes | None, waiting_ms: float, now: float) -> None:
        """20 ms of what the app says, or None when nothing is played; `waiting_ms` more waits to be played."""

    def flushed(self, now: float) -> None:
        """The app stopped what was being played."""

    def over(self, reason: str, by: str) -> None:
        """The call has ended (`reason`) by the `caller`, the `agent`, the `service` or an `other` person; called once."""
