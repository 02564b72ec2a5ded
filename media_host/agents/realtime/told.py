"""What a model is told that nobody says to it in the call: what was said before, and what has happened to the line."""

from media_host.agents import prompting
from media_host.agents.base import AgentHost, AgentStart
from media_host.agents.realtime.client import ModelClient
from media_host.agents.realtime.speaking import Speaking

HISTORY_LINES = 20
"""Lines of the conversation that a new session is told."""

RESUMED = (
    "The line was interrupted for a moment. Say so in one short sentence, and ask the caller to go on. "
    "Do not greet again."
)
EARLIER_CALLS = "What follows was said in earlier calls of this conversation."
NEW_CALL = (
    "End of the earlier calls. This is a new call of the same caller, who may refer to what was said in them, and need not "
    "say it again."
)
GO_ON = "The connection was interrupted while you spoke. Go on where you stopped, and do not greet again."
REPEAT = (
    "The connection was interrupted, and what the caller said last was lost. Apologise in one short sentence, and ask "
    "the caller to repeat it."
)


def replay(
    client: ModelClient, start: AgentStart, host: AgentHost, speaking: Speaking, *, history: bool
) -> list[bytes]:
    """Frames for a session that begins now; `history`: and does not know what was said."""
    frames = []
    if data := prompting.data_item(start.task, start.variables):
        frames.append(client.note_frame(data))
    if history:
        frames += _history(client, host)
        # What is on its way to the caller's ear is not in the history yet.
        frames += [client.said_frame("agent", turn.said) for turn in speaking.unheard if turn.said]
    return frames


def _history(client: ModelClient, host: AgentHost) -> list[bytes]:
    lines = host.history()[-HISTORY_LINES:]
    frames = [client.said_frame(line.who, line.text) for line in lines]
    if earlier := sum(line.earlier for line in lines):
        frames.insert(earlier, client.note_frame(NEW_CALL))
        frames.insert(0, client.note_frame(EARLIER_CALLS))
    return frames
