"""Identity routes as SDK 1.5.0 calls them, raw and signed; and who may call at all."""

from urllib.parse import quote

import pytest

from emulator.python_sdk import AioEmulatorCredential
from emulator.service import Emulator
from tests.support.app import ACCESS_KEY, RESOURCE, emulator_config
from tests.support.signed import signed

VERSION = "?api-version=2023-10-01"


@pytest.fixture
async def emulator():
    async with Emulator(emulator_config()) as emulator:
        yield emulator


def path_of(user: str, action: str = "") -> str:
    return f"/identities/{quote(user, safe='')}{action}{VERSION}"


async def test_a_user_from_creation_to_deletion(emulator: Emulator) -> None:
    status, body = await signed(emulator, "POST", f"/identities{VERSION}")
    assert status == 201
    user = body["identity"]["id"]
    assert user.startswith(f"8:acs:{RESOURCE}_")
    request = {"scopes": ["voip"], "expiresInMinutes": None}
    status, token = await signed(emulator, "POST", path_of(user, "/:issueAccessToken"), request)
    assert (status, token.keys()) == (200, {"token", "expiresOn"})
    assert emulator.identities.holder(token["token"]) == user
    assert await signed(emulator, "POST", path_of(user, "/:revokeAccessTokens")) == (204, {})
    assert emulator.identities.holder(token["token"]) is None
    assert await signed(emulator, "DELETE", path_of(user)) == (204, {})
    status, body = await signed(emulator, "POST", path_of(user, "/:issueAccessToken"), request)
    assert (status, body["error"]["code"]) == (404, "NotFound")
    assert emulator.operations["createIdentity", 201] == 1
    assert emulator.operations["issueAccessToken", 404] == 1


async def test_a_user_and_a_token_at_once(emulator: Emulator) -> None:
    request = {"createTokenWithScopes": ["chat", "voip"], "expiresInMinutes": 60}
    status, body = await signed(emulator, "POST", f"/identities{VERSION}", request)
    assert (status, body.keys()) == (201, {"identity", "accessToken"})
    assert emulator.identities.holder(body["accessToken"]["token"]) == body["identity"]["id"]


async def test_wrong_scopes(emulator: Emulator) -> None:
    status, body = await signed(emulator, "POST", f"/identities{VERSION}", {"createTokenWithScopes": ["fly"]})
    assert (status, body["error"]["code"]) == (400, "8523")


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=" + "A" * 43 + "=", "7509"),
        ("Basic abc", "7509"),
        ("Bearer", "7501"),
        ("Bearer nonsense", "7501"),
        ("callback", "7501"),
        ("user", "7501"),
    ],
)
async def test_strangers_are_refused(emulator: Emulator, authorization: str, code: str) -> None:
    if authorization == "callback":
        authorization = emulator.signer.callback_header()
    elif authorization == "user":
        authorization = "Bearer " + emulator.identities.create(["voip"])["accessToken"]["token"]
    status, body = await signed(emulator, "POST", f"/identities{VERSION}", authorization=authorization)
    assert (status, body["error"]["code"]) == (401, code)
    assert emulator.operations["createIdentity", 201] == 0


async def test_a_bearer_token_opens_the_same_doors(emulator: Emulator) -> None:
    token = await AioEmulatorCredential(emulator.endpoint, RESOURCE, ACCESS_KEY).get_token("scope")
    bearer = f"Bearer {token.token}"
    assert (await signed(emulator, "POST", f"/identities{VERSION}", authorization=bearer))[0] == 201
    unknown = "/calling/callConnections/unknown?api-version=2026-03-12"
    status, body = await signed(emulator, "GET", unknown, authorization=bearer)
    assert (status, body["error"]["code"]) == (404, "8522")
