"""A token carries the trace of the call that it was made for, and only a good token can bring one."""

import pytest

from shared.errors import TokenRejected
from shared.security.keyring import KeyRing
from shared.security.tokens import Audience, TokenMinter, TokenVerifier
from shared.telemetry.current import follow, parse_trace, scope
from tests.shared.security.support import START

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def minter(keys, clock):
    return TokenMinter(KeyRing(keys.signing, clock), clock)


@pytest.fixture
def verifier(keys, clock):
    return TokenVerifier(KeyRing(keys.verification, clock), clock)


async def minted(minter, trace=TRACE) -> str:
    with scope():
        follow("call-1", parse_trace(trace))
        return await minter.mint(Audience.ACS_MEDIA, call_id="call-1", tenant="acme")


async def test_it_is_there_and_short(minter, verifier):
    token = await minted(minter)
    assert str((await verifier.verify(token, Audience.ACS_MEDIA)).trace) == TRACE
    assert len(token) < 600


async def test_without_a_trace_the_token_is_as_short_as_ever(minter, verifier):
    token = await minted(minter, "")
    assert (await verifier.verify(token, Audience.ACS_MEDIA)).trace is None
    assert len(token) < 500


@pytest.mark.parametrize(
    "trace", ["", 5, None, ["a"], "00-x", TRACE + "\r\nx: y", "00-" + "0" * 32 + TRACE[35:]]
)
async def test_a_strange_one_costs_no_call(keys, verifier, trace):
    key = keys.document.to_sign_with(Audience.ACS_MEDIA, START)
    claims = {
        "iss": "patchcord", "aud": "acs-media", "sub": "call-1", "tenant": "acme", "iat": int(START),
        "exp": int(START) + 30, "jti": "0123456789abcdef", "trace": trace,
    }  # fmt: skip
    import jwt

    token = jwt.encode(claims, key.signer, "EdDSA", {"kid": key.kid})
    assert (await verifier.verify(token, Audience.ACS_MEDIA)).trace is None


async def test_a_forged_token_brings_none(minter, verifier):
    head, body, signature = (await minted(minter)).split(".")
    other = (await minted(minter, TRACE.replace("0af7", "1bf8"))).split(".")[1]
    with pytest.raises(TokenRejected):
        await verifier.verify(f"{head}.{other}.{signature}", Audience.ACS_MEDIA)
    assert body != other
