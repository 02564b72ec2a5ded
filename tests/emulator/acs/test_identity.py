"""Identities: users of the resource and their tokens."""

import datetime

import jwt
import pytest

from emulator.acs.errors import RestError
from emulator.acs.identity import Identities
from emulator.acs.signing import Signer

RESOURCE = "9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10"
SIGNER = Signer(RESOURCE, now=lambda: CLOCK.now)


class Clock:
    now = 1_795_000_000.0


CLOCK = Clock()


@pytest.fixture
def identities():
    CLOCK.now = 1_795_000_000.0
    return Identities(RESOURCE, SIGNER, now=lambda: CLOCK.now)


def test_a_user_without_a_token(identities):
    body = identities.create()
    assert body.keys() == {"identity"}
    assert body["identity"]["id"].startswith(f"8:acs:{RESOURCE}_")
    assert identities.create()["identity"] != body["identity"]


def test_a_user_with_a_token(identities):
    body = identities.create(["voip", "chat"], 60)
    token, user = body["accessToken"], body["identity"]["id"]
    assert identities.holder(token["token"]) == user
    ends = datetime.datetime.fromisoformat(token["expiresOn"])
    assert ends.timestamp() == CLOCK.now + 3600
    claims = jwt.decode(token["token"], options={"verify_signature": False})
    assert f"8:{claims['skypeid']}" == user
    assert claims["acsScope"] == "voip,chat"
    assert claims["exp"] == ends.timestamp()


@pytest.mark.parametrize(
    ("scopes", "minutes"),
    [
        ([], None), ("voip", None), (["sms"], None), ([7], None), (None, None),
        (["voip"], 59), (["voip"], 1441), (["voip"], "60"), (["voip"], True),
    ],
)  # fmt: skip
def test_wrong_requests(identities, scopes, minutes):
    user = identities.create()["identity"]["id"]
    with pytest.raises(RestError) as caught:
        identities.issue(user, scopes, minutes)
    assert caught.value.status == 400


def test_tokens_end_and_are_revoked(identities):
    user = identities.create()["identity"]["id"]
    short, long = identities.issue(user, ["voip"], 60)["token"], identities.issue(user, ["voip"])["token"]
    CLOCK.now += 3601
    assert [identities.holder(token) for token in (short, long)] == [None, user]
    identities.revoke(user)
    assert identities.holder(long) is None
    assert identities.holder(identities.issue(user, ["chat"])["token"]) == user


def test_a_deleted_user_is_gone_with_all_tokens(identities):
    body = identities.create(["voip"])
    user, token = body["identity"]["id"], body["accessToken"]["token"]
    identities.delete(user)
    assert identities.holder(token) is None
    for use in (identities.delete, identities.revoke, lambda who: identities.issue(who, ["voip"])):
        with pytest.raises(RestError) as caught:
            use(user)
        assert caught.value.status == 404


def test_ids_outlive_the_process(identities):
    user = f"8:acs:{RESOURCE}_00000011-aaaa-bbbb-cccc-3a3a0d00aabb"
    assert identities.holder(identities.issue(user, ["voip"])["token"]) == user


@pytest.mark.parametrize("user", ["8:acs:other-resource_u", "4:+14255550100", "", "8:acs:" + RESOURCE])
def test_users_of_others(identities, user):
    with pytest.raises(RestError) as caught:
        identities.issue(user, ["voip"])
    assert caught.value.status == 403


@pytest.mark.parametrize("token", ["", "x.y.z", SIGNER.token(60)])
def test_tokens_that_are_none(identities, token):
    assert identities.holder(token) is None
