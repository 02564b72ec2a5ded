"""HTTP functions in a real host process: routes, keys, headers, answers, faults."""

import io
import json
from collections.abc import Iterator

import pytest

from tests.emulator.functions_host.hosting import HostProcess, write_app

APP = """
    import json

    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route(route="echo/{name}/{number:int?}", methods=["GET", "POST"])
    async def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        seen = {
            "method": req.method, "url": req.url, "route": dict(req.route_params), "query": dict(req.params),
            "headers": dict(req.headers), "body": req.get_body().decode(), "trace": context.trace_context.Traceparent,
            "function": context.function_name,
        }
        return func.HttpResponse(json.dumps(seen), mimetype="application/json", status_code=203, headers={"X-Own": "1"})

    @app.route(methods=["GET"])
    async def Text(req: func.HttpRequest) -> str:
        return "plain é"

    @app.route()
    def threaded(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(req.get_body(), mimetype="application/octet-stream")

    @app.route()
    async def nothing(req: func.HttpRequest) -> func.HttpResponse:
        return None

    @app.route()
    async def a_dict(req: func.HttpRequest) -> func.HttpResponse:
        return {"a": 1}

    @app.route()
    async def raises(req: func.HttpRequest) -> func.HttpResponse:
        raise ValueError("no luck with " + req.params["secret"])

    @app.route()
    async def cookies(req: func.HttpRequest) -> func.HttpResponse:
        answer = func.HttpResponse("ok")
        answer.headers.add("Set-Cookie", "a=1; Path=/x; Max-Age=60; HttpOnly; Secure; SameSite=Strict; Domain=d.example")
        answer.headers.add("Set-Cookie", "b=two; Expires=Wed, 21 Oct 2015 07:28:00 GMT")
        return answer

    @app.route()
    async def empty(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(status_code=204)

    @app.route(route="keyed", auth_level=func.AuthLevel.FUNCTION)
    async def keyed(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("in " + req.params.get("code", ""))

    @app.route(route="mastered", auth_level=func.AuthLevel.ADMIN)
    async def mastered(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse("in")
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostProcess]:
    with HostProcess(write_app(tmp_path_factory.mktemp("http"), APP)) as process:
        yield process


async def test_the_function_sees_the_whole_request(host: HostProcess) -> None:
    headers = [("X-Twice", "a"), ("X-Twice", "b"), ("traceparent", "00-1-2-01")]
    path = "/API/Echo/a%20b/12?q=1&q=2&empty="
    status, text, response = await host.call("POST", path, data=b"body", headers=headers)
    seen = json.loads(text)
    assert (status, response.headers["X-Own"], response.content_type) == (203, "1", "application/json")
    assert seen["method"] == "POST"
    assert seen["url"].startswith(host.base) and "q=1" in seen["url"]
    assert seen["route"] == {"name": "a b", "number": "12"}
    assert seen["query"] == {"q": "1,2"}
    assert seen["headers"]["x-twice"] == "a,b"
    assert seen["body"] == "body"
    assert (seen["trace"], seen["function"]) == ("00-1-2-01", "echo")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/echo/x", 203),
        ("GET", "/api/echo", 404),
        ("PUT", "/api/echo/x", 404),  # wrong method: not 405
        ("HEAD", "/api/echo/x", 404),
        ("GET", "/api/text", 200),
        ("POST", "/api/text", 404),
        ("DELETE", "/api/threaded", 200),  # no methods: all methods
        ("GET", "/api/empty", 204),
        ("GET", "/", 404),
        ("GET", "/echo/x", 404),
    ],
)
async def test_status_by_method_and_path(host: HostProcess, method: str, path: str, status: int) -> None:
    assert (await host.call(method, path))[0] == status


async def test_a_text_is_plain_and_a_thread_gives_bytes(host: HostProcess) -> None:
    _, text, response = await host.call("GET", "/api/Text")
    assert (text, response.content_type, response.charset) == ("plain é", "text/plain", "utf-8")
    _, text, response = await host.call("POST", "/api/threaded", data=io.BytesIO(b"x" * 2_000_000))
    assert (len(text), response.content_type) == (2_000_000, "application/octet-stream")


@pytest.mark.parametrize("function", ["nothing", "a_dict", "raises?secret=pcs_0123456789abcdef0"])
async def test_faults_are_500_without_a_body_and_logged_without_secrets(
    host: HostProcess, function: str
) -> None:
    status, text, _ = await host.call("GET", f"/api/{function}")
    assert (status, text) == (500, "")
    name = function.split("?")[0]
    assert f"Exception while executing function: Functions.{name}" in host.logged
    assert "pcs_0123456789abcdef0" not in host.logged


async def test_the_reason_of_a_fault_is_in_the_log(host: HostProcess) -> None:
    await host.call("GET", "/api/raises?secret=x")
    assert "ValueError: no luck with x" in host.logged
    await host.call("GET", "/api/nothing")
    assert 'unsupported type "http" for Python type "NoneType"' in host.logged


async def test_cookies_are_written_back(host: HostProcess) -> None:
    _, _, response = await host.call("GET", "/api/cookies")
    first, second = response.headers.getall("Set-Cookie")
    assert first.startswith("a=1; ")
    parts = {part.lower() for part in first.split("; ")[1:]}
    assert parts == {"path=/x", "max-age=60", "httponly", "secure", "samesite=strict", "domain=d.example"}
    assert second == "b=two; expires=Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("function", "header", "query", "status"),
    [
        ("keyed", "host", None, 200),
        ("keyed", "master", None, 200),
        ("keyed", None, "host", 200),
        ("keyed", "wrong", "host", 401),  # the header is read first
        ("keyed", "host", "wrong", 200),
        ("keyed", None, None, 401),
        ("keyed", "system", None, 401),
        ("mastered", "master", None, 200),
        ("mastered", "host", None, 401),
    ],
)
async def test_keys(
    host: HostProcess, function: str, header: str | None, query: str | None, status: int
) -> None:
    keys = {
        "host": host.keys["host"]["default"],
        "master": host.keys["master"],
        "system": host.keys["system"]["eventgrid_extension"],
        "wrong": "x",
    }
    headers = {"x-functions-key": keys[header]} if header else {}
    code = f"?code={keys[query]}" if query else ""
    got, text, _ = await host.call("GET", f"/api/{function}{code}", headers=headers)
    assert got == status
    assert text == (
        "" if status == 401 else "in " + (keys[query] if query else "") if function == "keyed" else "in"
    )


async def test_the_log_names_routes_only(host: HostProcess) -> None:
    await host.call("GET", "/api/echo/private-name?token=hidden-query")
    await host.call("GET", "/no/private-path")
    logged = host.logged
    assert "GET /api/echo/{name}/{number:int?} 203" in logged
    assert "(no route) 404" in logged
    assert not any(
        part in logged
        for part in ("private-name", "hidden-query", "private-path", host.keys["host"]["default"])
    )
