import asyncio

import pytest

from media_host import earlier
from media_host.agents.base import Said
from media_host.earlier import LINES, earlier_lines
from shared.calls.events import CallEvent, EventKind
from shared.calls.record import CallRecord
from shared.calls.repository import Calls
from shared.errors import StoreUnavailable
from shared.store.sqlite import SqliteStore


@pytest.fixture
async def calls(tmp_path):
    store = SqliteStore(tmp_path / "store.db")
    yield Calls(store, lambda: 1000.0)
    await store.close()


async def talk(calls, call_id, *texts):
    for number, text in enumerate(texts):
        kind = EventKind.AGENT_SAID if number % 2 == 0 else EventKind.CALLER_SAID
        await calls.append("t", call_id, CallEvent(f"e{number}", kind, 100.0 + number, {"text": text}))


async def test_what_was_said_comes_oldest_first_and_is_marked(calls):
    await talk(calls, "c1", "hello", "my order")
    await talk(calls, "c2", "hello again", "", "what else")
    lines = await earlier_lines(calls, CallRecord(previous_calls=("c1", "c2")))
    assert lines == [
        Said("agent", "hello", earlier=True),
        Said("caller", "my order", earlier=True),
        Said("agent", "hello again", earlier=True),
        Said("agent", "what else", earlier=True),
    ]


async def test_only_the_newest_lines_are_read(calls, monkeypatch):
    await talk(calls, "c1", "long ago")
    await talk(calls, "c2", *(f"line {n}" for n in range(LINES + 5)))
    read = []
    monkeypatch.setattr(
        calls, "events", lambda call_id, events=calls.events: read.append(call_id) or events(call_id)
    )
    lines = await earlier_lines(calls, CallRecord(previous_calls=("c1", "c2")))
    assert [line.text for line in lines] == [f"line {n}" for n in range(5, LINES + 5)]
    assert read == ["c2"]


class Away:
    """A store that is away for one call, and slow for another."""

    def __init__(self, calls) -> None:
        self.calls = calls

    async def events(self, call_id):
        if call_id == "away":
            raise StoreUnavailable("the store is away")
        if call_id == "slow":
            await asyncio.sleep(60)
        return await self.calls.events(call_id)


@pytest.mark.parametrize("trouble", ["away", "slow"])
async def test_a_store_that_is_away_costs_the_memory_and_not_the_call(calls, trouble, monkeypatch, caplog):
    monkeypatch.setattr(earlier, "WITHIN_S", 0.05)
    await talk(calls, "c1", "hello")
    lines = await earlier_lines(Away(calls), CallRecord(previous_calls=(trouble, "c1")))
    assert [line.text for line in lines] == ["hello"]
    assert "not all that was said" in caplog.text
