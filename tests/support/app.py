"""A small Call Automation app under test: Event Grid webhook, callbacks, a media WebSocket, and Microsoft's own client."""

import asyncio
import base64
import contextlib
import json
import math
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import cache

from aiohttp import WSMsgType, web
from azure.communication.callautomation import (
    AudioFormat,
    MediaStreamingAudioChannelType,
    MediaStreamingContentType,
    MediaStreamingOptions,
    StreamingTransportType,
)
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AzureKeyCredential

from emulator.config import EmulatorConfig
from emulator.event_grid.filters import AdvancedFilter
from emulator.event_grid.subscriptions import Subscription
from emulator.service import Emulator
from tests.support.timing import patience

ACCESS_KEY = base64.b64encode(b"a key of thirty-two bytes, not m").decode()
CONTROL_KEY = "control-key-of-the-tests"
RESOURCE = "9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10"
INCOMING_CALL = "Microsoft.Communication.IncomingCall"


def emulator_config(**changes: object) -> EmulatorConfig:
    values: dict[str, object] = {
        "host": "127.0.0.1",
        "port": 0,
        "access_key": ACCESS_KEY,
        "control_key": CONTROL_KEY,
        "resource_id": RESOURCE,
        "time_scale": 0.001,
        "seed": 7,
    }
    return EmulatorConfig(**{**values, **changes})


@cache
def sine(hz: float, ms: int, rate: int = 24000) -> bytes:
    """PCM16LE of a tone, without numpy."""
    step = 2 * math.pi * hz / rate
    return array("h", (int(8000 * math.sin(step * n)) for n in range(rate * ms // 1000))).tobytes()


class Media:
    """One media connection as the app sees it."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.path = request.path
        self.headers = dict(request.headers)
        self.socket = socket
        self.request = request
        self.messages: list[dict] = []
        self.times: list[float] = []
        self.close_code: int | None = None
        self.changed = asyncio.Condition()

    async def speak(self, pcm: bytes, chunk_ms: int = 100, rate: int = 24000) -> None:
        """Send audio all at once, as a model's deltas come."""
        size = rate * 2 * chunk_ms // 1000
        for start in range(0, len(pcm), size):
            data = base64.b64encode(pcm[start : start + size]).decode()
            await self.socket.send_str(
                json.dumps({"Kind": "AudioData", "AudioData": {"Data": data}, "StopAudio": None})
            )

    async def stop_audio(self) -> None:
        await self.socket.send_str('{"Kind":"StopAudio","AudioData":null,"StopAudio":{}}')

    def abort(self) -> None:
        self.request.transport.abort()

    def kinds(self) -> list[str]:
        return [message["kind"] for message in self.messages]

    def pcm(self) -> bytes:
        return b"".join(
            base64.b64decode(message["audioData"]["data"])
            for message in self.messages
            if message["kind"] == "AudioData"
        )

    async def until(self, holds: Callable[["Media"], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(patience(seconds)), self.changed:
            await self.changed.wait_for(lambda: holds(self))


class App:
    """Answers what rings, unless `on_call` is replaced."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.client = CallAutomationClient(emulator.endpoint, AzureKeyCredential(ACCESS_KEY))
        self.on_call: Callable[[dict], Awaitable[None]] = self.answer
        self.on_media: Callable[[Media], Awaitable[None]] | None = None
        self.events: list[dict] = []
        self.event_headers: list[dict] = []
        self.callbacks: list[dict] = []
        self.callback_headers: list[dict] = []
        self.callback_paths: list[str] = []
        self.callback_statuses: list[int] = []
        self.media: list[Media] = []
        self.answers: list[object] = []
        self.errors: list[Exception] = []
        self.event_status = 200
        self.refuse_media = False
        self.audio_format = AudioFormat.PCM24_K_MONO
        self.channels = MediaStreamingAudioChannelType.MIXED
        self.start_media: bool | None = True
        self.base = ""
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task] = set()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/events", self._events)
        app.router.add_post("/callbacks/{id}", self._callbacks)
        app.router.add_get("/media/{id}", self._media)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.base = f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.client.close()
        await self._runner.cleanup()
        assert not self.errors, self.errors

    def subscription(self, **changes: object) -> Subscription:
        values = {
            "name": "calls",
            "endpoint": f"http://{self.base}/events",
            "included_event_types": [INCOMING_CALL],
            "max_attempts": 3,
        }
        return Subscription(**{**values, **changes})

    def media_options(self) -> MediaStreamingOptions:
        return MediaStreamingOptions(
            transport_url=f"ws://{self.base}/media/m1",
            transport_type=StreamingTransportType.WEBSOCKET,
            content_type=MediaStreamingContentType.AUDIO,
            audio_channel_type=self.channels,
            start_media_streaming=self.start_media,
            enable_bidirectional=True,
            audio_format=self.audio_format,
            enable_dtmf_tones=True,
        )

    async def answer(self, data: dict, **kwargs: object) -> object:
        answered = await self.client.answer_call(
            data["incomingCallContext"],
            f"http://{self.base}/callbacks/c1",
            operation_context="incoming",
            media_streaming=None if self.start_media is None else self.media_options(),
            **kwargs,
        )
        self.answers.append(answered)
        return answered

    async def until(self, holds: Callable[[], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(patience(seconds)), self._changed:
            await self._changed.wait_for(holds)

    async def callback(self, kind: str, connection_id: str | None = None) -> dict:
        """The data of the first callback of a kind (of one connection), waited for."""

        def found() -> list[dict]:
            return [
                event["data"]
                for event in self.callbacks
                if event["type"].endswith("." + kind)
                and connection_id in (None, event["data"]["callConnectionId"])
            ]

        await self.until(lambda: bool(found()))
        return found()[0]

    def rosters(self, connection_id: str) -> list[list[str]]:
        """The raw ids of each ParticipantsUpdated of a connection, by sequence number."""
        events = sorted(
            (
                event["data"]
                for event in self.callbacks
                if event["type"].endswith(".ParticipantsUpdated")
                and event["data"]["callConnectionId"] == connection_id
            ),
            key=lambda data: data["sequenceNumber"],
        )
        return [[one["identifier"]["rawId"] for one in data["participants"]] for data in events]

    def kinds(self) -> list[str]:
        return [event["type"].removeprefix("Microsoft.Communication.") for event in self.callbacks]

    def paths_of(self, kind: str) -> list[str]:
        """Where the callbacks of a kind went."""
        return [path for path, name in zip(self.callback_paths, self.kinds(), strict=True) if name == kind]

    async def connected(self) -> Media:
        await self.until(lambda: bool(self.media) and "MediaStreamingStarted" in self.kinds())
        return self.media[-1]

    @property
    def connection(self):
        """By a callback's id: callbacks may come before the answer's response."""
        return self.client.get_call_connection(self.callbacks[-1]["data"]["callConnectionId"])

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _events(self, request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        self.event_headers.append(dict(request.headers))
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            return web.json_response({"validationResponse": body[0]["data"]["validationCode"]})
        self.events.extend(body)
        if self.event_status == 200:
            for event in body:
                task = asyncio.create_task(self._handle(event["data"]))
                self._tasks.add(task)
        await self._note()
        return web.Response(status=self.event_status)

    async def _handle(self, data: dict) -> None:
        try:
            await self.on_call(data)
        except Exception as error:  # kept for the test to look at
            self.errors.append(error)
        await self._note()

    async def _callbacks(self, request: web.Request) -> web.Response:
        status = self.callback_statuses.pop(0) if self.callback_statuses else 200
        if status == 200:
            taken = json.loads(await request.read())
            self.callbacks.extend(taken)
            self.callback_paths.extend([request.path] * len(taken))
            self.callback_headers.append(dict(request.headers))
        await self._note()
        return web.Response(status=status)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_media:
            return web.Response(status=401)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        media = Media(request, socket)
        self.media.append(media)
        await self._note()
        task = asyncio.create_task(self.on_media(media)) if self.on_media else None
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                media.messages.append(json.loads(message.data))
                media.times.append(asyncio.get_running_loop().time())
                async with media.changed:
                    media.changed.notify_all()
        media.close_code = socket.close_code
        async with media.changed:
            media.changed.notify_all()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        return socket


@contextlib.asynccontextmanager
async def emulated_app(subscribe: bool = True, **options: object) -> AsyncIterator[App]:
    """An emulator and an app that is subscribed to its calls."""
    faults = options.pop("faults", None)
    voice = options.pop("voice", None)
    async with Emulator(emulator_config(**options), faults=faults, voice=voice) as emulator:
        app = App(emulator)
        await app.start()
        try:
            if subscribe:
                await emulator.subscribe(app.subscription())
            yield app
        finally:
            await emulator.close()
            await app.close()


@contextlib.asynccontextmanager
async def another_app(emulator: Emulator, user: str) -> AsyncIterator[App]:
    """A second app on the same emulator, which is called by its ACS user."""
    app = App(emulator)
    await app.start()
    try:
        named = AdvancedFilter("StringIn", "data.to.rawId", [user])
        await emulator.subscribe(app.subscription(name="other", filters=[named]))
        yield app
    finally:
        await app.close()
