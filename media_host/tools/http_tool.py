"""Tools of kind `http`: one request to a web service, its answer as the result."""

import re
from collections.abc import Iterator, Mapping

import aiohttp
import msgspec
from yarl import URL

from media_host.agents.base import ToolSpec
from media_host.tools.schema import Schema
from media_host.tools.scrub import Scrub
from media_host.tools.template import CONTROLS, Address, Missing, Text, Values
from media_host.tools.tool import Tool, ToolFailed, WrongArguments
from shared.config.tools import HttpAuth, HttpTool
from shared.errors import ConfigurationError
from shared.security.secrets import Secrets

ANSWER_BYTES = 262_144
"""An answer may be this long (bytes, decompressed); what of it becomes the result has a smaller bound."""

OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "upgrade", "cookie"})
"""Headers that a tool may not set."""

HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

type Body = dict[str, Body] | list[Body] | Text | bool | int | float | None
"""JSON whose strings are templates."""


def http_tool(
    spec: ToolSpec, config: HttpTool, place: str, http: aiohttp.ClientSession, secrets: Secrets
) -> Tool:
    """The tool that `config` declares.

    Args:
        spec: what the agent is told.
        config: the declaration.
        place: where it stands (`tools.NAME`).
        http: keeps no cookies.
        secrets: where the secret of `auth` is read, each time.

    Raises:
        ConfigurationError: a template is wrong, or names what is no argument.
    """
    schema = Schema(config.parameters, f"{place}.parameters")
    request = _Request(config, place, schema)

    async def run(arguments: Mapping[str, object], secure: Mapping[str, str]) -> object:
        url, headers, body = request.fill(Values(arguments, secure))
        hidden = []
        if config.auth is not None:
            hidden.append(await secrets.get(config.auth.secret))
            headers[config.auth.header] = _credential(config.auth, hidden[0])
        answer = await _ask(http, config, url, headers, body)
        return Scrub(hidden, secure.values())(_mapped(answer, config.response))

    return Tool(spec, schema, run, request.secure, config.timeout_s, config.saying, config.saying_after_s)


class _Request:
    """The templates of a request."""

    def __init__(self, config: HttpTool, place: str, schema: Schema) -> None:
        self._address = Address(config.url, f"{place}.url")
        self._headers = {name: Text(text) for name, text in config.headers.items()}
        for name in [*config.headers, *([config.auth.header] if config.auth else [])]:
            if not HEADER.fullmatch(name) or name.lower() in OURS:
                raise ConfigurationError(f"{place}.headers", "names of headers that a tool may set", name)
        self._sends = config.method in ("POST", "PUT", "PATCH")
        self._body = None if config.body is None else _templates(config.body)
        headers, body = self._headers.values(), list(_texts(self._body))
        self.secure = self._address.secure.union(*(text.secure for text in (*headers, *body)))
        for field, texts in (("url", [self._address]), ("headers", headers), ("body", body)):
            for name in sorted(
                frozenset[str]().union(*(text.arguments for text in texts)) - schema.properties
            ):
                raise ConfigurationError(
                    f"{place}.{field}", f"only arguments of {place}.parameters", f"{{{name}}}"
                )
        needed = self._address.needed.union(*(text.arguments for text in headers))
        for name in sorted(needed - schema.required):
            expected = "every argument of path and headers under `required`"
            raise ConfigurationError(f"{place}.parameters", expected, name)

    def fill(self, values: Values) -> tuple[str, dict[str, str], bytes | None]:
        """Address, headers and body."""
        headers = {name: text.fill(values) for name, text in self._headers.items()}
        if any(CONTROLS.search(text) for text in headers.values()):
            raise WrongArguments("expected values that can stand in a header")
        if not self._sends:
            return self._address.fill(values), headers, None
        filled = values.arguments if self._body is None else _filled(self._body, values)
        headers.setdefault("Content-Type", "application/json")
        return self._address.fill(values), headers, msgspec.json.encode(filled)


def _templates(part: object) -> Body:
    match part:
        case str():
            return Text(part)
        case dict():
            return {key: _templates(value) for key, value in part.items()}
        case list():
            return [_templates(item) for item in part]
        case bool() | int() | float() | None:
            return part
        case _:  # a YAML date
            return Text(str(part))


def _texts(body: Body) -> Iterator[Text]:
    match body:
        case Text():
            yield body
        case dict():
            for value in body.values():
                yield from _texts(value)
        case list():
            for item in body:
                yield from _texts(item)


def _filled(body: Body, values: Values) -> object:
    """The body; a field whose argument was not given is left out.

    Raises:
        Missing: an argument of something else than a field was not given.
    """
    match body:
        case Text(alone=tuple() as alone):
            return values.raw(*alone)
        case Text():
            return body.fill(values)
        case dict():
            fields = {}
            for key, value in body.items():
                try:
                    fields[key] = _filled(value, values)
                except Missing:
                    continue
            return fields
        case list():
            return [_filled(item, values) for item in body]
        case _:
            return body


def _credential(auth: HttpAuth, secret: str) -> str:
    return f"{auth.prefix} {secret}" if auth.prefix else secret


async def _ask(
    http: aiohttp.ClientSession, config: HttpTool, url: str, headers: dict[str, str], body: bytes | None
) -> object:
    """The answer's JSON.

    Raises:
        ToolFailed: no answer, or none that can be used; never with any of the service's own words.
    """
    try:
        async with http.request(
            config.method,
            URL(url, encoded=True),
            headers={"Accept": "application/json", **headers},
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=config.timeout_s + 1),
        ) as response:
            if not 200 <= response.status < 300:
                raise ToolFailed(f"status {response.status}")
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > ANSWER_BYTES:
                    raise ToolFailed("the answer is too large")
    except (aiohttp.ClientError, OSError):
        raise ToolFailed("the service cannot be reached") from None
    if not content.strip():
        return {"ok": True}
    try:
        return msgspec.json.decode(bytes(content))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ToolFailed("the answer is not JSON") from None


def _mapped(answer: object, response: Mapping[str, str]) -> object:
    """The result: the fields that `response` picks by JSON Pointer (RFC 6901), or all of the answer."""
    if not response:
        return answer if isinstance(answer, dict) else {"result": answer}
    return {field: _at(answer, pointer) for field, pointer in response.items()}


def _at(value: object, pointer: str) -> object:
    """What a JSON Pointer leads to; None if nothing is there."""
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and re.fullmatch("0|[1-9][0-9]{0,8}", step) and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value
