"""What the parts of a session know that act at its end, or hand its caller over."""

from dataclasses import KW_ONLY, dataclass

from media_host.event_log import EventLog
from media_host.handover_attempt import HandoverVoice
from media_host.services import Services
from shared.calls.record import CallRecord
from shared.config.agents import AgentConfig


@dataclass(eq=False)
class CallPart:
    """Belongs to one call.

    Attributes:
        services: what calls share.
        record: the call as it stood when the line connected.
        config: of its agent.
        connection_id: ACS's id of the call.
        log: the call's events.
        voice: the session's.
    """

    services: Services
    record: CallRecord
    config: AgentConfig
    connection_id: str
    _: KW_ONLY
    log: EventLog
    voice: HandoverVoice
