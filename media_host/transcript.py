"""Who said what, and how much of it was heard: the agent's words are recorded when it is known what became of them."""

from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from media_host.agents.base import Heard, Said, Transcript
from media_host.event_log import EventLog
from shared.calls.events import EventKind

KEPT_TURNS = 64
KEPT_LINES = 200


@dataclass(slots=True)
class _Turn:
    at: float
    text: str = ""
    heard: Heard | None = None
    interrupted: bool = False


class TranscriptLog:
    """One call's.

    Args:
        log: takes the events.
        now: Unix seconds.
    """

    def __init__(self, log: EventLog, now: Callable[[], float]) -> None:
        self._log = log
        self._now = now
        self._turns: OrderedDict[str, _Turn] = OrderedDict()
        self._said: deque[Said] = deque(maxlen=KEPT_LINES)

    def began(self, turn: str, in_ms: float) -> None:
        """The first audio of `turn` has come; it will be heard in `in_ms`."""
        self._turn(turn).at = self._now() + in_ms / 1000

    def said(self, words: Transcript) -> None:
        """A text from the agent; its own words may come before, with or after their audio, in parts too."""
        if words.who == "caller":
            if words.text.strip():
                self._said.append(Said("caller", words.text))
                self._log.note(EventKind.CALLER_SAID, text=words.text)
            return
        turn = self._turn(words.turn)
        turn.text = f"{turn.text} {words.text}".strip()
        self._settle(words.turn, turn)

    def heard(self, item: Heard, *, interrupted: bool) -> None:
        """`item.turn` is over."""
        turn = self._turn(item.turn)
        turn.heard, turn.interrupted = item, interrupted
        self._settle(item.turn, turn)

    def history(self) -> Sequence[Said]:
        """What was said and heard so far, oldest first."""
        return tuple(self._said)

    def close(self) -> None:
        """Record what was said and never heard to its end."""
        for name, turn in list(self._turns.items()):
            if turn.text and turn.heard is None:
                turn.heard, turn.interrupted = Heard(name, 0, 0), True
                self._settle(name, turn)

    def _turn(self, name: str) -> _Turn:
        turn = self._turns.get(name)
        if turn is None:
            turn = self._turns[name] = _Turn(self._now())
            if len(self._turns) > KEPT_TURNS:
                self._turns.popitem(last=False)
        return turn

    def _settle(self, name: str, turn: _Turn) -> None:
        if turn.heard is None or not turn.text:
            return
        self._said.append(Said("agent", turn.text))
        self._log.note(
            EventKind.AGENT_SAID,
            at=min(turn.at, self._now()),  # what was flushed before its turn has no later time than that
            text=turn.text,
            heardMs=turn.heard.heard_ms,
            madeMs=turn.heard.made_ms,
            interrupted=turn.interrupted,
        )
        del self._turns[name]
