import json

import pytest

from shared.errors import (
    CallControlUnavailable,
    ConfigurationError,
    Forbidden,
    InvalidInput,
    LimitReached,
    MethodNotAllowed,
    NotFound,
    StoreUnavailable,
    TokenRejected,
)
from shared.http import (
    Reply,
    Request,
    UnsupportedMediaType,
    answer,
    blank_params,
    error_reply,
    json_reply,
    request,
    require_json,
)

ERRORS = [
    (InvalidInput("data.to", "a number"), 400, "400-01", False),
    (TokenRejected("expired"), 401, "401-01", False),
    (Forbidden("no"), 403, "403-01", False),
    (NotFound("no such call"), 404, "404-01", False),
    (LimitReached("too many"), 429, "429-01", True),
    (ConfigurationError("X", "y"), 500, "500-02", False),
    (StoreUnavailable("away"), 503, "503-02", True),
    (CallControlUnavailable("away"), 503, "503-04", True),
]


@pytest.mark.parametrize(("error", "status", "code", "retry"), ERRORS)
async def test_errors_become_the_envelope(error, status, code, retry):
    async def handle(_):
        raise error

    reply = await answer(Request("r-1"), 0, handle)
    assert reply == error_reply(error, "r-1")
    assert reply.status == status
    assert json.loads(reply.body) == {"error": {"requestId": "r-1", "code": code, "message": error.message}}
    assert ("retry-after" in reply.headers) is retry
    assert reply.headers["content-type"] == "application/json"
    assert "expired" not in reply.body.decode()


def test_a_wrong_method_is_told_the_right_ones():
    reply = error_reply(MethodNotAllowed({"POST", "GET"}), "r-1")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, POST")
    assert json.loads(reply.body)["error"]["code"] == "405-01"


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=utf-8", " application/json ;x"]
)
def test_json_by_its_own_account(kind):
    require_json(request("r", {"Content-Type": kind}, b""))


@pytest.mark.parametrize(
    "headers", [{}, {"content-type": "text/plain"}, {"content-type": "application/jsonx"}]
)
def test_anything_else_is_415(headers):
    with pytest.raises(UnsupportedMediaType) as caught:
        require_json(request("r", headers, b""))
    assert (caught.value.status, caught.value.code) == (415, "415-01")


def test_parameters_without_a_value_are_not_lost():
    assert blank_params("https://f.example/api/calls?limit=&a=1&b") == {"limit": "", "b": ""}
    assert blank_params("https://f.example/api/calls") == {}


async def test_a_mistake_of_ours_says_nothing(caplog):
    async def handle(_):
        raise KeyError("a secret detail")

    reply = await answer(Request("r-1"), 0, handle)
    assert reply.status == 500
    assert json.loads(reply.body)["error"]["message"] == "internal error"
    assert "KeyError" in caplog.text


def test_header_names_have_no_case_and_doubles_stay_visible():
    found = request("r", {"Api-Id": "a", "API-ID": "b", "X": "1"}, b"")
    assert found.header("api-id") == "a, b"
    assert found.header("x") == found.header("X") == "1"
    assert found.header("y") is None


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({}, b"x" * 10, 200),
        ({}, b"x" * 11, 413),
        ({f"h{i}": "" for i in range(100)}, b"", 200),
        ({f"h{i}": "" for i in range(101)}, b"", 431),
        ({"h": "x" * 32 * 1024}, b"", 431),
    ],
)
async def test_limits_come_before_the_handler(headers, body, status):
    called = []

    async def handle(asked):
        called.append(asked)
        return Reply(200)

    assert (await answer(request("r", headers, body), 10, handle)).status == status
    assert bool(called) is (status == 200)


def test_answers_are_not_cached():
    assert json_reply({"a": 1}).headers["cache-control"] == "no-store"
    assert repr(request("r", {"api-secret": "pcs_x"}, b"secret", {"token": "t"})) == "Request(request_id='r')"
