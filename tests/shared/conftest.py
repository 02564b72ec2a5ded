import pytest

from tests.support.call_world import open_world


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_world(tmp_path, monkeypatch) as opened:
        yield opened
