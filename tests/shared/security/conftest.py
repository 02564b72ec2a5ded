import pytest

from tests.shared.security.support import Clock, Keys


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def keys(tmp_path, clock):
    keys = Keys(tmp_path, clock)
    await keys.write()
    return keys
