"""A call of the real emulator with a person to hand it to; the test is the session's voice, and the store is real."""

import asyncio
import json
import time
from contextlib import asynccontextmanager
from types import SimpleNamespace

from media_host import handover, handover_attempt, warm_handover
from media_host.event_log import EventLog
from media_host.handover import Handover
from shared.calls.callbacks import to_event
from shared.calls.control import CallControl
from shared.calls.events import CallEvent, EventKind
from shared.calls.record import CallRecord
from shared.calls.repository import Calls, new_call_id
from shared.config.agents import EmbeddedAgentConfig
from shared.config.transfers import Transfer
from shared.settings import AcsAccess
from shared.store.sqlite import SqliteStore
from shared.wire.acs_events import parse_callbacks
from tests.support.app import ACCESS_KEY, emulated_app, sine
from tests.support.media_calls import CALLER, Whistle
from tests.support.timing import patience

PERSON, NUMBER = "+14255550111", "+18005550000"
ANNOUNCEMENT_HZ, CALLER_HZ, PERSON_HZ = 1500, 600, 900
WAIT = {"wait_ms": 60_000}
CALLER_TONE = {"tone": {"hz": CALLER_HZ, "seconds": 60}}
PERSON_TONE = {"tone": {"hz": PERSON_HZ, "seconds": 60}}


class TestVoice:
    """Speaks tones into the line and takes keys from it."""

    __test__ = False

    def __init__(self, media) -> None:
        self.media = media
        self.said, self.deaf, self.beeps = [], False, 0
        self.fails = None

    async def announce(self, text) -> None:
        if self.fails:
            raise self.fails
        self.said.append(text)
        await self.media.speak(sine(ANNOUNCEMENT_HZ, 200))
        try:
            await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            await self.media.stop_audio()
            raise

    async def play_out(self) -> None:
        pass

    def deafen(self) -> None:
        self.deaf = True

    def undeafen(self) -> None:
        self.deaf = False

    async def confirmation(self, kind, within_s) -> bool:
        await self.media.until(lambda media: "DtmfData" in media.kinds(), within_s)
        return True

    def beep(self) -> None:
        self.beeps += 1

    async def gone_within(self, seconds) -> bool:
        if self.media.close_code is not None:
            return True
        closed = self.media.until(lambda media: media.close_code is not None, 30)
        try:
            await asyncio.wait_for(closed, seconds)
        except TimeoutError:
            return False
        return True


class HandoverWorld:
    """Everything around one call."""

    def __init__(self, app, calls, control) -> None:
        self.app, self.calls, self.control = app, calls, control
        self.call_id = new_call_id(time.time())
        self.caller = None
        self.taken = self.stored = 0

    async def begin(self, caller=(WAIT,), **dialled) -> None:
        """A caller who is connected to us."""
        self.number = dialled.get("from", CALLER)
        await self.note("received", EventKind.RECEIVED, callId=self.call_id, tenant="default", agent="a",
                        task="desk", to=NUMBER, **{"from": self.number})  # fmt: skip
        self.caller = await self.app.emulator.dial({"steps": list(caller), "to": NUMBER, **dialled})
        connected = await self.app.callback("CallConnected")
        self.connection_id = connected["callConnectionId"]
        await self.note("answered", EventKind.ANSWERED, callConnectionId=self.connection_id)
        self.voice = TestVoice(await self.app.connected())

    async def person(self, *steps, **phone):
        await self.app.emulator.add_phone(
            {"at": PERSON, "after_ms": 10, "steps": list(steps) or [WAIT], **phone}
        )

    @property
    def called(self):
        """The person's side of the call."""
        return list(self.app.emulator.calls.values())[-1]

    async def called_is_over(self) -> str:
        async with asyncio.timeout(patience(10)):
            await self.called.ended()
        return self.called.summary()["ended"]["reason"]

    def handover(self, known=None, **transfer) -> Handover:
        """`known`: more of the call's record."""
        config = EmbeddedAgentConfig(
            dialogue="x",
            transfers={"desk": Transfer(**{"to": PERSON, "ring_s": 5, "confirm_s": 5.0, **transfer})},
        )
        self.log = EventLog(
            lambda event: self.calls.append("default", self.call_id, event),
            time.time,
            new_call_id(time.time()),
        )
        self.log.start()
        services = SimpleNamespace(calls=self.calls, control=self.control)
        record = CallRecord(
            call_id=self.call_id, caller=self.number, callee=NUMBER, task="desk", **(known or {})
        )
        return Handover(services, record, config, self.connection_id, log=self.log, voice=self.voice)

    async def note(self, ident, kind, **data) -> None:
        await self.calls.append("default", self.call_id, CallEvent(ident, kind, time.time(), data))

    async def record(self):
        """The call's record, with every callback in it that has come so far."""
        await self.log.flush(5)
        async with asyncio.timeout(patience(5)):
            while self.stored < len(self.app.callbacks):
                await asyncio.sleep(0.01)
        return await self.calls.get("default", self.call_id)

    async def phases(self):
        await self.log.flush(5)
        events = sorted(await self.calls.events(self.call_id), key=lambda event: event.at)
        return [event.data["phase"] for event in events if event.kind is EventKind.HANDOVER]

    async def until_phase(self, phase) -> None:
        async with asyncio.timeout(patience(5)):
            while phase not in await self.phases():
                await asyncio.sleep(0.02)

    async def pump(self) -> None:
        """What the function app does with callbacks."""
        while True:
            await self.app.until(lambda: len(self.app.callbacks) > self.taken, 600)
            for event in self.app.callbacks[self.taken :]:
                self.taken += 1
                [found] = parse_callbacks(json.dumps([event]).encode())
                await self.calls.append("default", self.call_id, to_event(found, time.time()))
                self.stored += 1


@asynccontextmanager
async def handover_world(folder, monkeypatch, **options):
    """A `HandoverWorld` that is not begun yet."""
    monkeypatch.setattr(handover_attempt, "POLL_S", 0.05)
    monkeypatch.setattr(handover_attempt, "BEEP_S", 0.1)
    monkeypatch.setattr(handover, "LISTEN_POLL_S", 0.05)
    monkeypatch.setattr(handover_attempt, "TRIES_S", (0.01, 0.01, 0.0))
    monkeypatch.setattr(warm_handover, "PRESENT_S", 0.3)
    store = SqliteStore(folder / "store.db")
    async with emulated_app(voice=Whistle(), **options) as app:
        control = CallControl(AcsAccess(app.emulator.endpoint, ACCESS_KEY))
        world = HandoverWorld(app, Calls(store, time.time), control)
        pump = asyncio.create_task(world.pump())
        try:
            yield world
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            if hasattr(world, "log"):
                await world.log.close(1)
            await control.close()
            await store.close()
