"""Whole calls: Microsoft's own client answers what the emulated phone dials."""

import asyncio

import pytest

from emulator.phone.audio import share_at
from tests.support.app import App, Media, emulated_app, sine
from tests.support.timing import patience


@pytest.fixture
async def app():
    async with emulated_app() as app:
        yield app


async def ended(call) -> None:
    async with asyncio.timeout(patience(20)):
        await call.ended()


async def test_a_call_from_dialling_to_its_end(app: App) -> None:
    async def agent(media: Media) -> None:
        await media.speak(sine(440, 600))

    app.on_media = agent
    steps = ["listen", {"press": "42#"}, {"tone": {"hz": 700, "seconds": 0.3}}, "hang_up"]
    call = await app.emulator.dial({"from": "+14255550100", "to": "+18005550000", "steps": steps})
    await ended(call)
    summary = call.summary()
    assert summary["failed"] is None
    assert summary["ended"] == {"reason": "caller_hung_up", "by": "caller"}
    assert [event["kind"] for event in call.events if event["kind"] != "delivered"] == [
        "dialled", "ringing", "answered", "agent_audio", "agent_silent", "keys", "tone", "hang_up", "ended",
    ]  # fmt: skip
    media = app.media[0]
    assert media.messages[0]["kind"] == "AudioMetadata"
    assert [m["dtmfData"]["data"] for m in media.messages if m["kind"] == "DtmfData"] == ["4", "2", "#"]
    assert app.kinds()[-1] == "CallDisconnected"
    assert summary["media"]["playedMs"] == 600
