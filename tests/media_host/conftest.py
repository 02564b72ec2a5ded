import pytest

from tests.support.media_world import open_media_world


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, max_call_s=3600) as world:
        yield world
