"""Link "agents": can a session with each agent's model be opened and closed?"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.identity import MODEL
from media_host.agents.base import AgentEvent, AgentStart, Codec, Heard, Said
from media_host.audio import ACS_CODECS
from shared.config.agents import AgentConfig, EmbeddedAgentConfig, WebSocketAgentConfig
from shared.config.realtime import RealtimeAgentConfig
from shared.errors import ConfigurationError, PatchcordError

OPEN_S = 10.0
FREE = "opened, configured and closed: no audio, no answer asked for, so nothing was billed"


class _Nobody:
    """An `AgentHost` that listens to nothing."""

    quiet = True

    def audio(self, turn: str, data: bytes) -> None:
        """Not heard."""

    def event(self, event: AgentEvent) -> None:
        """Not looked at."""

    def interrupt(self) -> Sequence[Heard]:
        """Nothing was said."""
        return ()

    def history(self) -> Sequence[Said]:
        """Nothing was said."""
        return ()


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Each agent of patchcord.yaml in turn."""
    if exam.config is None:
        yield unknown("agents", "patchcord.yaml is wrong or not known")
        return
    for name, agent in exam.config.agents.items():
        if isinstance(agent, EmbeddedAgentConfig):
            yield unknown(
                name, "embedded: it has no model; its speech engines are started with the media host"
            )
        elif isinstance(agent, RealtimeAgentConfig) and agent.auth == "entra" and MODEL in exam.no_token:
            yield unknown(name, "no token for the model, see identity")
        elif exam.hides(getattr(agent, "key", "")):
            yield unknown(name, "its key is a secret of the deployment, which only the media host reads")
        else:
            yield await _session(exam, name, agent)


async def _session(exam: Examination, name: str, agent: AgentConfig) -> Finding:
    began = time.monotonic()
    try:
        async with asyncio.timeout(OPEN_S):
            if isinstance(agent, RealtimeAgentConfig):
                said = await _realtime(exam, agent)
            elif isinstance(agent, WebSocketAgentConfig):
                said = await _own(exam, agent)
    except TimeoutError:
        return broken(
            name, f"it did not answer within {OPEN_S:g} s", f"correct agents.{name} of patchcord.yaml"
        )
    except ConfigurationError as error:
        variable = error.setting.removeprefix("env:")
        mend = exam.subject.mend(variable) if variable != error.setting else f"correct agents.{name}.key"
        return broken(name, str(error), mend)
    except PatchcordError as error:
        return broken(name, str(error), _mend(exam, name, agent, str(error)))
    return ok(name, f"{said} ({(time.monotonic() - began) * 1000:.0f} ms)")


async def _realtime(exam: Examination, agent: RealtimeAgentConfig) -> str:
    """A session as a call has it, without the first words.

    Raises:
        PatchcordError: there is none to be had.
    """
    from media_host.agents import prompting
    from media_host.agents.realtime.access import ModelAccess
    from media_host.agents.realtime.dialect import dialect_of
    from media_host.agents.realtime.endpoints import address, resource
    from media_host.agents.realtime.session import ModelSession
    from media_host.agents.realtime.session_setup import session_of

    codec = ACS_CODECS[agent.audio]
    identity = exam.known_settings.managed_identity if exam.known_settings else ""
    access = ModelAccess(exam.secrets, identity, exam.now)
    session = ModelSession(dialect_of(agent), codec, manual=False, on_end=lambda *_: None, now=exam.now)
    wanted = session_of(
        agent,
        instructions=prompting.instructions(agent.instructions, {}),
        tools=(),
        mcp=(),
        codec=codec,
        manual_turns=False,
    )
    try:
        await session.open(address(agent), await access.headers(agent), wanted)
        differs = f"; it did not take: {', '.join(session.differs)}" if session.differs else ""
    finally:
        await session.close()
        await access.close()
    return (
        f"{agent.service}, {agent.model or 'a Foundry agent'} at {resource(address(agent))}: {FREE}{differs}"
    )


async def _own(exam: Examination, agent: WebSocketAgentConfig) -> str:
    from media_host.agents.websocket import WebSocketAgent

    one = WebSocketAgent(agent, exam.secrets, start_s=OPEN_S)
    codec: Codec = ACS_CODECS[agent.audio]
    try:
        await one.start(AgentStart(f"doctor-{uuid4().hex}", codec, resumed=True), _Nobody())
    finally:
        await one.close()
    return "ready for a call that was ended at once; what that costs, its operator knows"


def _mend(exam: Examination, name: str, agent: AgentConfig, error: str) -> str:
    """By the status that the refusal names."""
    status = next(iter(re.findall(r"\((\d{3})\b", error)), "")
    reference = getattr(agent, "key", "")
    if status in ("401", "403"):
        variable = reference.removeprefix("env:")
        where = (
            exam.subject.mend(variable)
            if variable != reference
            else f"the secret at {reference or 'agents.' + name + '.key'}"
        )
        return f"the key of the resource: {where}; with auth: entra the role Cognitive Services User"
    if status == "404":
        return f"agents.{name}.endpoint and .model of patchcord.yaml: az cognitiveservices account deployment list"
    if status == "429":
        return "wait a minute, or ask for more quota of new sessions"
    field = "url" if isinstance(agent, WebSocketAgentConfig) else "endpoint"
    return f"start it, or correct agents.{name}.{field} of patchcord.yaml"
