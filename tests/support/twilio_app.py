"""A small app behind an emulated Twilio number, none of it the product's: TwiML by name, a media socket, Twilio's own validator."""

import asyncio
import base64
import contextlib
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web
from twilio.request_validator import RequestValidator, get_signature_algorithm

from emulator.service import Emulator
from emulator.twilio.config import StudioFlow, TwilioConfig, TwilioNumber
from tests.support.app import emulator_config
from tests.support.timing import patience

ACCOUNT = "AC00000000000000000000000000000001"
TOKEN = "0123456789abcdef0123456789abcdef"
NUMBER = "+18005550000"


def ulaw_tone(hz: float, ms: int) -> bytes:
    """Mu-law of a tone at -6 dBFS, made with the textbook's formula and not with anybody's table."""

    def code(sample: float) -> int:
        size = min(abs(int(sample)), 32635) + 132
        exponent = size.bit_length() - 8
        return 255 - ((128 if sample < 0 else 0) | exponent << 4 | (size >> exponent + 3) & 15)

    return bytes(code(16000 * math.sin(2 * math.pi * hz * n / 8000)) for n in range(8 * ms))


class Stream:
    """One media stream as the app sees it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.socket = socket
        self.path = request.raw_path
        self.headers = request.headers.copy()
        self.messages: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.changed = asyncio.Condition()

    @property
    def start(self) -> dict[str, Any]:
        return self.messages[1]["start"]

    @property
    def sid(self) -> str:
        return self.messages[1]["streamSid"]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == event]

    def audio(self) -> bytes:
        return b"".join(base64.b64decode(message["media"]["payload"]) for message in self.named("media"))

    async def until(self, holds: Callable[[], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(patience(seconds)), self.changed:
            await self.changed.wait_for(holds)

    async def send(self, event: str, **parts: Any) -> None:
        await self.socket.send_str(json.dumps({"event": event, "streamSid": self.sid, **parts}))

    async def say(self, audio: bytes) -> None:
        await self.send("media", media={"payload": base64.b64encode(audio).decode()})

    async def mark(self, name: str) -> None:
        await self.send("mark", mark={"name": name})


class TwilioApp:
    """Serves `POST /voice/NAME` (TwiML that tests put into `twiml`), the socket `/media/…`, and takes all else.

    Attributes:
        twiml: TwiML by name, `{base}` and `{ws}` filled in; a function of the form may stand in its place.
        requests: path with query and form of each webhook, in order.
        signed: for each webhook and upgrade whether Twilio's own validator takes it.
        on_stream: runs once a stream has started.
        refuse: answer upgrades with this status.
    """

    def __init__(self, secret: str = TOKEN) -> None:
        self.twiml: dict[str, str | Callable[[dict[str, str]], str]] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.methods: list[str] = []
        self.signed: list[bool] = []
        self.streams: list[Stream] = []
        self.on_stream: Callable[[Stream], Awaitable[None]] | None = None
        self.refuse = 0
        self.status = 200
        self.content_type = "text/xml"
        self.errors: list[Exception] = []
        self.changed = asyncio.Condition()
        self.base = self.ws = ""
        self._validator = RequestValidator(secret)
        self._runner: web.AppRunner | None = None

    def trust(self, secret: str) -> None:
        """Check signatures with another secret from now on."""
        self._validator = RequestValidator(secret)

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/media/{name}", self._media)
        app.router.add_route("*", "/{tail:.*}", self._webhook)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        where = f"127.0.0.1:{self._runner.addresses[0][1]}"
        self.base, self.ws = f"http://{where}", f"ws://{where}"

    async def close(self) -> None:
        await self._runner.cleanup()
        assert not self.errors, self.errors

    def connect(self, more: str = "", attributes: str = "", then: str = "") -> str:
        """TwiML that streams to `/media/one`."""
        return (
            f'<Response><Connect {attributes}><Stream url="{{ws}}/media/one" statusCallback="{{base}}/stream">{more}'
            f"</Stream></Connect>{then}</Response>"
        )

    def forms(self, path: str) -> list[dict[str, str]]:
        return [form for where, form in self.requests if where.partition("?")[0] == path]

    async def until(self, holds: Callable[[], bool], seconds: float = 5) -> None:
        async with asyncio.timeout(patience(seconds)), self.changed:
            await self.changed.wait_for(holds)

    async def note(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    def _check(self, scheme: str, request: web.Request, form: dict[str, str]) -> None:
        algorithm = get_signature_algorithm(request.headers.get("X-Twilio-Webhooks-Signature-Settings"))
        address = f"{scheme}://{request.headers['Host']}{request.raw_path}"
        signature = request.headers["X-Twilio-Signature"]
        self.signed.append(self._validator.validate(address, form, signature, algorithm))

    async def _webhook(self, request: web.Request) -> web.Response:
        form = dict(await request.post())
        self._check("http", request, form)
        self.requests.append((request.raw_path, form))
        self.methods.append(request.method)
        await self.note()
        made = self.twiml.get(request.path.strip("/"), "<Response/>")
        text = made(form) if callable(made) else made
        text = text.replace("{base}", self.base).replace("{ws}", self.ws)
        return web.Response(text=text, status=self.status, content_type=self.content_type)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        self._check("ws", request, {})
        if self.refuse:
            return web.Response(status=self.refuse)
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        stream = Stream(socket, request)
        self.streams.append(stream)
        task: asyncio.Task[None] | None = None
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                stream.messages.append(json.loads(message.data))
                if self.on_stream is not None and stream.messages[-1]["event"] == "start":
                    task = asyncio.create_task(self._run(stream))
                async with stream.changed:
                    stream.changed.notify_all()
                await self.note()
        stream.close_code = socket.close_code
        async with stream.changed:
            stream.changed.notify_all()
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return socket

    async def _run(self, stream: Stream) -> None:
        try:
            await self.on_stream(stream)
        except Exception as error:  # kept for the test to look at
            self.errors.append(error)


@contextlib.asynccontextmanager
async def twilio_app(
    *, flows: dict[str, StudioFlow] | None = None, secret: str = TOKEN, **account: Any
) -> AsyncIterator[tuple[Emulator, TwilioApp]]:
    """An emulator with one Twilio number, and the app behind it."""
    app = TwilioApp(secret)
    await app.start()
    number = TwilioNumber(f"{app.base}/voice", status_callback=f"{app.base}/status")
    options = {key: account.pop(key) for key in ("trace_folder", "faults") if key in account}
    faults = options.pop("faults", None)
    numbers = {NUMBER: number, **account.pop("numbers", {})}
    config = TwilioConfig(ACCOUNT, TOKEN, numbers=numbers, flows=flows or {}, **account)
    try:
        async with Emulator(emulator_config(twilio=config, **options), faults=faults) as emulator:
            yield emulator, app
    finally:
        await app.close()
