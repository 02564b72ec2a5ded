import pytest

from tests.media_host.agents.realtime.support import SERVICES, START, Host, agent
from tests.support.realtime_server import RealtimeServer


@pytest.fixture
async def server():
    async with RealtimeServer() as server:
        yield server


@pytest.fixture(params=SERVICES)
async def call(request, server):
    one, host = agent(server.endpoint, service=request.param), Host()
    await one.start(START, host)
    session = await server.session()
    yield one, host, session
    await one.close()
