"""An agent of somebody's own that cannot begin, over a real socket."""

import asyncio

import pytest

from media_host.agents.base import Fault
from media_host.agents.websocket import MAX_MISTAKES
from shared.errors import AgentUnavailable
from tests.support.agent_host import NotingHost
from tests.support.own_agent import OwnAgent
from tests.support.timing import patience


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"status": 401}, "HTTP 401"),
        ({"status": 302}, "HTTP 302"),
        ({"subprotocols": None}, "NegotiationError"),
        ({"mute": True}, "not ready within"),
    ],
)
async def test_an_agent_that_does_not_let_us_in(meet, fast, options, why):
    async with OwnAgent(**options) as own:
        with pytest.raises(AgentUnavailable, match=why):
            await meet(own, NotingHost(), fast=fast, start_s=0.3 if why.startswith("not") else patience(5))
        if options == {"mute": True}:
            assert (await own.got("stop"))[0]["reason"] == "failed"
            await own.closed.wait()


@pytest.mark.parametrize(
    ("first", "why"),
    [
        ({"type": "ready", "codec": "ulaw/8000"}, "does not take pcm16/24000"),
        ({"type": "error", "code": "full", "message": "try later", "fatal": True}, "full: try later"),
    ],
)
async def test_an_agent_that_says_no(meet, first, why):
    async with OwnAgent() as own:
        own.answer = [{"type": "later version"}, {"type": "turn", "turn": "early"}, first]
        host = NotingHost()
        with pytest.raises(AgentUnavailable, match=why):
            await meet(own, host)
        await own.closed.wait()
    assert host.events == [Fault("agent_message", "message: expected ready first", fatal=False)]


async def test_an_agent_that_talks_nonsense_or_hangs_up_at_once(meet):
    async with OwnAgent() as own:
        own.answer = ["nonsense"] * (MAX_MISTAKES + 1)
        with pytest.raises(AgentUnavailable, match="does not speak the protocol"):
            await meet(own, NotingHost())
    async with OwnAgent(mute=True) as own:
        starting = asyncio.create_task(meet(own, NotingHost()))
        await own.until(lambda: own.received)
        await own.socket.close(4001, "4111111111111111")
        with pytest.raises(AgentUnavailable, match=r"\(code 4001\)$"):
            await starting


async def test_nobody_there_and_no_key(meet):
    async with OwnAgent() as own:
        pass
    with pytest.raises(AgentUnavailable, match="refused the connection"):
        await meet(own, NotingHost())
    with pytest.raises(AgentUnavailable, match="key cannot be read"):
        await meet(own, NotingHost(), key="NONE")
    with pytest.raises(AgentUnavailable, match="not visible ASCII") as caught:
        await meet(own, NotingHost(), key="LINES")
    assert "s3cret" not in str(caught.value)


async def test_a_cancelled_start_leaves_no_connection(meet):
    async with OwnAgent(mute=True) as own:
        starting = asyncio.create_task(meet(own, NotingHost()))
        await own.until(lambda: own.received)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        async with asyncio.timeout(patience(5)):
            await own.closed.wait()
