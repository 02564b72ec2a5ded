"""The items of a session's conversation, in order."""

from dataclasses import dataclass, field
from typing import Any

from emulator.realtime.errors import ClientError

type Json = dict[str, Any]


def new_item(body: Json) -> "Item":
    """An item; those about MCP servers are no `realtime.item`s (by openai's types)."""
    return Item(body if body["type"].startswith("mcp_") else {"object": "realtime.item", **body})


@dataclass(slots=True)
class Item:
    """One item.

    Attributes:
        body: as the service tells it.
        audio_ms: how much of it has been spoken so far (ms).
        cut: `client` or `server` once it was truncated.
        before: id of the item before it, when it was added.
    """

    body: Json
    audio_ms: float = 0.0
    cut: str = ""
    before: str | None = None

    @property
    def id(self) -> str:
        """Its id."""
        id: str = self.body["id"]
        return id


@dataclass(slots=True)
class Conversation:
    """`items` by id, in order; `news` are those since the last response."""

    items: dict[str, Item] = field(default_factory=dict)
    news: list[Item] = field(default_factory=list)

    def add(self, item: Item, after: str | None = None) -> str | None:
        """Put an item at the end, or after another (`root`: at the beginning); returns the id before it.

        Raises:
            ClientError: there is no item to stand after, or the id is taken.
        """
        if item.id in self.items:
            raise ClientError("invalid_value", f"Item with item_id '{item.id}' already exists.", "item.id")
        if after is None:
            before = next(reversed(self.items), None)
            self.items[item.id] = item
            return before
        ids = list(self.items)
        if after != "root" and after not in self.items:
            raise ClientError("invalid_value", f"No item with id '{after}'.", "previous_item_id")
        place = 0 if after == "root" else ids.index(after) + 1
        order = list(self.items.items())
        self.items = dict([*order[:place], (item.id, item), *order[place:]])
        return None if after == "root" else after

    def find(self, item_id: str) -> Item:
        """The item of that id.

        Raises:
            ClientError: there is none.
        """
        found = self.items.get(item_id)
        if found is None:
            raise ClientError("invalid_value", f"Item with item_id not found: {item_id}", "item_id")
        return found

    def truncate(self, item_id: str, content_index: int, end_ms: int) -> None:
        """Leave of an assistant's message what was heard; its text goes with the rest.

        Raises:
            ClientError: it is none, is shorter, or was cut by the service before.
        """
        item = self.find(item_id)
        if item.cut == "server":
            raise ClientError("item_already_truncated", f"Item '{item_id}' has already been truncated.")
        if item.body.get("role") != "assistant" or not item.audio_ms:
            text = "Only model output audio messages can be truncated"
            raise ClientError("unsupported_content_type", text, "item_id")
        if content_index != 0:
            raise ClientError("invalid_value", "Content index is out of range.", "content_index")
        if end_ms < 0 or end_ms > item.audio_ms:
            text = f"Audio content of {int(item.audio_ms)}ms is already shorter than {end_ms}ms"
            raise ClientError("invalid_value", text, "audio_end_ms")
        self.cut(item, end_ms, "client")

    def cut(self, item: Item, end_ms: float, by: str) -> None:
        """Take the end of an item's audio and its text away."""
        item.audio_ms, item.cut = end_ms, by
        item.body = {**item.body, "content": [{**part, "transcript": ""} for part in item.body["content"]]}

    def delete(self, item_id: str) -> None:
        """Take an item out.

        Raises:
            ClientError: there is none.
        """
        item = self.find(item_id)
        del self.items[item_id]
        self.news = [other for other in self.news if other is not item]

    def calls(self, call_id: str) -> bool:
        """Whether a function call with this id is there."""
        return any(item.body.get("call_id") == call_id for item in self.items.values())
