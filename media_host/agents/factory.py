"""Makes voice agents as `patchcord.yaml` declares them, each with those that take over when it fails.

An implementation is imported when an agent of its kind is made: a host without realtime models never loads theirs.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from media_host.agents.base import VoiceAgent
from media_host.agents.fallback import FallbackAgent, Link
from media_host.audio import ACS_CODECS
from shared.config.agents import AgentConfig, EmbeddedAgentConfig, WebSocketAgentConfig
from shared.config.document import Config
from shared.errors import AgentUnavailable, ConfigurationError

if TYPE_CHECKING:
    from media_host.agents.realtime.access import ModelAccess
    from media_host.speech import Speech
    from media_host.tools import ToolBox
    from shared.security.secrets import Secrets

log = logging.getLogger(__name__)


class AgentFactory:
    """One per process.

    Args:
        config: patchcord.yaml.
        folder: where it is; a dialogue's path is relative to it.
        speech: the process's speech engines, started; None when they could not be.
        secrets: where keys come from.
        access: how the process is let in to realtime models.
        tools: what agents may call.
        start_s: how long one agent may take to start (s).
    """

    def __init__(
        self,
        config: Config,
        *,
        folder: Path,
        speech: "Speech | None",
        secrets: "Secrets",
        access: "ModelAccess",
        tools: "ToolBox",
        start_s: float = 2.5,
    ) -> None:
        self._config = config
        self._folder = folder
        self._speech = speech
        self._secrets = secrets
        self._access = access
        self._tools = tools
        self._start_s = start_s
        self._names = {id(agent): name for name, agent in config.agents.items()}

    def make(self, agent: AgentConfig) -> VoiceAgent:
        """A fresh agent for one call, with its successors if it has any.

        Raises:
            ConfigurationError: the configuration cannot work.
            AgentUnavailable: it needs speech engines, there are none, and nobody takes over.
        """
        if not agent.fallback:
            return self._make(agent)
        chain = [agent, *(self._config.agents[name] for name in agent.fallback)]
        return FallbackAgent([self._link(one) for one in chain], attempt_s=self._start_s)

    def check(self) -> None:
        """Make every agent once, so that a mistake shows at start and not in a call.

        Raises:
            ConfigurationError: an agent cannot work, or cannot take over a call in the format of the one before.
        """
        codecs = {}
        for name, agent in self._config.agents.items():
            try:
                codecs[name] = self._make(agent).capabilities.codecs
            except AgentUnavailable as error:
                log.error("agent %s will not answer: %s", name, error)
            if isinstance(agent, EmbeddedAgentConfig):
                self._check_dialogue(name, agent)
        for name, agent in self._config.agents.items():
            wanted = ACS_CODECS[agent.audio]
            for index, other in enumerate([name, *agent.fallback]):
                if other in codecs and wanted not in codecs[other]:
                    place = f"agents.{name}.fallback[{index - 1}]" if index else f"agents.{name}.audio"
                    raise ConfigurationError(place, f"an agent that takes {agent.audio}", other)

    def _check_dialogue(self, name: str, agent: EmbeddedAgentConfig) -> None:
        """A tool that a dialogue calls and its agent has not would only show as the dialogue's `failed:` in a call."""
        from media_host.agents.embedded.dialogue import load_dialogue

        known = {spec.name for spec in self._tools.for_agent(agent).specs}
        states = load_dialogue(self._folder / agent.dialogue).states.values()
        if missing := {state.tool.name for state in states if state.tool} - known:
            log.error(
                "agent %s: its dialogue calls %s, not among its tools", name, ", ".join(sorted(missing))
            )

    def _link(self, agent: AgentConfig) -> Link:
        return Link(self._names.get(id(agent), "agent"), lambda: self._make(agent))

    def _make(self, agent: AgentConfig) -> VoiceAgent:
        if isinstance(agent, EmbeddedAgentConfig):
            from media_host.agents.embedded import create as create_embedded

            if self._speech is None:
                raise AgentUnavailable("no speech synthesiser on this host")
            return create_embedded(self._folder / agent.dialogue, self._speech)
        if isinstance(agent, WebSocketAgentConfig):
            from media_host.agents.websocket import WebSocketAgent

            # a little sooner than whoever waits for it: then the reason is known
            return WebSocketAgent(agent, self._secrets, start_s=0.9 * self._start_s)
        from media_host.agents.realtime import create as create_realtime

        return create_realtime(agent, self._access, mcp=self._tools.for_agent(agent).mcp)
