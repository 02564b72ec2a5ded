"""The bare relay: what any program must at least do between an ACS media socket and a realtime model's socket.

It takes a frame apart, splices its base64 into the other side's envelope, and sends it on: no authentication, no limits,
no pacing, no ledger, no barge-in, no record. The media host's figures are given as a share of what this program reaches.
By the measurements in the project's notes, a relay like this (Python, uvloop) reaches 0.70 to 0.79 of the same relay in C.

Run it alone: `python -m bench.relay --model ws://127.0.0.1:9000/`; it prints its port as JSON and ends with its stdin.
"""

import argparse
import asyncio
import json
import sys
from urllib.parse import urlsplit

import uvloop

from bench.frames import Peer

APPEND, APPEND_END = b'{"type":"input_audio_buffer.append","audio":"', b'"}'
AUDIO, AUDIO_END = b'{"Kind":"AudioData","AudioData":{"Data":"', b'"},"StopAudio":null}'
SESSION = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "output_modalities": ["audio"],
        "audio": {
            "input": {"format": {"type": "audio/pcm", "rate": 24000}},
            "output": {"format": {"type": "audio/pcm", "rate": 24000}},
        },
    },
}


class Line(Peer):
    """ACS's side: dials the model as soon as it is there, and keeps what comes before the model answers."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._address = urlsplit(model)
        self._waiting: list[bytes] = []
        self._model: Model | None = None
        self._dialling: asyncio.Task[None] | None = None

    def opened(self) -> None:
        """Dial the model."""
        self._dialling = asyncio.ensure_future(self._dial())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: Model(self, self._address.path or "/"), "127.0.0.1", self._address.port or 80
        )

    def ready(self, model: "Model") -> None:
        """The model's session is set up."""
        self._model = model
        for text in self._waiting:
            self.message(text)
        self._waiting.clear()

    def message(self, text: bytes) -> None:
        """Caller to model."""
        if self._model is None:
            self._waiting.append(text)
            return
        start = text.find(b'"data":"')
        if start > 0:
            start += 8
            self._model.send(APPEND + text[start : text.find(b'"', start)] + APPEND_END)

    def lost(self) -> None:
        """The caller is gone."""
        if self._model is not None:
            self._model.close()


class Model(Peer):
    """The model's side."""

    def __init__(self, line: Line, path: str) -> None:
        super().__init__(path)
        self._line = line

    def opened(self) -> None:
        """Configure the session."""
        self.send(json.dumps(SESSION).encode())

    def message(self, text: bytes) -> None:
        """Model to caller."""
        if text.startswith(b'{"type":"response.output_audio.delta"'):
            start = text.find(b'"delta":"') + 9
            self._line.send(AUDIO + text[start : text.find(b'"', start)] + AUDIO_END)
        elif text.startswith(b'{"type":"session.updated"'):
            self.send(b'{"type":"response.create"}')
            self._line.ready(self)

    def lost(self) -> None:
        """The model is gone: so is the call."""
        self._line.close()


async def serve(model: str) -> None:
    """Relay until stdin ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Line(model), "127.0.0.1", 0)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m bench.relay", description="the bare relay")
    parser.add_argument("--model", required=True, help="the model's socket, e.g. ws://127.0.0.1:9000/")
    uvloop.run(serve(parser.parse_args().model))


if __name__ == "__main__":
    main()
