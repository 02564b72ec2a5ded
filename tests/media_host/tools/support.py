"""A ToolBox over a real service on loopback, and the host and the ears that tools meet."""

import contextlib
import json

import aiohttp
import msgspec
from aiohttp import web

from media_host.agents.base import ToolCall
from media_host.tools import ToolBox
from shared.config.document import Config
from shared.security.secrets import Secrets
from tests.support.serving import serving

KEY = "k3y-of-the-crm-service"


class Service:
    """Answers every request alike and keeps what it was sent."""

    def __init__(self):
        self.base = ""
        self.requests = []
        self.answer = {"ok": 1}
        self.raw = None
        self.status = 200
        self.headers = {}
        self.wait = None
        self.cancelled = 0

    async def handle(self, request):
        self.requests.append(
            (request.method, request.raw_path, dict(request.headers), (await request.read()).decode())
        )
        if self.wait is not None:
            await self.wait.wait()
        body = self.raw if self.raw is not None else json.dumps(self.answer).encode()
        return web.Response(status=self.status, body=body, headers=self.headers)

    @property
    def paths(self):
        return [path for _, path, _, _ in self.requests]


class Actions:
    """The host's side of built-in tools: notes what was asked."""

    def __init__(self):
        self.done = []

    def __getattr__(self, name):
        async def act(*arguments):
            self.done.append((name, *arguments))
            return {"status": "done"}

        return act


class Ears:
    """What was said to the caller."""

    def __init__(self):
        self.heard = []

    async def say(self, text):
        self.heard.append(text)


def config_of(tools=(), /, **agent):
    tools = dict(tools)
    agent = {"kind": "embedded", "dialogue": "d.yaml", "tools": list(tools), **agent}
    return msgspec.convert({"agents": {"desk": agent}, "routes": [], "tools": tools}, Config)


class Desk:
    """One agent's tools, and short ways to use them."""

    def __init__(self, box, tools, secrets):
        self.box, self.tools, self.secrets = box, tools, secrets
        self.actions, self.ears = Actions(), Ears()

    async def run(self, name, secure=(), /, **arguments):
        call = ToolCall("call-1", name, arguments)
        return await self.tools.run(call, self.actions, say=self.ears.say, secure=dict(secure))


@contextlib.asynccontextmanager
async def desk(tools=(), /, *, environment=None, **agent):
    config = config_of(tools, **agent)
    secrets = Secrets(environment=environment if environment is not None else {"CRM_KEY": KEY})
    async with aiohttp.ClientSession() as http:
        box = ToolBox.from_config(config, secrets, http)
        try:
            yield Desk(box, box.for_agent(config.agents["desk"]), secrets)
        finally:
            await box.close()
            await secrets.close()


@contextlib.asynccontextmanager
async def service():
    """A service on loopback."""
    it = Service()
    async with serving(it.handle) as base:
        it.base = base
        yield it


def http_tool(url, properties=("id",), required=None, **fields):
    return {
        "kind": "http",
        "description": "d",
        "url": url,
        "parameters": {
            "type": "object",
            "properties": {name: {} for name in properties},
            "required": list(properties if required is None else required),
        },
        **fields,
    }


def python_tool(entry_point, **fields):
    return {"kind": "python", "description": "d", "entry_point": entry_point, **fields}
