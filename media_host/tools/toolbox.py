"""All tools of a process, and those of one agent; a call of a tool gets exactly one result, whatever happens."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import msgspec

from media_host.agents.base import ToolCall, ToolSpec
from media_host.http_session import without_cookies
from media_host.tools.builtin import BuiltIn, HostActions, built_in_tools
from media_host.tools.http_tool import http_tool
from media_host.tools.outputs import Outputs
from media_host.tools.python_tool import python_tool
from media_host.tools.tool import Tool, ToolFailed, WrongArguments
from shared.config.agent import Agent
from shared.config.document import Config
from shared.config.tools import HttpTool, McpServer, PythonTool, ToolConfig
from shared.errors import ConfigurationError, PatchcordError
from shared.security.secrets import Secrets

if TYPE_CHECKING:
    from media_host.agents.realtime.session_setup import McpTool

log = logging.getLogger(__name__)

MAX_RESULT = 16_384
"""A result's length as JSON (bytes): the model has to read all of it before it speaks."""

MANY = 15
"""With more tools than this a model takes noticeably longer to its first word (realtime.md section 8)."""

STOP_S = 0.5
"""How long a tool that is cancelled may take to stop, before it is left to itself (s)."""

SAY_S = 1.0
"""How long a result waits for the words "one moment" to be on their way (s)."""

type Say = Callable[[str], Awaitable[None]]


class ToolBox:
    """The tools of all agents; made by `from_config`, one for a process."""

    def __init__(self, config: Config, secrets: Secrets, http: aiohttp.ClientSession) -> None:
        self._config = config
        self._secrets = secrets
        self._http = without_cookies(http)
        self._agents: list[tuple[Agent, bool, AgentTools]] = []

    @classmethod
    def from_config(cls, config: Config, secrets: Secrets, http: aiohttp.ClientSession) -> Self:
        """Prepare the tools of all agents: schemas compiled, functions imported. Needs a running loop.

        Args:
            config: patchcord.yaml.
            secrets: where the tools' secrets come from.
            http: whose connections are used; it must stay open as long as this.

        Raises:
            ConfigurationError: a tool or an agent's use of it is wrong; the place is named.
        """
        box = cls(config, secrets, http)
        try:
            box._prepare()
        except ConfigurationError:
            box._http.detach()  # nobody gets the box, so nobody would close it
            raise
        return box

    def _prepare(self) -> None:
        tools = {
            name: self._tool(name, tool)
            for name, tool in self._config.tools.items()
            if not isinstance(tool, McpServer)
        }
        for name, agent in self._config.agents.items():
            for returns in (False, True):
                own = self._agent_tools(f"agents.{name}", agent, tools, returns=returns)
                self._agents.append((agent, returns, own))

    def for_agent(self, agent: Agent, *, returns: bool = False) -> "AgentTools":
        """The tools of one of the configuration's agents; `returns`: in a call whose caller can be given back.

        Raises:
            KeyError: it is none of them.
        """
        for known, back, tools in self._agents:
            if known is agent and back is returns:
                return tools
        raise KeyError("an agent of another configuration")

    async def check(self) -> None:
        """Read every secret once, so that what is missing is in the log at start and not first in a call."""

        async def read(name: str, reference: str) -> None:
            try:
                await self._secrets.get(reference)
            except PatchcordError as error:
                log.error("tool %s will not work: %s", name, error)

        tools = self._config.tools.items()
        await asyncio.gather(*(read(name, one) for name, tool in tools for one in _secrets_of(tool)))

    async def close(self) -> None:
        """Give back what is its own; `http` stays open. Idempotent."""
        await self._http.close()

    def _tool(self, name: str, config: HttpTool | PythonTool) -> Tool:
        spec = ToolSpec(name, config.description, config.parameters, config.while_running)
        place = f"tools.{name}"
        if isinstance(config, HttpTool):
            return http_tool(spec, config, place, self._http, self._secrets)
        return python_tool(spec, config, place)

    def _agent_tools(
        self, place: str, agent: Agent, tools: Mapping[str, Tool], *, returns: bool
    ) -> "AgentTools":
        outputs = Outputs(agent.outputs, f"{place}.outputs")
        built_in = built_in_tools(agent, outputs, place, returns=returns)
        chosen = {name: tools[name] for name in agent.tools if name in tools}
        for name, tool in chosen.items():
            for digits in sorted(tool.secure - set(agent.secure_digits)):
                expected = f"the digits {digits} that the tool {name} uses"
                raise ConfigurationError(f"{place}.secure_digits", expected)
        if not returns and len(chosen) + len(built_in) > MANY:
            log.warning(
                "%s has %d tools: a model answers faster with %d or fewer",
                place,
                len(chosen) + len(built_in),
                MANY,
            )
        servers = {
            name: server for name in agent.tools if isinstance(server := self._config.tools[name], McpServer)
        }
        return AgentTools(chosen, built_in, outputs, servers, self._secrets)


class AgentTools:
    """The tools of one agent; holds nothing of any call.

    Attributes:
        specs: what the agent is told.
        outputs: the agent's outcome variables.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        built_in: Mapping[str, BuiltIn],
        outputs: Outputs,
        servers: Mapping[str, McpServer],
        secrets: Secrets,
    ) -> None:
        self.specs = (*(tool.spec for tool in tools.values()), *(tool.spec for tool in built_in.values()))
        self.outputs = outputs
        self._tools = tools
        self._built_in = built_in
        self._servers = servers
        self._secrets = secrets

    async def mcp(self) -> Sequence["McpTool"]:
        """The MCP servers, each with its secret; one whose secret cannot be read is left out."""
        from media_host.agents.realtime.session_setup import McpTool

        found = []
        for name, server in self._servers.items():
            try:
                secret = await self._secrets.get(server.authorization) if server.authorization else ""
            except PatchcordError as error:
                log.error("MCP server %s is left out: %s", name, error)
                continue
            found.append(
                McpTool(name, server.server_url, secret, tuple(server.allowed_tools), server.approval)
            )
        return found

    async def run(
        self, call: ToolCall, actions: HostActions, *, say: Say, secure: Mapping[str, str]
    ) -> Mapping[str, object]:
        """Run a tool; never raises for what the tool or the agent did wrong.

        Args:
            call: what the agent wants.
            actions: the host, for built-in tools.
            say: speaks a text to the caller, used when a tool is slow; returns when the words are on their way.
            secure: secure digits of this call, by name.

        Returns:
            The result; `error` in it says that something failed. A tool that is not done in time is cancelled, what it
            would have said is dropped, and the result is `{"status": "still_running", "error": …}`: nobody can know
            whether it has had its effect.
        """
        try:
            return _bounded(await self._run(call, actions, say, secure))
        except ToolFailed as failure:
            log.warning("tool %s: not done", self._name(call))  # the reason may hold the author's own words
            return {"error": failure.reason}
        except Exception as error:  # a tool is the operator's code: whatever it does, the call goes on
            log.error("tool %s failed: %s", self._name(call), type(error).__name__)
            return {"error": "failed"}

    def _name(self, call: ToolCall) -> str:
        """For logs: an agent may make up any name."""
        return call.name if call.name in self._tools or call.name in self._built_in else "(unknown)"

    async def _run(self, call: ToolCall, actions: HostActions, say: Say, secure: Mapping[str, str]) -> object:
        tool: BuiltIn | Tool | None = self._built_in.get(call.name) or self._tools.get(call.name)
        if tool is None:
            raise ToolFailed("unknown tool")
        if mistakes := tool.schema.mistakes(call.arguments):
            raise WrongArguments(mistakes)
        if isinstance(tool, BuiltIn):
            return await tool.act(actions, call.arguments)  # the host bounds what it does itself
        own = {name: secure[name] for name in tool.secure if name in secure}
        return await _timed(tool, tool.run(call.arguments, own), say)


async def _timed(tool: Tool, work: Coroutine[Any, Any, object], say: Say) -> object:
    """The result of `work`, in time; says so once when it is slow."""
    name = tool.spec.name
    began = asyncio.get_running_loop().time()
    working = asyncio.create_task(work, name=f"tool {name}")
    saying: asyncio.Task[None] | None = None
    try:
        if tool.saying and tool.saying_after_s < tool.timeout_s:
            await asyncio.wait({working}, timeout=tool.saying_after_s)
            if not working.done():
                saying = asyncio.create_task(_say(say, tool.saying), name=f"tool {name} says")
        left = tool.timeout_s - (asyncio.get_running_loop().time() - began)
        await asyncio.wait({working}, timeout=max(0.0, left))
        if not working.done():
            log.warning("tool %s: no result within %g s", name, tool.timeout_s)
            return {"status": "still_running", "error": f"no result within {tool.timeout_s:g} s"}
        if working.cancelled():  # by itself: nobody else may take that for our own end
            raise ToolFailed("failed")
        return working.result()
    finally:
        await _stop(working, STOP_S, name)
        if saying is not None:
            await asyncio.wait({saying}, timeout=SAY_S)
            await _stop(saying, STOP_S, name)


async def _say(say: Say, text: str) -> None:
    try:
        await say(text)
    except Exception:  # an agent that cannot speak now must not cost the tool its result
        log.exception("the words for a slow tool could not be said")


async def _stop(task: asyncio.Task[Any], within_s: float, name: str) -> None:
    """Cancel `task`; one that will not stop is left to itself, its end looked at by nobody."""
    if task.done():
        return
    task.cancel()
    task.add_done_callback(
        lambda ended: ended.cancelled() or ended.exception()
    )  # looked at, or asyncio reports it
    await asyncio.wait({task}, timeout=within_s)
    if not task.done():
        log.error("tool %s does not stop when it is cancelled", name)


def _secrets_of(tool: ToolConfig) -> list[str]:
    match tool:
        case HttpTool(auth=auth) if auth is not None:
            return [auth.secret]
        case McpServer(authorization=authorization) if authorization:
            return [authorization]
        case _:
            return []


def _bounded(result: object) -> Mapping[str, object]:
    """The result as plain JSON values.

    Raises:
        ToolFailed: it is no object, cannot be JSON, or is too long.
    """
    try:
        text = msgspec.json.encode(result)
        plain = msgspec.json.decode(text)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        raise ToolFailed("the result is no JSON object") from None
    if not isinstance(plain, dict):
        raise ToolFailed("the result is no JSON object")
    if len(text) > MAX_RESULT:
        raise ToolFailed(f"the result is too large: more than {MAX_RESULT} bytes")
    return plain
