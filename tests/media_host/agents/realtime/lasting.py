"""Agents whose sessions end, on a clock that jumps."""

import asyncio
import base64

from media_host.agents.base import Said, Transcript
from tests.media_host.agents.realtime.support import START, Host, agent
from tests.support.realtime_server import RealtimeServer


def numbered(number):
    return base64.b64encode(number.to_bytes(4) * 240)


def frames(session):
    """The numbers of the caller's frames that a session got."""
    return [
        int.from_bytes(base64.b64decode(event["audio"])[:4])
        for event in session.of("input_audio_buffer.append")
    ]


async def greeted(server, **changes):
    one, host = agent(server.endpoint, greeting="Good day.", **changes), Host()
    await one.start(START, host)
    session = await server.session()
    await session.next("response.create")
    await session.says("resp_1", "Good day.")
    await host.wait_for(Transcript)
    host.play(one)
    host.past.append(Said("agent", "Good day."))
    return one, host, session


async def virtually(test, *, life_s=None, **changes):
    """Run `test(server, one, host, session)` for an agent that has greeted, on a clock that jumps."""
    loop = asyncio.get_running_loop()

    def created():
        return {} if life_s is None else {"expires_at": loop.time() + life_s}

    async with RealtimeServer(created=created) as server:
        one, host, session = await greeted(server, now=loop.time, **changes)
        await test(server, one, host, session)
        await one.close()
