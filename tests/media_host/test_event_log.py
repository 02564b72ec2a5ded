import asyncio

import pytest

from media_host import event_log
from media_host.event_log import EventLog
from shared.calls.events import EventKind
from shared.errors import InvalidInput, StoreUnavailable


class Book:
    def __init__(self) -> None:
        self.events, self.errors, self.hold = [], [], None

    async def append(self, event) -> None:
        if self.hold:
            await self.hold.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.events.append(event)


@pytest.fixture
def book():
    return Book()


@pytest.fixture
async def log(book, monkeypatch):
    monkeypatch.setattr(event_log, "RETRY_S", (0.0, 0.01))
    log = EventLog(book.append, lambda: 5.0, "host-1")
    log.start()
    yield log
    await log.close(1)


async def test_events_are_written_in_order_with_ids_of_their_own(book, log):
    log.note(EventKind.KEYS, count=1)
    log.note(EventKind.OUTCOME, id="outcome", at=4.0, reason="x")
    assert await log.flush(1)
    assert [(event.id, event.kind, event.at, dict(event.data)) for event in book.events] == [
        ("host-1-1", EventKind.KEYS, 5.0, {"count": 1}),
        ("outcome", EventKind.OUTCOME, 4.0, {"reason": "x"}),
    ]


async def test_a_store_that_is_away_is_asked_again(book, log):
    book.errors = [StoreUnavailable("away")] * 3
    log.note(EventKind.KEYS, count=1)
    assert await log.flush(1)
    assert len(book.events) == 1 and log.dropped == 0


@pytest.mark.parametrize("error", [InvalidInput("x", "y"), ZeroDivisionError()])
async def test_what_can_never_be_written_is_counted_and_does_not_stop_the_rest(book, log, error):
    book.errors = [error]
    log.note(EventKind.KEYS, count=1)
    log.note(EventKind.KEYS, count=2)
    assert await log.flush(1)
    assert [event.data["count"] for event in book.events] == [2]
    assert log.dropped == 1


async def test_the_queue_is_bounded_and_the_end_too(book, monkeypatch):
    book.hold = asyncio.Event()
    log = EventLog(book.append, lambda: 5.0, "host-1")
    for _ in range(event_log.BOUND + 7):
        log.note(EventKind.KEYS, count=1)
    log.start()
    assert log.dropped == 7
    assert not await log.flush(0.01)
    await log.close(0.01)
    assert log.dropped >= event_log.BOUND


async def test_a_log_that_never_started_closes():
    await EventLog(Book().append, lambda: 5.0, "x").close(1)


async def test_a_message_may_be_an_agents_own_words_and_is_masked(book, log):
    log.note(EventKind.FAULT, code="refused", message="card 4111 1111 1111 1111 was refused (code 1011)")
    assert await log.flush(1)
    assert book.events[0].data["message"] == "card [16 digits] was refused (code 1011)"
