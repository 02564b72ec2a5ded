"""What an emulator keeps of calls that are over: bounded, however many there are."""

import asyncio
import gc
import weakref

import pytest

from emulator.phone.call import PhoneCall
from tests.support.app import App, emulated_app
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

SCRIPT = {"steps": [{"tone": {"hz": 440, "seconds": 0.2}}, "hang_up"]}


async def calls_one_after_the_other(app: App, count: int) -> list[PhoneCall]:
    made = []
    for _ in range(count):
        made.append(await app.emulator.dial(SCRIPT))
        async with asyncio.timeout(patience(20)):
            await made[-1].ended()
    return made


async def test_the_oldest_calls_lose_their_audio_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.kept_calls.KEPT_AUDIO", 60_000)  # one call of 0.2 s has at least 19,200
    async with emulated_app() as app:
        made = await calls_one_after_the_other(app, 6)
        assert made[0].heard_wav() is None
        assert made[0].said_wav() is None
        assert made[0].kept_bytes == 0
        assert made[-1].said_wav() is not None
        assert sum(call.kept_bytes for call in made[:-1]) <= 60_000
        assert made[0].summary()["said_ms"] == 200


async def test_only_so_many_calls_are_kept_and_the_others_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.kept_calls.KEPT_CALLS", 2)
    async with emulated_app() as app:
        made = await calls_one_after_the_other(app, 4)
        assert list(app.emulator.calls) == [call.id for call in made[-2:]]
        assert made[0].kept_bytes == 0
        first = weakref.ref(made[0])
        del made
        gc.collect()
        assert first() is None


async def test_a_call_that_goes_on_keeps_its_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.kept_calls.KEPT_AUDIO", 0)
    monkeypatch.setattr("emulator.kept_calls.KEPT_CALLS", 1)
    async with emulated_app() as app:
        going = await app.emulator.dial({"steps": [{"wait_ms": 60_000}]})
        await going.first("answered")
        await calls_one_after_the_other(app, 2)
        assert going.id in app.emulator.calls
        assert going.heard_wav() is not None
        going.hang_up()
        async with asyncio.timeout(patience(20)):
            await going.ended()
