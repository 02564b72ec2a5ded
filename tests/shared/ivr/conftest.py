import pytest

from tests.shared.ivr.world import open_ivr_world


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_ivr_world(tmp_path, monkeypatch) as world:
        yield world
