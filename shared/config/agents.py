"""Voice agents, as `patchcord.yaml` declares them: one structure for each kind."""

import re
from collections.abc import Collection, Iterator, Mapping

from shared.config.agent import Agent, ConversationalAgent, PostCall, PostCallHttp, PostCallPython
from shared.config.checks import NAME, SECRET, SECRET_EXPECTED, Mistake
from shared.config.realtime import RealtimeAgentConfig, realtime_mistakes
from shared.config.tools import WEB_EXPECTED, McpServer, ToolConfig, is_web
from shared.config.transfers import transfer_mistakes


class EmbeddedAgentConfig(Agent, tag="embedded", frozen=True, kw_only=True):
    """The scripted demo agent. `dialogue`: its YAML file, relative to patchcord.yaml."""

    dialogue: str


class WebSocketAgentConfig(ConversationalAgent, tag="websocket", frozen=True, kw_only=True):
    """An agent of your own, behind the protocol `voice-agent.v1`.

    Attributes:
        url: its WebSocket address; wss, ws only on loopback.
        key: reference to the bearer token that it gets; "" sends none.
        mulaw: it takes `ulaw/8000`, too: then calls on a mu-law line (Twilio) are not converted to what `audio` says.
    """

    url: str
    key: str = ""
    mulaw: bool = False


type AgentConfig = EmbeddedAgentConfig | RealtimeAgentConfig | WebSocketAgentConfig


def agent_mistakes(
    place: str, name: str, agent: AgentConfig, agents: Collection[str], tools: Mapping[str, ToolConfig]
) -> Iterator[Mistake]:
    """What is wrong with one agent, given the names of all agents and the declared tools."""
    if not NAME.fullmatch(name):
        yield Mistake(place, "a name of small letters, digits, - and _", name)
    for target, transfer in agent.transfers.items():
        yield from transfer_mistakes(f"{place}.transfers.{target}", transfer)
    for key, target in agent.keys.items():
        if not re.fullmatch(r"[0-9*#]", key):
            yield Mistake(f"{place}.keys", "single keys 0-9, * and #, in quotes", key)
        if target not in agent.transfers:
            yield Mistake(f"{place}.keys.{key}", "a name under this agent's transfers", target)
    for index, other in enumerate(agent.fallback):
        if other == name or other not in agents:
            yield Mistake(f"{place}.fallback[{index}]", "the name of another agent", other)
    for index, tool in enumerate(agent.tools):
        if tool not in tools:
            yield Mistake(f"{place}.tools[{index}]", "a name under tools", tool)
    for digits, wanted in agent.secure_digits.items():
        if not NAME.fullmatch(digits):
            yield Mistake(f"{place}.secure_digits", "names of small letters, digits, - and _", digits)
        if not 1 <= wanted.min_digits <= wanted.max_digits <= 64:
            yield Mistake(
                f"{place}.secure_digits.{digits}",
                "1 <= min_digits <= max_digits <= 64",
                f"{wanted.min_digits}",
            )
        if not 0 < wanted.timeout_s <= 120:
            yield Mistake(
                f"{place}.secure_digits.{digits}.timeout_s",
                "seconds, above 0 and at most 120",
                f"{wanted.timeout_s:g}",
            )
    if agent.outputs and agent.outputs.get("type") != "object":
        yield Mistake(
            f"{place}.outputs", "a JSON Schema of type object", str(agent.outputs.get("type", "no type"))
        )
    yield from _post_call_mistakes(f"{place}.post_call", agent.post_call)
    yield from _kind_mistakes(place, agent, tools)


def _kind_mistakes(place: str, agent: AgentConfig, tools: Mapping[str, ToolConfig]) -> Iterator[Mistake]:
    match agent:
        case EmbeddedAgentConfig():
            if not agent.dialogue:
                yield Mistake(f"{place}.dialogue", "the dialogue's YAML file")
        case RealtimeAgentConfig():
            yield from realtime_mistakes(place, agent)
        case _:
            if not is_websocket(agent.url):
                yield Mistake(f"{place}.url", "a wss:// address (ws:// only on loopback)", agent.url)
            if agent.key and not SECRET.fullmatch(agent.key):
                yield Mistake(f"{place}.key", SECRET_EXPECTED)
    if not isinstance(agent, EmbeddedAgentConfig):
        if not 0 <= agent.silence.after_s <= 300:
            yield Mistake(f"{place}.silence.after_s", "seconds from 0 to 300", f"{agent.silence.after_s:g}")
        if not 0 <= agent.silence.prompts <= 10:
            yield Mistake(f"{place}.silence.prompts", "a number from 0 to 10", str(agent.silence.prompts))
    if isinstance(agent, RealtimeAgentConfig):
        return
    for index, name in enumerate(agent.tools):
        if isinstance(tools.get(name), McpServer):
            yield Mistake(f"{place}.tools[{index}]", "no MCP server: only realtime models can use one", name)


def _post_call_mistakes(place: str, hook: PostCall | None) -> Iterator[Mistake]:
    match hook:
        case PostCallHttp():
            if not is_web(hook.url):
                yield Mistake(f"{place}.url", WEB_EXPECTED, hook.url)
            if hook.secret and not SECRET.fullmatch(hook.secret):
                yield Mistake(f"{place}.secret", SECRET_EXPECTED)
        case PostCallPython():
            if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", hook.entry_point):
                yield Mistake(f"{place}.entry_point", "package.module:function", hook.entry_point)


def is_websocket(url: str) -> bool:
    """Whether `url` is a wss address, or ws on loopback, without user, query or fragment."""
    return bool(
        re.fullmatch(
            r"wss://[^/@\s?#]+(/[^@\s?#]*)?|ws://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/[^@\s?#]*)?", url
        )
    )
