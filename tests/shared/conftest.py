import pytest

from shared.store.sqlite import SqliteStore
from tests.support.call_world import open_world


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_world(tmp_path, monkeypatch) as opened:
        yield opened


@pytest.fixture
async def store(tmp_path):
    opened = SqliteStore(tmp_path / "store.db")
    yield opened
    await opened.close()
