"""What all calls of a process share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from media_host.agents.base import Codec, VoiceAgent
from media_host.ledger import PATH_DELAY_MS
from media_host.notices import Notices
from media_host.playout import Ticker, clock_ms
from media_host.post_call import PostCallHooks
from media_host.recorder import Recorder
from media_host.tools import ToolBox
from shared.calls.control import CallControl
from shared.calls.moving import Moves
from shared.calls.repository import Calls
from shared.config.agents import AgentConfig
from shared.config.document import Config

AGENT_START_S = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What all calls of a process share.

    Attributes:
        host_id: this process.
        config: patchcord.yaml.
        calls: the store.
        control: ACS.
        moves: of callers to another media host; None moves nobody.
        own_controls: ACS of the tenants that have a resource of their own.
        make_agent: a fresh agent of a configuration.
        make_recorder: a recorder for (call id, format), or None when nothing is recorded.
        tools: what agents may call.
        post_call: what is done with the records of calls that are over.
        notices: what the host says itself.
        ticker: playout's clock.
        now: Unix seconds.
        clock_ms: milliseconds that never go back: what playout, ledger and durations are measured by.
        max_call_s: a call is ended after this long (s).
        path_delay_ms: see `ledger.Ledger`.
        agent_start_s: how long an agent may take to start (s), each of those that take over too: the caller hears
            nothing until then.
    """

    host_id: str
    config: Config
    calls: Calls
    control: CallControl
    make_agent: Callable[[AgentConfig], VoiceAgent]
    make_recorder: Callable[[str, Codec], Recorder | None]
    tools: ToolBox
    post_call: PostCallHooks
    notices: Notices
    ticker: Ticker
    now: Callable[[], float]
    max_call_s: float
    path_delay_ms: float = PATH_DELAY_MS
    agent_start_s: float = AGENT_START_S
    clock_ms: Callable[[], float] = clock_ms
    moves: Moves | None = None
    own_controls: Mapping[str, CallControl] = field(default_factory=dict)

    def of(self, tenant: str) -> Self:
        """The same for a tenant's calls: with its own ACS resource, if it has one."""
        control = self.own_controls.get(tenant)
        return self if control is None else replace(self, control=control)
