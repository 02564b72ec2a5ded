"""The agent's audio out of the model's frames, without parsing them and without a change (realtime.md sections 4 and 5)."""

import base64
import binascii

import msgspec

from media_host.agents.base import Codec


def audio_start(frame: bytes, mark: bytes) -> int:
    """Where the base64 text begins in an audio delta of the usual shape: flat, the audio last, no escapes.

    Args:
        frame: a server event.
        mark: what every audio delta of the dialect holds (`Dialect.audio_delta_mark`).

    Returns:
        The index behind `"delta":"`; the text ends two bytes before the frame does. -1 for every other frame, which is
        to be parsed as JSON. A quotation mark inside a JSON string is always escaped, so what is found here is a key.
    """
    at = frame.find(b'"delta":"', 0, 1024)
    if at < 0 or frame.find(mark, 0, at) < 0 or frame.find(b"{", 1, at) > 0:
        return -1
    at += 9
    if frame.find(b'"', at) != len(frame) - 2 or not frame.endswith(b'"}') or frame.find(b"\\", at) > 0:
        return -1
    return at


class Ids(msgspec.Struct):
    """The ids of an audio delta."""

    response_id: str
    item_id: str


_IDS = msgspec.json.Decoder(Ids)


def delta_ids(frame: bytes, start: int) -> Ids:
    """The ids of a delta whose audio starts at `start`.

    Raises:
        msgspec.DecodeError: they are missing, or what stands before the audio is no JSON.
    """
    return _IDS.decode(frame[:start] + b'"}')


def ids_mark(response_id: str, item_id: str) -> bytes:
    """What a delta of this item holds in the order and spacing that models write; another costs one more look at the ids."""
    return f'"response_id":"{response_id}","item_id":"{item_id}"'.encode()


class WholeSamples:
    """Makes whole samples of deltas that split one: the odd byte waits for the next delta (realtime.md section 5).

    Args:
        codec: what the deltas hold.
    """

    def __init__(self, codec: Codec) -> None:
        self._odd = 0 if codec is Codec.ULAW_8K else 1
        self._unit = 8 if self._odd else 4  # characters that hold whole bytes and whole samples
        self._carried = b""

    def are_whole(self, text: bytes) -> bool:
        """Whether `text` can go on as it is."""
        return not (len(text) % self._unit or self._carried or text.endswith(b"="))

    def take(self, text: bytes) -> bytes:
        """Base64 text of whole samples.

        Raises:
            binascii.Error: it is no base64.
        """
        try:
            raw = self._carried + base64.b64decode(text, validate=True)
        except ValueError as error:
            raise binascii.Error("no base64") from error
        whole = len(raw) & ~self._odd
        self._carried = raw[whole:]
        return base64.b64encode(raw[:whole])

    def drop(self) -> None:
        """A new turn: half a sample of the old one is of no use."""
        self._carried = b""
