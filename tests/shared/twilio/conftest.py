import pytest

from tests.shared.twilio.world import open_twilio


@pytest.fixture
async def twilio(tmp_path, monkeypatch):
    async with open_twilio(tmp_path, monkeypatch) as opened:
        yield opened
