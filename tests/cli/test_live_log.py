"""The live log: a real call, told from both sides."""

import asyncio
import io

import pytest
from aiohttp import web

from cli.live_log import LiveLog
from emulator.faults import Faults
from emulator.service import Emulator
from emulator.trace import Trace
from tests.support.app import App, emulator_config
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


async def test_what_an_app_does_before_its_answer_returns_is_told_too() -> None:
    out = io.StringIO()
    live = LiveLog(out)
    trace = Trace(None)
    trace.listeners.append(live.wire)
    async with Emulator(emulator_config(), trace=trace) as emulator:
        emulator.watchers.append(live.watch)
        app = App(emulator)
        app.start_media = None  # a media connection would name the call, too
        take = app._callbacks

        async def act_first(request: web.Request) -> web.Response:
            [event] = await request.json()
            if event["type"].endswith("CallConnected"):
                connection = app.client.get_call_connection(event["data"]["callConnectionId"])
                await connection.hang_up(is_for_everyone=True)
            return await take(request)

        app._callbacks = act_first
        await app.start()
        await emulator.subscribe(app.subscription())
        # The app acts while it is told of the call: neither that callback nor the answer has been traced by then.
        faults = Faults(rest_delay_s={"answer": 0.5}, callback_order="natural")
        call = await emulator.dial({"steps": [{"expect_hang_up": {}}]}, faults=faults)
        await asyncio.wait_for(call.ended(), patience(15))
        await app.until(lambda: bool(app.answers))
        await live.close()
        await emulator.close()
        await app.close()
    lines = out.getvalue().splitlines()
    told = [" ".join(line.split()[3:]) for line in lines if line.startswith("#1 ")]
    assert told[0] == "dialled +14255550100 calls +18005550000"
    assert "the app ends the call for everybody" in told
    assert told.index("the app ends the call for everybody") < told.index("the app answers")
    assert "is told CallConnected" in told
    assert "ended agent_hung_up" in told
    assert not [line for line in lines if line.startswith("#2")], "one call is one story"


async def test_calls_are_numbered() -> None:
    out = io.StringIO()
    live = LiveLog(out, now=iter([10.0, 10.0, 11.5]).__next__)
    record = {"what": "rest", "method": "DELETE", "where": "/calling/callConnections/c", "status": 204}
    live.wire({**record, "call": "a"})
    live.wire({**record, "call": None})
    live.wire({**record, "call": "a"})
    assert out.getvalue().splitlines() == [
        "#1     0.0 s  the app       hangs up",
        "#1     1.5 s  the app       hangs up",
    ]
