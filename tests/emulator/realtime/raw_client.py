"""A client of the emulated models with nothing of ours or of the vendors' in it: JSON over `websockets`."""

import asyncio
import base64
import json
from contextlib import asynccontextmanager

from websockets.asyncio.client import connect

from tests.support.timing import patience

PATHS = {"ga": "/openai/v1/realtime?model=m", "flat": "/voice-live/realtime?api-version=2026-07-15&model=m"}
TRANSCRIBED = {
    "ga": {"type": "realtime", "audio": {"input": {"transcription": {"model": "whisper-1"}}}},
    "flat": {"input_audio_transcription": {"model": "azure-speech"}},
}
AUDIO = {"ga": "response.output_audio.delta", "flat": "response.audio.delta"}
CREATED = {"ga": "conversation.item.added", "flat": "conversation.item.created"}
WRITTEN = {"ga": "output_text", "flat": "text"}


class RawClient:
    def __init__(self, socket, dialect):
        self.socket = socket
        self.dialect = dialect
        self.events = []

    async def send(self, type, **fields):
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def update(self, session):
        """Send `session.update`; the echoed session."""
        more = {"type": "realtime"} if self.dialect == "ga" else {}
        await self.send("session.update", session={**more, **session}, event_id="cfg_1")
        return (await self.until("session.updated"))["session"]

    async def turn_detection(self, value):
        held = {"turn_detection": value}
        return await self.update({"audio": {"input": held}} if self.dialect == "ga" else held)

    async def user(self, text, **more):
        content = [{"type": "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content}, **more
        )

    async def hear(self, pcm, piece=4800):
        for at in range(0, len(pcm), piece):
            audio = base64.b64encode(pcm[at : at + piece]).decode()
            await self.send("input_audio_buffer.append", audio=audio)

    async def next(self):
        async with asyncio.timeout(patience(10)):
            event = json.loads(await self.socket.recv())
        self.events.append(event)
        return event

    async def until(self, type, **fields):
        """The next event of this type, with these fields."""
        while True:
            event = await self.next()
            if event["type"] == type and all(event.get(name) == value for name, value in fields.items()):
                return event

    async def error(self, event_id=None):
        error = (await self.until("error"))["error"]
        assert error["event_id"] == event_id
        return error

    async def done(self):
        return (await self.until("response.done"))["response"]

    def of(self, type):
        return [event for event in self.events if event["type"] == type]

    def types(self):
        """Types in order, runs of the same one once."""
        types = [event["type"] for event in self.events]
        return [kind for index, kind in enumerate(types) if index == 0 or types[index - 1] != kind]

    def audio(self, response_id):
        deltas = [event for event in self.of(AUDIO[self.dialect]) if event["response_id"] == response_id]
        return b"".join(base64.b64decode(event["delta"]) for event in deltas)


@asynccontextmanager
async def raw_client(model, dialect="ga", path="", headers=None):
    """A client whose session has been created."""
    url = model.endpoint + (path or PATHS[dialect])
    options = {
        "compression": None,
        "max_size": None,
        "close_timeout": 0.2,
    }  # what was not read is of no interest
    async with connect(url, additional_headers=headers, **options) as socket:
        client = RawClient(socket, dialect)
        yield client
