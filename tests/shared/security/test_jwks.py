import asyncio
import json

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from shared.errors import InvalidInput, KeysUnavailable
from shared.security.jwks import LIMIT, http_fetch, parse_jwks
from tests.support.rsa_keys import rsa_key
from tests.support.timing import patience

KEY = rsa_key(0)
PUBLIC = KEY.public_key()
SHORT = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # to be refused


def jwk(key=PUBLIC, **changes):
    value = {**RSAAlgorithm.to_jwk(key, as_dict=True), "kid": "k1", "use": "sig", "alg": "RS256", **changes}
    return {name: item for name, item in value.items() if item is not ...}


def jwks(*keys):
    return json.dumps({"keys": list(keys)})


@pytest.mark.parametrize(
    "changes", [{}, {"use": ..., "alg": ..., "key_ops": ...}, {"x5c": ["MII"], "issuer": "x"}]
)
def test_a_key_is_found_by_its_name(changes):
    keys = parse_jwks(jwks({"kty": "EC", "kid": "other"}, jwk(**changes)))
    assert list(keys) == ["k1"]
    assert keys["k1"].public_numbers() == KEY.public_key().public_numbers()


@pytest.mark.parametrize(
    "entry",
    [
        5,
        {},
        jwk(kty="oct", k="AAAA"),
        jwk(kid=...),
        jwk(kid=5),
        jwk(use="enc"),
        jwk(alg="RSA-OAEP"),
        jwk(alg="HS256"),
        jwk(n=...),
        jwk(n="not base64!"),
        jwk(n=5),
        jwk(e=""),
        jwk(SHORT.public_key()),
        jwk(KEY),
    ],
    ids=lambda _: "entry",
)
def test_what_cannot_be_used_is_left_out(entry):
    assert dict(parse_jwks(jwks(entry))) == {}


def test_keys_of_other_kinds_are_nothing_to_warn_of(caplog):
    parse_jwks(jwks({"kty": "EC", "kid": "e", "crv": "P-256"}, {"kty": "OKP", "kid": "o"}))
    assert not caplog.records


@pytest.mark.parametrize("document", ["", "[]", "{}", '{"keys": {}}', "x" * (LIMIT + 1)])
def test_what_is_no_set_is_refused(document):
    with pytest.raises(InvalidInput, match="jwks"):
        parse_jwks(document)


@pytest.fixture
async def serve():
    """Start a web server with one handler; gives its address."""
    runners = []

    async def start(handler):
        app = web.Application()
        app.router.add_get("/keys", handler)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{runner.addresses[0][1]}/keys"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session():
    async with aiohttp.ClientSession() as session:
        yield session


async def test_fetching(serve, session):
    async def handler(request):
        return web.Response(text="ключ")

    assert await http_fetch(session)(await serve(handler)) == "ключ"


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (lambda: web.Response(status=500), "answered 500"),
        (lambda: web.Response(status=302, headers={"Location": "/elsewhere"}), "answered 302"),
        (lambda: web.Response(text="x" * (LIMIT + 1)), f"more than {LIMIT} bytes"),
        (lambda: web.Response(body=b"\xff\xfe"), "UnicodeDecodeError"),
    ],
)
async def test_fetching_goes_wrong(serve, session, response, message):
    async def handler(request):
        return response()

    with pytest.raises(KeysUnavailable, match=message):
        await http_fetch(session)(await serve(handler))


async def test_fetching_has_a_time_limit(serve, session):
    release = asyncio.Event()

    async def handler(request):
        await release.wait()
        return web.Response()

    url = await serve(handler)
    async with asyncio.timeout(patience(10)):
        with pytest.raises(KeysUnavailable, match="TimeoutError"):
            await http_fetch(session, timeout_s=0.05)(url)
    release.set()


async def test_nobody_is_listening(session, unused_tcp_port):
    with pytest.raises(KeysUnavailable, match="ClientConnectorError"):
        await http_fetch(session)(f"http://127.0.0.1:{unused_tcp_port}/keys")
