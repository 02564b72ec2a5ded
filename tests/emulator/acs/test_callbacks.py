"""Callbacks under faults: retried, doubled, dropped, in a given order."""

import asyncio

import pytest

from emulator.faults import Faults
from tests.support.app import App, emulated_app
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


async def one_call(app: App, wait_ms: int = 300) -> dict:
    call = await app.emulator.dial({"steps": [{"wait_ms": wait_ms}]})
    async with asyncio.timeout(patience(20)):
        await call.ended()
    return call.summary()


async def test_natural_order() -> None:
    async with emulated_app(faults=Faults(callback_order="natural")) as app:
        await one_call(app)
        assert app.kinds() == [
            "CallConnected", "ParticipantsUpdated", "MediaStreamingStarted",
            "MediaStreamingStopped", "ParticipantsUpdated", "CallDisconnected",
        ]  # fmt: skip


async def test_a_given_order_may_even_put_the_end_first() -> None:
    order = ["CallDisconnected", "MediaStreamingStarted", "CallConnected", "NeverSent"]
    async with emulated_app(faults=Faults(callback_order=order)) as app:
        await one_call(app)
        kinds = [kind for kind in app.kinds() if kind in order]
        assert kinds == order[:3]


async def test_a_failing_app_gets_it_again() -> None:
    async with emulated_app(faults=Faults(callback_order="natural")) as app:
        app.callback_statuses = [500, 503]
        summary = await one_call(app, 1500)
        assert summary["callbacks"]["failed"] == []
        assert app.kinds()[0] == "CallConnected"


async def test_retries_end() -> None:
    async with emulated_app(faults=Faults(callback_order="natural", callback_retries=0)) as app:
        app.callback_statuses = [500]
        summary = await one_call(app)
        assert summary["callbacks"]["failed"] == ["CallConnected"]


async def test_a_refusal_is_not_repeated() -> None:
    async with emulated_app(faults=Faults(callback_order="natural")) as app:
        app.callback_statuses = [401]
        summary = await one_call(app)
        assert summary["callbacks"]["failed"] == ["CallConnected"]
        assert "CallConnected" not in app.kinds()


async def test_copies_have_the_same_id() -> None:
    async with emulated_app(faults=Faults(duplicate_callbacks=1)) as app:
        await one_call(app)
        assert app.kinds().count("CallConnected") == 2
        ids = {event["id"] for event in app.callbacks if event["type"].endswith("CallConnected")}
        assert len(ids) == 1


async def test_dropped_types_never_come() -> None:
    faults = Faults(drop_callbacks=frozenset({"CallDisconnected", "ParticipantsUpdated"}))
    async with emulated_app(faults=faults) as app:
        await one_call(app)
        assert sorted(app.kinds()) == ["CallConnected", "MediaStreamingStarted", "MediaStreamingStopped"]


async def test_events_are_doubled_and_delivered_again() -> None:
    async with emulated_app(faults=Faults(duplicate_events=15)) as app:
        taken: list[bool] = []

        async def first_only(data: dict) -> None:
            if not taken:
                taken.append(True)
                await app.answer(data)

        app.on_call = first_only
        call = await app.emulator.dial({"steps": [{"wait_ms": 60_000}]})
        await app.until(lambda: len(app.events) == 16 and "CallConnected" in app.kinds())
        call.deliver_again()
        await app.until(lambda: len(app.events) == 17)
        assert len({event["id"] for event in app.events}) == 1


async def test_media_refused_on_demand() -> None:
    async with emulated_app(faults=Faults(media_refused=1)) as app:
        await app.emulator.dial({"steps": [{"wait_ms": 60_000}]})
        await app.callback("MediaStreamingFailed")
        assert not app.media
        await app.connection.start_media_streaming()
        await app.callback("MediaStreamingStarted")


async def test_faults_of_one_call() -> None:
    async with emulated_app() as app:
        faults = Faults(drop_callbacks=frozenset({"CallConnected"}))
        call = await app.emulator.dial({"steps": [{"wait_ms": 200}]}, faults=faults)
        await call.ended()
        assert "CallConnected" not in app.kinds()
        await one_call(app)
        assert app.kinds().count("CallConnected") == 1
