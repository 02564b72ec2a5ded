import aiohttp
import pytest

from tests.support.app import CONTROL_KEY, App, emulated_app


@pytest.fixture
async def app():
    async with emulated_app() as app:
        yield app


@pytest.fixture
async def http(app: App):
    """The control API."""
    headers = {"Authorization": f"Bearer {CONTROL_KEY}"}
    async with aiohttp.ClientSession(app.emulator.endpoint, headers=headers) as session:
        yield session
