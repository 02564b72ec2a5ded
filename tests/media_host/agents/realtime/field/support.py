"""What the tests of reports from the field share."""

from media_host.agents.base import TurnEnded
from tests.media_host.agents.realtime.support import START, Host, agent

SECOND = bytes(48_000)


async def talking(server, **changes):
    """An agent that has greeted and is asked for nothing."""
    one, host = agent(server.endpoint, **changes), Host()
    await one.start(START, host)
    session = await server.session()
    await session.next("response.create")
    await session.says("resp_0", "Good day.")
    await host.wait_for(TurnEnded)
    host.play(one)
    host.log.clear()
    return one, host, session


async def answering(host, session, response="resp_9"):
    """The call goes on: the model answers, and the host hears it."""
    await session.says(response, "Yes.", b"\x09" * 960)
    await host.until(lambda: any(turn.turn.startswith(response) for turn in host.of(TurnEnded)))
    assert host.heard.endswith(b"\x09" * 960)
