"""Who said what. Of the agent's words only those count that the caller heard; they are recorded when that is known."""

import bisect
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from media_host.agents.base import Heard, Said, SpokenWord, Transcript
from media_host.event_log import EventLog
from media_host.redaction import redacted
from shared.calls.events import EventKind

KEPT_TURNS = 64
KEPT_LINES = 200
MAX_CHARS = 10_000
"""Of one line."""


@dataclass(slots=True)
class _Turn:
    at: float
    text: str = ""
    words: list[SpokenWord] = field(default_factory=list)
    heard: Heard | None = None
    interrupted: bool = False


class TranscriptLog:
    """One call's.

    Args:
        log: takes the events.
        now: Unix seconds.
        redact: long numbers are masked in what is recorded; the agent's memory (`history`) keeps what was said.
        earlier: what was said over another connection of this call; it is in the record already.
    """

    def __init__(
        self,
        log: EventLog,
        now: Callable[[], float],
        *,
        redact: bool = True,
        earlier: Sequence[Said] = (),
    ) -> None:
        self._log = log
        self._now = now
        self._redact = redact
        self._turns: OrderedDict[str, _Turn] = OrderedDict()
        self._settled: deque[str] = deque(maxlen=KEPT_TURNS)
        self._lines = [(0.0, said) for said in earlier[-KEPT_LINES:]]  # Unix seconds
        self._speech_at: float | None = None

    def recall(self, lines: Sequence[Said]) -> None:
        """What was said in earlier calls comes first in the agent's memory; it is in their records."""
        self._lines[:0] = [(0.0, said) for said in lines]
        del self._lines[:-KEPT_LINES]

    def caller_speaks(self, ago_ms: float = 0.0) -> None:
        """The caller began to speak `ago_ms` ago: there the next words of the caller belong, however late they are known."""
        self._speech_at = self._now() - ago_ms / 1000

    def began(self, turn: str, in_ms: float) -> None:
        """The first audio of `turn` has come; it will be heard in `in_ms`."""
        self._settle_over()
        if turn in self._settled:  # an agent that uses a name again
            self._settled.remove(turn)
        self._turn(turn).at = self._now() + in_ms / 1000

    def said(self, words: Transcript) -> None:
        """A text from the agent; its own words may come before, with or after their audio, after a flush, and in parts."""
        if words.who == "caller":
            self._caller_said(words.text.strip()[:MAX_CHARS])
            return
        if words.turn in self._settled:
            return
        turn = self._turn(words.turn)
        turn.text = f"{turn.text} {words.text.strip()}".strip()[:MAX_CHARS]
        turn.words.extend(words.words[: MAX_CHARS - len(turn.words)])

    def heard(self, item: Heard, *, interrupted: bool) -> None:
        """`item.turn` is over."""
        if item.turn in self._settled:
            return
        turn = self._turn(item.turn)
        turn.heard, turn.interrupted = item, interrupted
        if not interrupted or item.heard_ms <= 0:
            self._settle(item.turn, turn)  # else the rest of its words may be on the way

    def history(self) -> Sequence[Said]:
        """What was said and heard so far, oldest first: the last `KEPT_LINES` lines."""
        self._settle_over()
        return tuple(said for _, said in self._lines)

    def close(self) -> None:
        """Record what is left; what was never known to be heard was not heard."""
        for name, turn in list(self._turns.items()):
            if turn.heard is None:
                turn.heard, turn.interrupted = Heard(name, 0, 0), True
            self._settle(name, turn)

    def _caller_said(self, text: str) -> None:
        at, self._speech_at = self._speech_at, None
        if not text:
            return
        self._settle_over()
        at = self._now() if at is None else at
        self._keep(at, Said("caller", text))
        self._log.note(EventKind.CALLER_SAID, at=at, text=self._recorded(text))

    def _turn(self, name: str) -> _Turn:
        turn = self._turns.get(name)
        if turn is None:
            turn = self._turns[name] = _Turn(self._now())
            if len(self._turns) > KEPT_TURNS:
                self._turns.popitem(last=False)
        return turn

    def _settle_over(self) -> None:
        """The conversation goes on: no more words are to be expected of turns that are over."""
        for name, turn in list(self._turns.items()):
            self._settle(name, turn)

    def _settle(self, name: str, turn: _Turn) -> None:
        """Record a turn once it is known what was said and how much of it was heard."""
        if turn.heard is None or not turn.text:
            return
        at = min(turn.at, self._now())  # what was flushed before its turn has no later time than that
        text = heard_text(turn.text, turn.words, turn.heard) if turn.interrupted else turn.text
        if text:
            self._keep(at, Said("agent", text))
        self._log.note(
            EventKind.AGENT_SAID,
            at=at,
            text=self._recorded(text),
            heardMs=turn.heard.heard_ms,
            madeMs=turn.heard.made_ms,
            interrupted=turn.interrupted,
        )
        del self._turns[name]
        self._settled.append(name)

    def _keep(self, at: float, said: Said) -> None:
        bisect.insort(self._lines, (at, said), key=lambda line: line[0])
        del self._lines[:-KEPT_LINES]

    def _recorded(self, text: str) -> str:
        return redacted(text) if self._redact else text


def heard_text(text: str, words: Sequence[SpokenWord], heard: Heard) -> str:
    """The words of `text` that were heard: by their times if they are known, else in proportion, whole words only.

    A word counts when half of it was heard. The proportion is of characters: speech is nearly even.
    """
    if heard.heard_ms >= heard.made_ms > 0:
        return text
    if heard.heard_ms <= 0:
        return ""
    if words:
        return _cut_by_time(text, words, heard.heard_ms)
    end = len(text) * heard.heard_ms // heard.made_ms
    cut = text[:end]
    inside = not any(map(str.isspace, text[end - 1 : end + 1]))
    if cut and inside and any(map(str.isspace, text)):  # Japanese has no blanks to cut at
        cut = cut[: -len(cut.split()[-1])]
    return cut.rstrip()


def _cut_by_time(text: str, words: Sequence[SpokenWord], heard_ms: int) -> str:
    spoken = [word.text for word in words if word.at_ms + word.ms / 2 <= heard_ms and word.text]
    end = 0
    for word in spoken:
        at = text.find(word, end)
        if at < 0:  # the times are of another spelling: "4711" is "four seven one one"
            return " ".join(spoken)
        end = at + len(word)
    while spoken and end < len(text) and not (text[end].isspace() or text[end].isalnum()):
        end += 1  # the full stop belongs to the word
    return text[:end]
