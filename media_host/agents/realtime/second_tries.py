"""Responses that nothing was heard of: one that failed is asked for again, one that was written is asked for aloud; once."""

from collections.abc import Callable

from media_host.agents.realtime.errors import error_class
from media_host.agents.realtime.reports import Reports
from media_host.agents.realtime.responses import ANSWER, Ask
from media_host.agents.realtime.server_events import ResponseDone
from media_host.agents.realtime.speaking import Speaking
from media_host.agents.realtime.timers import Timers
from media_host.agents.realtime.waiting import Waiting

RETRY_S = (0.2, 5.0)
"""A response that failed is asked for again after the time that the model names, within these bounds (s)."""


class SecondTries:
    """Of one call.

    Args:
        reports: told of failures.
        speaking: knows whether the agent has ever spoken.
        waiting: whether the caller waits in silence.
        timers: the call's.
        ask: asks the model for a response.
        quiet: whether the caller hears nothing now.

    Attributes:
        reset_s: when the model says that it has capacity again (s from now).
    """

    def __init__(
        self,
        reports: Reports,
        speaking: Speaking,
        waiting: Waiting,
        timers: Timers,
        *,
        ask: Callable[[Ask], None],
        quiet: Callable[[], bool],
    ) -> None:
        self.reset_s = 0.0
        self._reports = reports
        self._speaking = speaking
        self._waiting = waiting
        self._timers = timers
        self._ask = ask
        self._quiet = quiet
        self._texts: dict[str, str] = {}  # response -> what it wrote instead of speaking
        self._text_spoken = False
        self._failed_before = False

    def wrote(self, response: str, text: str) -> None:
        """A response wrote instead of speaking."""
        self._texts[response] = text.strip()

    def done(self, event: ResponseDone, ask: Ask | None, *, silent: bool) -> bool:
        """A response is done; whether something had to be done about it.

        Args:
            event: the model's.
            ask: what it was asked for with; None if the model began it by itself.
            silent: it said nothing and called no tool.
        """
        text = self._texts.pop(event.response_id, "")
        if event.status == "failed" or (event.status == "incomplete" and silent):
            self._failed(event.error_code or event.reason or "response_failed", ask)
            return True
        if event.status == "completed" and silent:
            self._silent(text)
            return True
        return False

    def voice(self) -> None:
        """The agent speaks: what comes may be tried again."""
        self._failed_before = self._text_spoken = False

    def lost(self) -> None:
        """The session is gone."""
        self._texts.clear()

    def _failed(self, code: str, ask: Ask | None) -> None:
        fatal = error_class(code) == "fatal" or not self._speaking.spoken or self._failed_before
        self._reports.fault(code, "a response failed", fatal=fatal)
        if not fatal:
            self._failed_before = True
            delay = min(max(self.reset_s, RETRY_S[0]), RETRY_S[1])
            self._timers.start("retry", delay, lambda: self._ask(ask or ANSWER))
            if self._quiet():
                self._waiting.begin()

    def _silent(self, text: str) -> None:
        """It is complete and nothing was said: a model may forget to speak and write instead; once we ask for the audio."""
        if text and not self._text_spoken:
            self._text_spoken = True
            self._ask(Ask("answer", text))
        else:
            self._waiting.over()
