"""The app that the emulator's benchmark calls: answers every call by signed REST requests, and talks back in real time.

Every frame is looked at: a caller's tone has no two frames alike, so that lost, doubled and swapped ones are noticed. It is told
where the emulator is by one JSON line on stdin, answers an empty line with what it has counted, and ends with stdin.
"""

import asyncio
import base64
import email.utils
import gc
import itertools
import json
import sys
import time
import uuid
from collections import Counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import uvloop
from aiohttp import web

from bench.emulator_host import TONES_HZ
from bench.frames import Peer
from bench.load import Wheel
from emulator.acs.auth import content_hash, signature
from emulator.lateness import Lateness
from emulator.phone.audio import tone

type Json = dict[str, Any]

RATE = 24_000
FRAME_BYTES = 960
AHEAD = 3
"""Frames that are sent before the first tick, so that the caller hears no hole when this process is late."""
ANSWER = "/calling/callConnections:answer?api-version=2025-06-30-preview"
_DATA = b'"data":"'


def frames_of(hz: float, seconds: float) -> list[bytes]:
    """A caller's tone as base64, frame by frame."""
    pcm = tone(hz, seconds, RATE)
    return [base64.b64encode(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)]


class Ear:
    """Checks the frames of one call.

    Args:
        frames: the tone that is expected.
        arrivals: takes how late frames came, against the earliest one of the call.
        counts: takes what was found.
    """

    def __init__(self, frames: list[bytes], arrivals: Lateness, counts: Counter[str]) -> None:
        self._frames = frames
        self._arrivals = arrivals
        self._counts = counts
        self._next = 0
        self._heard = 0
        self._times: list[float] = []

    def hear(self, message: bytes, now: float) -> None:
        """One message of the emulator."""
        counts = self._counts
        start = message.find(_DATA)
        if start < 0:
            counts["other"] += 1
            return
        counts["frames"] += 1
        self._times.append(now - 0.020 * self._heard)
        self._heard += 1
        data = message[start + 8 : message.find(b'"', start + 8)]
        if self._next < len(self._frames) and data == self._frames[self._next]:
            self._next += 1
            counts["tone"] += 1
        elif message.endswith(b'"silent":true}}'):
            counts["holes" if 0 < self._next < len(self._frames) else "silent"] += 1
        else:
            self._lose(data)

    def _lose(self, data: bytes) -> None:
        """A frame that is not the next one."""
        try:
            found = self._frames.index(data)
        except ValueError:
            self._counts["strange"] += 1
            return
        if found > self._next:
            self._counts["lost"] += found - self._next
            self._next = found + 1
        else:
            self._counts["doubled"] += 1

    def over(self) -> None:
        """The call has ended: how late each frame was, compared with the one that came earliest for its number."""
        if self._times:
            earliest = min(self._times)
            for at in self._times:
                self._arrivals.note(at - earliest)


class Media(Peer):
    """One call's media connection."""

    def __init__(self, app: "App") -> None:
        super().__init__()
        self._app = app
        self._ear: Ear | None = None

    def opened(self) -> None:
        """Say hello: the first frames at once, the others every 20 ms."""
        app = self._app
        app.counts["sockets"] += 1
        number = int(parse_qs(urlsplit(self.asked).query)["tone"][0])
        self._ear = Ear(app.frames[number], app.arrivals, app.counts)
        for _ in range(AHEAD):
            self.tick(0)
        self.slot = app.seat(self)

    def tick(self, now_ns: int) -> None:
        """20 ms of speech."""
        if self.is_open:
            self.send(self._app.speech)
            self._app.counts["sent"] += 1

    def message(self, text: bytes) -> None:
        """20 ms of the caller."""
        if self._ear is not None:
            self._ear.hear(text, time.monotonic())

    def lost(self) -> None:
        """The call is over."""
        if self._ear is not None:
            self._ear.over()
            self._app.leave(self)


class App:
    """Answers what rings."""

    def __init__(self, tone_s: float) -> None:
        self.counts: Counter[str] = Counter()
        self.arrivals = Lateness()
        self.frames = [frames_of(hz, tone_s) for hz in TONES_HZ]
        speech = base64.b64encode(tone(220.0, 0.02, RATE)).decode()
        self.speech = json.dumps(
            {"Kind": "AudioData", "AudioData": {"Data": speech}, "StopAudio": None}
        ).encode()
        self.wheel = Wheel()
        self.media = ""
        self.base = ""
        self._endpoint = ""
        self._key = b""
        self._slots = itertools.cycle(self.wheel.slots)
        self._session: aiohttp.ClientSession
        self._tasks: set[asyncio.Task[None]] = set()

    def seat(self, media: Media) -> list[Any]:
        """A place on the wheel."""
        slot = next(self._slots)
        slot.append(media)  # type: ignore[arg-type]  # it has a tick: the wheel asks for nothing else
        return slot

    def leave(self, media: Media) -> None:
        """No more ticks."""
        if media in media.slot:
            media.slot.remove(media)

    async def start(self) -> None:
        """Listen."""
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        app = web.Application(client_max_size=1 << 20)
        app.router.add_post("/events", self._events)
        app.router.add_post("/callbacks", self._callbacks)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base = f"127.0.0.1:{self._runner.addresses[0][1]}"
        server = await asyncio.get_running_loop().create_server(lambda: Media(self), "127.0.0.1", 0)
        self._server = server
        self.media = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"

    def point(self, endpoint: str, access_key: str) -> None:
        """Where the emulator is."""
        self._endpoint, self._key = endpoint, base64.b64decode(access_key)

    async def close(self) -> None:
        """Stop."""
        self.wheel.running = False
        self._server.close()
        await self._session.close()
        await self._runner.cleanup()

    async def _events(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            return web.json_response({"validationResponse": body[0]["data"]["validationCode"]})
        for event in body:
            task = asyncio.create_task(self._answer(event["data"]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return web.Response()

    async def _callbacks(self, request: web.Request) -> web.Response:
        for event in json.loads(await request.read()):
            self.counts[event["type"].rpartition(".")[2]] += 1
        return web.Response()

    async def _answer(self, data: Json) -> None:
        number = int(data["to"]["rawId"][-4:])
        body = json.dumps(
            {
                "incomingCallContext": data["incomingCallContext"],
                "callbackUri": f"http://{self.base}/callbacks",
                "mediaStreamingOptions": {
                    "transportUrl": f"ws://{self.media}/?tone={number}",
                    "transportType": "websocket",
                    "contentType": "audio",
                    "audioChannelType": "mixed",
                    "startMediaStreaming": True,
                    "enableBidirectional": True,
                    "audioFormat": "pcm24KMono",
                },
            }
        ).encode()
        digest, date = content_hash(body), email.utils.formatdate(usegmt=True)
        signed = signature(self._key, "POST", ANSWER, date, urlsplit(self._endpoint).netloc, digest)
        headers = {
            "Content-Type": "application/json",
            "x-ms-date": date,
            "x-ms-content-sha256": digest,
            "Authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signed}",
            "Repeatability-Request-ID": str(uuid.uuid4()),
            "Repeatability-First-Sent": date,
        }
        async with self._session.post(self._endpoint + ANSWER, data=body, headers=headers) as response:
            self.counts[f"answer {response.status}"] += 1


async def serve(tone_s: float) -> None:
    """Say where we are, learn where the emulator is, count until stdin ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    app = App(tone_s)
    await app.start()
    gc.collect()
    gc.freeze()
    turning = asyncio.create_task(app.wheel.turn())
    _say({"app": f"http://{app.base}"})
    where = json.loads(await lines.readline())
    app.point(where["endpoint"], where["access_key"])
    while await lines.readline():
        _say({"counts": dict(app.counts), "arrivals": app.arrivals.summary(), "cpu_s": time.process_time()})
    await app.close()
    await turning


def _say(line: Json) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1])))
