"""Where the conformance run happens: an emulator on https, an app that it calls back, and Microsoft's clients, sync or aio."""

import asyncio
import contextlib
import io
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import azure.communication.callautomation as sdk
from aiohttp import web
from azure.core.exceptions import HttpResponseError

from emulator.event_grid.subscriptions import Subscription
from emulator.phone.call import PhoneCall
from emulator.service import Emulator
from emulator.trace import Trace
from tests.emulator.conformance.clients import Clients, identifier
from tests.emulator.conformance.operations import Seen, Then
from tests.emulator.conformance.rows import OPERATIONS
from tests.support.app import RESOURCE, emulator_config, sine
from tests.support.timing import patience

RING_TIMEOUT_S = 5.0
WITHIN_S = 20.0
PREFIX = "Microsoft.Communication."
EVENTS = (PREFIX + "IncomingCall", PREFIX + "RecordingFileStatusUpdated")
NOT_COUNTED = ("ParticipantsUpdated",)
STAY = {"expect_hang_up": {"within_s": 120}}


def tone_file() -> bytes:
    """A WAV as the service wants it: 16 kHz mono, 300 ms."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(sine(440, 300, 16000))
    return out.getvalue()


class World:
    """The emulator and the app of all scenes of one form."""

    def __init__(self, emulator: Emulator, form: str) -> None:
        self.emulator = emulator
        self.form = form
        self.base = ""
        self.seen: dict[str, Seen] = {}
        self.requests: list[dict[str, Any]] = []
        self.threads = ThreadPoolExecutor(32, "sdk")
        self._numbers = count(1)
        self._scenes: dict[str, Scene] = {}
        self._ringing: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._files: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        self.emulator.trace.listeners.append(self._traced)
        app = web.Application()
        app.router.add_post("/events", self._events)
        app.router.add_post("/callbacks/{scene}", self._callbacks)
        app.router.add_get("/socket/{scene}", self._socket)
        app.router.add_get("/tone.wav", self._tone)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base = f"127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()
        self.threads.shutdown()

    def scene(self, name: str) -> "Scene":
        self._scenes[name] = made = Scene(self, name)
        return made

    # --- addresses ---

    def number(self) -> str:
        return f"+1800555{next(self._numbers):04}"

    def user(self) -> str:
        return f"8:acs:{RESOURCE}_00000000-0000-4000-8000-{next(self._numbers):012}"

    def queue(self, raw_id: str) -> asyncio.Queue[dict[str, Any]]:
        return self._ringing.setdefault(raw_id, asyncio.Queue())

    async def rung(self, raw_id: str) -> dict[str, Any]:
        """The data of the IncomingCall that comes for `raw_id`."""
        async with asyncio.timeout(patience(WITHIN_S)):
            return await self.queue(raw_id).get()

    def file(self, recording_id: str) -> asyncio.Future[dict[str, Any]]:
        """`RecordingFileStatusUpdated` of a recording."""
        return self._files.setdefault(recording_id, asyncio.get_running_loop().create_future())

    # --- what arrives ---

    def _traced(self, record: dict[str, Any]) -> None:
        if record["what"] == "rest":
            self.requests.append(record)

    async def _events(self, request: web.Request) -> web.Response:
        body = await request.json()
        if request.headers["aeg-event-type"] == "SubscriptionValidation":
            return web.json_response({"validationResponse": body[0]["data"]["validationCode"]})
        for event in body:
            if event["eventType"].endswith("IncomingCall"):
                self.queue(event["data"]["to"]["rawId"]).put_nowait(event["data"])
            else:
                self.file(event["subject"].rpartition("/")[2]).set_result(event["data"])
        return web.Response()

    async def _callbacks(self, request: web.Request) -> web.Response:
        await self._scenes[request.match_info["scene"]].told(await request.json())
        return web.Response()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        scene = self._scenes[request.match_info["scene"]]
        if scene.refuses:
            return web.Response(status=401)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            del message
        return socket

    async def _tone(self, _: web.Request) -> web.Response:
        return web.Response(body=tone_file(), content_type="audio/wav")


class Scene:
    """One story with calls of its own; its operations go to `World.seen`."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.refuses = False
        self.told_all: list[dict[str, Any]] = []
        self._claimed: set[str] = set()
        self._changed = asyncio.Condition()
        self._clients = Clients(world.form, world.emulator, world.threads)
        self.client, self.identities = self._clients.calls, self._clients.identities
        self.sdk, self.close = self._clients.call, self._clients.close

    @property
    def callback_url(self) -> str:
        return f"http://{self.world.base}/callbacks/{self.name}"

    @property
    def socket_url(self) -> str:
        return f"ws://{self.world.base}/socket/{self.name}"

    @property
    def tone(self) -> sdk.FileSource:
        return sdk.FileSource(f"http://{self.world.base}/tone.wav")

    @property
    def nothing(self) -> sdk.FileSource:
        return sdk.FileSource(f"http://{self.world.base}/missing.wav")

    # --- callbacks ---

    async def told(self, events: list[dict[str, Any]]) -> None:
        async with self._changed:
            self.told_all.extend(events)
            self._changed.notify_all()

    def _find(self, then: Then, context: str | None, since: int) -> dict[str, Any] | None:
        for event in self.told_all[since:]:
            if event["id"] in self._claimed or event["type"] != PREFIX + then.kind:
                continue
            if not then.own or context is None or event["data"].get("operationContext") == context:
                return event
        return None

    async def claim(self, then: Then, context: str | None = None, since: int = 0) -> dict[str, Any]:
        """The first callback of a kind, from number `since` on, that nobody has taken yet; waited for."""
        try:
            async with asyncio.timeout(patience(WITHIN_S)), self._changed:
                await self._changed.wait_for(lambda: self._find(then, context, since) is not None)
        except TimeoutError:
            kinds = [event["type"].removeprefix(PREFIX) for event in self.told_all]
            raise AssertionError(f"{self.name}: no {then.kind} (context {context}), only {kinds}") from None
        event = self._find(then, context, since)
        self._claimed.add(event["id"])
        return event["data"]

    def unclaimed(self) -> list[str]:
        """Callbacks that no row speaks of."""
        kinds = (
            event["type"].removeprefix(PREFIX) for event in self.told_all if event["id"] not in self._claimed
        )
        return [kind for kind in kinds if kind not in NOT_COUNTED]

    # --- calls ---

    async def ring(self, *steps: object) -> tuple[PhoneCall, dict[str, Any]]:
        """A telephone calls the app; returns it with the IncomingCall's data."""
        to = self.world.number()
        script = {"from": self.world.number(), "to": to, "steps": [*steps, STAY]}
        phone = await self.world.emulator.dial(script)
        return phone, await self.world.rung(f"4:{to}")

    async def phone(self, at: str = "", **script: object) -> Any:
        """Somebody who can be called; returns the identifier."""
        at = at or self.world.number()
        await self.world.emulator.add_phone({"at": at, "after_ms": 20, **script})
        return identifier(at)

    async def answer(self, *steps: object, **options: Any) -> "Line":
        """A call that is answered already, by no row."""
        phone, incoming = await self.ring(*steps)
        return await self.take(phone, incoming, **options)

    async def take(self, phone: PhoneCall | None, incoming: dict[str, Any], **options: Any) -> "Line":
        """Answer an IncomingCall, by no row."""
        context = incoming["incomingCallContext"]
        made = await self.sdk(self.client.answer_call, context, self.callback_url, **options)
        line = Line(self, phone, made, identifier(incoming["from"]["rawId"].removeprefix("4:")))
        await self.claim(Then("CallConnected"))
        await self.claim(Then("ParticipantsUpdated"))
        return line

    # --- the SDK ---

    async def do(
        self,
        key: str,
        on: Any,
        *args: Any,
        meanwhile: Callable[[], Awaitable[object]] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Drive one row: the method of client `on`, the request as the emulator saw it, and the callbacks that follow.

        `meanwhile` is what has to happen between the answer and the callbacks. Returns what the method returned, or the error.
        """
        operation, since = OPERATIONS[key], len(self.told_all)
        try:
            answer = await self.sdk(getattr(on, operation.method), *args, **kwargs)
        except HttpResponseError as error:
            answer = error
        if meanwhile is not None:
            await meanwhile()
        context = kwargs.get("operation_context")
        callbacks = [await self.claim(then, context, since) for then in operation.callbacks]
        self.world.seen[key] = self._seen(operation, answer, callbacks)
        return answer

    def _seen(self, operation: Any, answer: Any, callbacks: list[dict[str, Any]]) -> Seen:
        sent = self._clients.sent
        record = next(
            one
            for one in reversed(self.world.requests)
            if one["headers"].get("x-ms-client-request-id") == sent.request_id
        )
        parts = urlsplit(record["where"])
        if not parts.path.startswith("/v1/"):
            assert record["status"] == sent.status
            assert parse_qs(parts.query)["api-version"], record["where"]
        went = f"{record['method']} {parts.path}"
        told = tuple(
            Then(then.kind, *_codes(data), own=then.own)
            for then, data in zip(operation.callbacks, callbacks, strict=True)
        )
        failed = isinstance(answer, HttpResponseError)
        fields = {} if answer is None or failed or not hasattr(answer, "__dict__") else vars(answer)
        return Seen(
            status=sent.status,
            request=operation.request if operation.matches(record["method"], parts.path) else went,
            repeatability="Repeatability-Request-ID" in record["headers"],
            keys=tuple(sorted(record.get("request") or ())),
            result=_type_name(answer),
            fields=frozenset(name for name, value in fields.items() if value is not None),
            error=answer.error.code if failed and answer.error else "",
            callbacks=told,
        )


class Line:
    """An answered or created call."""

    def __init__(self, scene: Scene, phone: PhoneCall | None, properties: Any, other: Any) -> None:
        self.scene = scene
        self.phone = phone
        self.properties = properties
        self.id = properties.call_connection_id
        self.other = other
        self.connection = scene.client.get_call_connection(self.id)

    async def end(self) -> None:
        """Hang up for everybody, by no row."""
        await self.scene.sdk(self.connection.hang_up, True)
        await self.scene.claim(Then("CallDisconnected"))


def _codes(data: dict[str, Any]) -> tuple[int | None, int | None]:
    information = data.get("resultInformation") or {}
    return information.get("code"), information.get("subCode")


def _type_name(value: object) -> str:
    if isinstance(value, list):
        return f"list[{', '.join(sorted({type(item).__name__ for item in value}))}]"
    return type(value).__name__


@contextlib.asynccontextmanager
async def new_world(form: str, folder: Path) -> AsyncIterator[World]:
    """An emulator on https with an app that is subscribed to everything."""
    config = emulator_config(tls_folder=folder, ring_timeout_s=RING_TIMEOUT_S)
    async with Emulator(config, trace=Trace(None)) as emulator:
        world = World(emulator, form)
        await world.start()
        try:
            await emulator.subscribe(subscription(world))
            yield world
        finally:
            await emulator.close()
            await world.close()


def subscription(world: World) -> Subscription:
    return Subscription(name="all", endpoint=f"http://{world.base}/events", included_event_types=EVENTS)
