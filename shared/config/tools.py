"""Tools that agents may call, as `patchcord.yaml` declares them.

A JSON Schema is only checked for being an object here; the media host checks it in full when it starts, because the
library for it would cost the function app's cold start.
"""

import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from shared.config.checks import SECRET, SECRET_EXPECTED, Mistake, Part

RESERVED = frozenset({"transfer_to_human", "return_to_system", "end_call", "send_dtmf", "collect_digits"})
"""Built-in tools: the host offers them where they can work; no declared tool may take their names."""

POINTER = re.compile(r"(/([^~/]|~[01])*)*")
"""A JSON Pointer (RFC 6901)."""


class HttpAuth(Part, frozen=True, kw_only=True):
    """A secret in a header of every request: `HEADER: PREFIX SECRET`."""

    secret: str
    header: str = "Authorization"
    prefix: str = "Bearer"


class _Function(Part, tag_field="kind", frozen=True, kw_only=True):
    """What all tools have that Patchcord itself runs.

    Attributes:
        description: what the agent is told about it.
        parameters: JSON Schema of the arguments, an object; arguments that do not fit are answered with an error.
        timeout_s: seconds until it is given up and the agent is told so.
        saying: said to the caller when the tool takes longer than `saying_after_s`; "" says nothing.
        saying_after_s: seconds.
        while_running: `listen` lets the agent talk meanwhile; `hold` keeps it from answering until the result is there.
    """

    description: str
    parameters: dict[str, Any] = msgspec.field(default_factory=lambda: {"type": "object", "properties": {}})
    timeout_s: float = 6.0
    saying: str = ""
    saying_after_s: float = 1.5
    while_running: Literal["listen", "hold"] = "listen"


class HttpTool(_Function, tag="http", frozen=True, kw_only=True):
    """A request to a web service. Where an argument may stand, `{secure.NAME}` may: digits that the caller has keyed in.

    Attributes:
        url: with `{argument}` in path or query (percent-encoded), never in the host; https, http only on loopback.
        body: JSON sent by POST, PUT and PATCH; strings in it may hold `{argument}`; None sends all arguments.
        headers: further headers, without secrets; they may hold `{argument}`.
        response: field of the result → JSON Pointer into the answer's JSON; empty hands the whole answer on.
    """

    url: str
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    headers: dict[str, str] = {}
    auth: HttpAuth | None = None
    body: dict[str, Any] | None = None
    response: dict[str, str] = {}


class PythonTool(_Function, tag="python", frozen=True, kw_only=True):
    """A function of the operator's: `entry_point` is `package.module:function`, async, arguments in, object out."""

    entry_point: str


class McpServer(Part, tag_field="kind", tag="mcp", frozen=True, kw_only=True):
    """Tools of an MCP server that the model's own service calls; the call's audio never waits for them.

    Attributes:
        server_url: https address of the server.
        authorization: reference to the secret that the model's service sends there; it leaves this system.
        allowed_tools: what of the server may be used; empty is everything.
        approval: `never` asks nobody, `always` refuses every request for approval, `allowed` grants it to `allowed_tools`.
    """

    server_url: str
    authorization: str = ""
    allowed_tools: list[str] = []
    approval: Literal["never", "allowed", "always"] = "never"


type ToolConfig = HttpTool | PythonTool | McpServer

WEB = re.compile(
    r"(https://([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.?|\[[0-9A-Fa-f:.]+\])|http://(127\.0\.0\.1|localhost|\[::1\]))"
    r"(:\d{1,5})?([/?][^\s#\\]*)?"
)
WEB_EXPECTED = "an https address (http only on loopback) without user and fragment"


def is_web(url: str) -> bool:
    """Whether a secret may be sent to `url`: https, or http on loopback; host written out, no user, no fragment."""
    return bool(WEB.fullmatch(url))


def tool_mistakes(place: str, name: str, tool: ToolConfig) -> Iterator[Mistake]:
    """What is wrong with one tool."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name) or name in RESERVED:
        yield Mistake(place, "a name of small letters, digits and _ that no built-in tool has", name)
    match tool:
        case McpServer():
            if not is_web(tool.server_url):
                yield Mistake(f"{place}.server_url", WEB_EXPECTED, tool.server_url)
            if tool.authorization and not SECRET.fullmatch(tool.authorization):
                yield Mistake(f"{place}.authorization", SECRET_EXPECTED)
            return
        case HttpTool():
            if not is_web(tool.url):
                yield Mistake(f"{place}.url", WEB_EXPECTED, tool.url)
            if tool.auth is not None and not SECRET.fullmatch(tool.auth.secret):
                yield Mistake(f"{place}.auth.secret", SECRET_EXPECTED)
            if tool.body is not None and tool.method in ("GET", "DELETE"):
                yield Mistake(f"{place}.body", "no body with GET and DELETE", tool.method)
            for field, pointer in tool.response.items():
                if not POINTER.fullmatch(pointer):
                    yield Mistake(
                        f"{place}.response.{field}", "a JSON Pointer such as /order/status", pointer
                    )
        case _:
            if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", tool.entry_point):
                yield Mistake(f"{place}.entry_point", "package.module:function", tool.entry_point)
    if tool.parameters.get("type") != "object":
        yield Mistake(
            f"{place}.parameters", "a JSON Schema of type object", str(tool.parameters.get("type", "no type"))
        )
    for field, value, top in (
        ("timeout_s", tool.timeout_s, 60.0),
        ("saying_after_s", tool.saying_after_s, 60.0),
    ):
        if not 0 < value <= top:
            yield Mistake(f"{place}.{field}", f"seconds, above 0 and at most {top:g}", f"{value:g}")
