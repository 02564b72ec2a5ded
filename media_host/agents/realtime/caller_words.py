"""The caller's words in the order in which they were said: transcripts come when they are ready (realtime.md 10). No I/O."""

from collections import OrderedDict

_WAITING = "\0"


class CallerWords:
    """Each method returns the texts that can be told now, in order; empty ones are left out."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, str] = OrderedDict()

    @property
    def waiting(self) -> bool:
        """Whether words are still to come."""
        return bool(self._items)

    def committed(self, item: str, previous: str) -> None:
        """The caller said something; its words follow."""
        if item in self._items:
            return
        self._items[item] = _WAITING
        names = list(self._items)
        if previous in self._items and names[-2] != previous:  # it belongs further up
            for name in names[names.index(previous) + 1 : -1]:
                self._items.move_to_end(name)

    def words(self, item: str, text: str) -> list[str]:
        """An item's words; "" if they could not be had."""
        if item not in self._items:
            return [text] if text else []  # never announced, or given up: late is better than not at all
        if not text and self._items[item] is not _WAITING:
            return []  # Voice Live says so again, without the words
        self._items[item] = text
        return self._ready()

    def give_up(self) -> list[str]:
        """The words that the others wait for do not come."""
        for item, text in self._items.items():
            if text is _WAITING:
                del self._items[item]
                break
        return self._ready()

    def lost(self) -> list[str]:
        """The session is gone: no more words come."""
        texts = [text for text in self._items.values() if text is not _WAITING and text]
        self._items.clear()
        return texts

    def _ready(self) -> list[str]:
        ready = []
        while self._items:
            item, text = next(iter(self._items.items()))
            if text is _WAITING:
                break
            del self._items[item]
            if text:
                ready.append(text)
        return ready
