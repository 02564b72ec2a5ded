"""Who is let in: by each service's own rules."""

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from emulator.realtime import EmulatedModel
from tests.emulator.realtime.raw_client import PATHS, raw_client

OPENAI = "/v1/realtime?model=m"
AZURE, VOICE_LIVE = PATHS["ga"], PATHS["flat"]
AGENT = "/voice-live/realtime?api-version=2026-07-15&agent-name=a&agent-project-name=p"
KEY, TOKEN = {"api-key": "key"}, {"Authorization": "Bearer token"}
BEARER_KEY = {"Authorization": "Bearer key"}


async def status(model, path, headers=None):
    try:
        async with connect(model.endpoint + path, additional_headers=headers):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        (OPENAI, BEARER_KEY, 101),
        (OPENAI, KEY, 401),
        (OPENAI, TOKEN, 401),
        (AZURE, KEY, 101),
        (AZURE, TOKEN, 101),
        (AZURE, BEARER_KEY, 401),
        (AZURE, {"api-key": "other"}, 401),
        (AZURE, {"api-key": ""}, 401),
        (AZURE, None, 401),
        (AZURE + "&api-key=key", None, 401),
        (VOICE_LIVE, KEY, 101),
        (VOICE_LIVE, TOKEN, 101),
        (AGENT, TOKEN, 101),
        (AGENT, KEY, 401),
        (AZURE + "&api-version=2025-04-01-preview", KEY, 401),
        (AZURE + "&colour=red", KEY, 400),
        ("/openai/v1/realtime", KEY, 400),
        ("/voice-live/realtime?model=m", KEY, 400),
        ("/voice-live/realtime?api-version=1", KEY, 400),
        (AGENT + "&model=m", TOKEN, 400),
        ("/openai/realtime?api-version=2025-04-01-preview&deployment=d", KEY, 404),
    ],
)
async def test_the_handshake(path, headers, expected):
    async with EmulatedModel(key="key", token="token") as model:
        assert await status(model, path, headers) == expected


async def test_a_service_with_a_key_alone_takes_no_token_and_one_without_takes_everybody():
    async with EmulatedModel(key="key") as model:
        assert await status(model, AZURE, {"Authorization": "Bearer "}) == 401
    async with EmulatedModel() as model:
        assert await status(model, AZURE) == 101


async def test_it_says_when_it_is_ready_and_what_was_asked_for():
    async with (
        EmulatedModel(now=lambda: 1000.0) as model,
        raw_client(model, path="/v1/realtime?model=mine") as client,
    ):
        assert await status(model, "/healthz") == 200
        session = (await client.until("session.created"))["session"]
        assert (session["model"], session["expires_at"], session["type"]) == ("mine", 4600, "realtime")
        (served,) = model.sessions
        assert served.dialect.name == "ga"
    assert not model.sessions
