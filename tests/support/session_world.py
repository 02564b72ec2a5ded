"""One session on a virtual clock: a line without a socket, a store in memory, a puppet for an agent; hours pass at once.

What these tests are about is time. The same session over real sockets and a real store is `media_world`.
"""

import asyncio
import base64
import inspect
import json
from contextlib import asynccontextmanager

import aiohttp

from media_host.agents.base import Codec
from media_host.audio import ACS_CODECS, to_pieces
from media_host.lines.acs import AcsLine
from media_host.lines.twilio import TwilioLine
from media_host.notices import TEXTS, Notices, tone
from media_host.playout import Ticker
from media_host.services import Services
from media_host.session import Session
from media_host.tools import ToolBox
from shared.calls.events import CallEvent, EventKind
from shared.calls.record import fold
from shared.config.document import parse_config
from shared.security.secrets import Secrets
from tests.support import twilio_end
from tests.support.agents import PuppetAgent
from tests.support.twilio_end import TwilioEnd
from tests.support.virtual_loop import run_virtually

BEEP = tone(24000, 1)[: 48 * 250]
STARTED = 1_750_000_000.0
FRAME = base64.b64encode(b"\7" * 960)


class Wire:
    """ACS's side of the audio WebSocket."""

    dropped = 0

    def __init__(self, now) -> None:
        self.now = now
        self.audio: list[tuple[float, bytes]] = []  # ms, samples
        self.stops: list[float] = []
        self.order: list[str] = []
        self.closed = None

    def send_text(self, data, *, must=False) -> bool:
        value = json.loads(data)
        self.order.append(value["Kind"])
        if value["Kind"] == "AudioData":
            self.audio.append((self.now(), base64.b64decode(value["AudioData"]["Data"])))
        else:
            self.stops.append(self.now())
        return True

    def close(self, code) -> None:
        self.closed = code

    @property
    def heard(self) -> bytes:
        return b"".join(samples for _, samples in self.audio)


class Store:
    """The part of `Calls` that a session uses."""

    def __init__(self, received) -> None:
        self.kept = {received.id: received}

    async def append(self, tenant, call_id, event) -> None:
        self.kept.setdefault(event.id, event)

    async def events(self, call_id):
        return list(self.kept.values())

    async def get(self, tenant, call_id):
        return fold(self.kept.values())


class Control:
    """ACS: records what it is asked, or raises what the test says."""

    def __init__(self) -> None:
        self.asked, self.errors = [], {}

    def __getattr__(self, name):
        async def ask(*args, **options):
            self.asked.append((name, args, options))
            if name in self.errors:
                raise self.errors[name]
            return []

        return ask

    def of(self, name):
        return [args for asked, args, _ in self.asked if asked == name]


class Hook:
    def __init__(self) -> None:
        self.begun = []

    def begin(self, *call) -> None:
        self.begun.append(call)


class SessionWorld:
    """A session that runs; `agent` is the puppet."""

    def __init__(self, text, http, agent, record, resumed, recorder, twilio) -> None:
        self.loop = asyncio.get_running_loop()
        self.config = parse_config(text.encode())
        received = {
            "callId": "call-1",
            "tenant": "default",
            "from": "+14255550100",
            "to": "+18005550000",
            "agent": next(iter(self.config.agents)),
            "task": "desk",
            "inputVariables": {"account": "00123"},
        }
        self.store = Store(CallEvent("received", EventKind.RECEIVED, STARTED, received))
        for event in record:
            self.store.kept[event.id] = event
        self.control, self.hook, self.notices = Control(), Hook(), Notices()
        self.agent = agent
        codec = twilio or ACS_CODECS["pcm24KMono"]
        self.codec = codec
        for name in TEXTS:  # 400 ms each, told apart by their samples
            self.notices._pieces[name, codec] = to_pieces(self.said(name), codec)
        self.notices._pieces["waiting", codec] = to_pieces(tone(codec.sample_rate, 1), codec)
        self.recorder = recorder
        self.services = Services(
            host_id="host-a",
            config=self.config,
            calls=self.store,
            control=self.control,
            make_agent=lambda config: agent,
            make_recorder=lambda call_id, codec: recorder,
            tools=ToolBox.from_config(self.config, Secrets(), http),
            post_call=self.hook,
            notices=self.notices,
            ticker=Ticker(self.ms),
            now=self.now,
            max_call_s=3600,
            clock_ms=self.ms,
        )
        known = fold(self.store.kept.values())
        if twilio:
            self.wire = TwilioEnd()
            line = TwilioLine("arriving")
            line.attach(self.wire)
            line.on_text(twilio_end.text(twilio_end.start()))
            line.use(codec, "call-1")
            self.session = Session(self.services, known, "", line)
            self.wire.deliver = self.session.on_text
            line.deliver()
            self.task = asyncio.create_task(self.session.run())
            return
        self.wire = Wire(self.ms)
        acs = AcsLine(codec, connection_id="cc-1", control=self.control, name="call-1")
        self.session = Session(self.services, known, "cc-1", acs, resumed=resumed)
        self.session.attach(self.wire)
        self.task = asyncio.create_task(self.session.run())
        self.send({"kind": "AudioMetadata", "audioMetadata": {"encoding": "PCM", "sampleRate": 24000}})

    def ms(self) -> float:
        return self.loop.time() * 1000

    def now(self) -> float:
        return STARTED + self.loop.time()

    def send(self, value) -> None:
        self.session.on_text(json.dumps(value, separators=(",", ":")).encode())

    def caller(self, data=FRAME) -> None:
        """One frame of the caller's."""
        data = data.decode() if isinstance(data, bytes) else data
        audio = {
            "timestamp": "2026-11-20T23:50:38.925Z",
            "participantRawID": "4:+1",
            "data": data,
            "silent": False,
        }
        self.send({"kind": "AudioData", "audioData": audio})

    def key(self, key) -> None:
        self.send({"kind": "DtmfData", "dtmfData": {"data": key}})

    def keys(self, text) -> None:
        for key in text:
            self.key(key)

    def said(self, name) -> bytes:
        """The samples of a notice."""
        number, count = list(TEXTS).index(name), self.codec.sample_rate * 400 // 1000
        if self.codec is Codec.ULAW_8K:  # it tells quiet samples apart, not loud ones
            return (16 * (number + 1)).to_bytes(2, "little") * count
        return bytes([100 + number]) * 2 * count

    def times(self, name) -> list[float]:
        """When (ms) a notice began."""
        first = bytes([100 + list(TEXTS).index(name)]) if name in TEXTS else BEEP[2:3]
        pieces = [(at, samples) for at, samples in self.wire.audio if samples[2:3] == first]
        return [at for n, (at, _) in enumerate(pieces) if n == 0 or at - pieces[n - 1][0] > 300]

    def events(self, kind):
        return [event.data for event in self.store.kept.values() if event.kind is kind]

    @property
    def faults(self):
        return [data["code"] for data in self.events(EventKind.FAULT)]

    async def run(self, seconds) -> None:
        await asyncio.sleep(seconds)

    async def hang_up(self):
        """The caller does; the record."""
        if not self.session.gone.is_set():
            self.session.on_close(1000, "")
        await self.task
        return fold(self.store.kept.values())


@asynccontextmanager
async def open_session(
    text="",
    *,
    more="",
    record=(),
    resumed=False,
    recorder=None,
    early_end=False,
    agent=None,
    twilio=None,
    **puppet,
):
    """A session with a puppet that has started; `text` are more fields of the agent, in YAML, `more` are more agents.

    `twilio`: the session's codec on a Twilio line, with `TwilioEnd` for a wire, instead of an ACS line.
    """
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    config = (
        "agents:\n  puppet:\n    kind: websocket\n    url: ws://127.0.0.1:1/agent\n"
        f"{lines}{more}routes:\n  - {{name: desk, to: ['*'], agent: puppet}}\n"
    )
    before = asyncio.all_tasks()
    async with aiohttp.ClientSession() as http:
        world = SessionWorld(config, http, agent or PuppetAgent(**puppet), record, resumed, recorder, twilio)
        if early_end:
            world.session.on_close(1000, "")
        await asyncio.sleep(0.01)
        try:
            yield world
        finally:
            await world.hang_up()
            await world.services.tools.close()
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before
    assert not left, f"orphan tasks: {left}"


def virtual(test):
    """Run an async test on the virtual clock."""

    def run(**fixtures):
        run_virtually(test(**fixtures))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    run.__signature__ = inspect.signature(test)
    return run
