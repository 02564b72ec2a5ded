"""Where the caller's audio goes: to the agent, to the recording, and to whoever else must listen.

The usual case stays the shortest way there is: one frame of base64 text, one call, straight to the agent.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from media_host.agents.base import Codec
from media_host.audio import silence_like
from media_host.lines.base import Line
from media_host.recorder import Recorder

log = logging.getLogger(__name__)

EARLY_FRAMES = 100
"""Frames of the line (2 s) kept until there is an agent to hear them."""

type Listener = Callable[[bytes], None]


class CallerAudio:
    """One call's.

    Args:
        line: the telephone side.
        codec: its format.
        recorder: of this call, or None.
        began_ms: the session's start on `clock`.
        clock: milliseconds that never go back.
    """

    def __init__(
        self,
        line: Line,
        codec: Codec,
        recorder: Recorder | None,
        began_ms: float,
        clock: Callable[[], float],
    ) -> None:
        self.codec = codec
        self._line = line
        self._recorder = recorder
        self._began_ms = began_ms
        self._clock = clock
        self._early: list[bytes] = []
        self._agent: Listener | None = None
        self._deaf: set[str] = set()
        self._secret = False
        self._others: list[Listener] = []
        self._route()

    def to_agent(self, send: Listener) -> None:
        """From now on the agent hears, first what came before it was there."""
        early, self._early = self._early, []
        self._agent = send
        self._route()
        if not self.deaf:
            for data in early:
                send(data)

    def deafen(self, why: str) -> None:
        """The agent hears no more, until this reason is gone; the recording does."""
        self._deaf.add(why)
        self._route()

    def undeafen(self, why: str) -> None:
        """That reason is gone."""
        self._deaf.discard(why)
        self._route()

    @property
    def deaf(self) -> bool:
        """Whether the agent hears nothing."""
        return bool(self._deaf) or self._secret

    def keep_secret(self, secret: bool) -> None:
        """While it is so, nobody hears the caller and the recording holds silence: a key's tone tells the key."""
        self._secret = secret
        self._route()

    def add(self, listener: Listener) -> None:
        """`listener` gets every frame that is not secret, from now on."""
        self._others.append(listener)
        self._route()

    @contextmanager
    def overheard(self, listener: Listener) -> Iterator[None]:
        """`listener` gets every frame that is not secret, for a while."""
        self.add(listener)
        try:
            yield
        finally:
            self._others.remove(listener)
            self._route()

    def _route(self) -> None:
        """Put the listeners of now together into one function for the line."""
        listeners: list[Listener] = []
        if self._recorder is not None:
            listeners.append(self._record_silence if self._secret else self._record)
        if not self._secret:
            listeners += self._others
            if self._agent is None and not self._deaf:
                listeners.append(self._keep_early)
            elif self._agent is not None and not self._deaf:
                listeners.append(self._agent)
        self._line.on_audio = _all(listeners)

    def _keep_early(self, data: bytes) -> None:
        if len(self._early) < EARLY_FRAMES:
            self._early.append(data)

    def _record(self, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.caller(self._clock() - self._began_ms, data)

    def _record_silence(self, data: bytes) -> None:
        self._record(silence_like(data, self.codec))


def _all(listeners: list[Listener]) -> Listener:
    match listeners:
        case []:
            return _nobody
        case [one]:
            return one
        case [first, second]:

            def both(data: bytes) -> None:
                first(data)
                second(data)

            return both

    def everyone(data: bytes) -> None:
        for listener in listeners:
            listener(data)

    return everyone


def _nobody(_data: bytes) -> None:
    """The caller speaks, and nobody is to hear it."""
