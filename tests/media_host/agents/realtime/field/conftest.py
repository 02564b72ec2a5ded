import pytest

from tests.media_host.agents.realtime.field.support import talking


@pytest.fixture
async def call(server):
    one, host, session = await talking(server)
    host.agent = one
    yield one, host, session
    await one.close()
