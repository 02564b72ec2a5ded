"""What the model must forget because the caller did not hear it (realtime.md section 6)."""

from collections.abc import Sequence

from media_host.agents.base import Heard
from media_host.agents.realtime.client import ModelClient
from media_host.agents.realtime.speaking import Speaking

GUARD_MS = 100
"""What ends this close to a turn's end is not truncated: the model's count may be a little below ours (pipecat#2106)."""


class Interruptions:
    """One call's.

    Args:
        client: the model.
        speaking: what it says.
    """

    def __init__(self, client: ModelClient, speaking: Speaking) -> None:
        self._client = client
        self._speaking = speaking
        self._cuts: dict[str, dict[str, int | None]] = {}  # response -> item -> heard ms, None: all of it

    def cut(self, heard: Sequence[Heard], active: str) -> None:
        """The host has flushed; `active` is the response that is being made, which is stopped with that.

        Items of it are cut when it is done: until then the model may still be adding to them.
        """
        for part in heard:
            turn = self._speaking.flushed(part)
            if turn is None or turn.session != self._speaking.session:
                continue
            self._speaking.drop(turn.response)
            whole = part.heard_ms > 0 and part.heard_ms >= part.made_ms - GUARD_MS
            self._cuts.setdefault(turn.response, {})[turn.item] = None if whole else max(0, part.heard_ms)
            if turn.response != active:
                self.done(turn.response)
        if active:
            self.cancel(active)

    def cancel(self, response: str) -> None:
        """Stop a response; what still comes of it is not heard."""
        self._speaking.drop(response)
        self._client.cancel(response)

    def done(self, response: str) -> None:
        """Nothing is added to this response any more: cut the model's memory of it."""
        cuts = self._cuts.pop(response, {})
        for item in self._speaking.ignored(response):
            cuts.setdefault(item, 0)
        for item, heard_ms in cuts.items():
            if heard_ms is not None:
                self._client.cut(item, heard_ms)

    def lost(self) -> None:
        """The session is gone, with its memory."""
        self._cuts.clear()
