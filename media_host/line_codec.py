"""In which format a session runs: known from the configuration alone, before any agent is made.

On a line in PCM16 that is what the agent's `audio` says. On a mu-law line (Twilio) it is mu-law, untouched both ways, if the
agent and all that may take over for it speak it; otherwise the line converts, and the session runs as on the other lines.
"""

from collections.abc import Mapping

from media_host.agents.base import Codec
from media_host.audio import ACS_CODECS
from shared.config.agents import AgentConfig, WebSocketAgentConfig
from shared.config.realtime import RealtimeAgentConfig


def takes_ulaw(agent: AgentConfig) -> bool:
    """Whether this agent takes and gives mu-law by itself."""
    match agent:
        case RealtimeAgentConfig():
            from media_host.agents.realtime.session_setup import codecs_of  # only where there are such models

            return Codec.ULAW_8K in codecs_of(agent)
        case WebSocketAgentConfig():
            return agent.mulaw  # the protocol knows it, the agent behind it perhaps not
        case _:
            return False  # its recogniser needs PCM16


def pcm_codec(agent: AgentConfig) -> Codec:
    """The format of a session on a line in PCM16 (ACS)."""
    return ACS_CODECS[agent.audio]


def ulaw_line_codec(agent: AgentConfig, agents: Mapping[str, AgentConfig]) -> Codec:
    """The format of a session on a mu-law line (Twilio).

    Args:
        agent: who answers.
        agents: all, by name: those that `agent.fallback` names must take the format too.
    """
    chain = [agent, *(agents[name] for name in agent.fallback)]
    return Codec.ULAW_8K if all(takes_ulaw(one) for one in chain) else pcm_codec(agent)
