"""A story that many may follow, from its start."""

import asyncio

import pytest

from emulator.phone.story import Story


async def test_early_and_late_readers_see_the_same() -> None:
    story = Story()

    async def follow() -> list[str]:
        return [event["kind"] async for event in story.read()]

    early = asyncio.create_task(follow())
    await asyncio.sleep(0)
    story.tell("dialled")
    story.tell("ended")
    story.close()
    assert await early == await follow() == ["dialled", "ended"]


async def test_times_grow_and_details_are_kept() -> None:
    story = Story()
    first, second = story.tell("keys", count=3), story.tell("ended")
    assert first["count"] == 3
    assert 0 <= first["t"] <= second["t"]


async def test_nothing_is_told_after_the_end() -> None:
    story = Story()
    story.close()
    story.tell("late")
    assert story.events == []


async def test_waiting_for_a_kind() -> None:
    story = Story()
    waiting = asyncio.create_task(story.first("answered"))
    await asyncio.sleep(0)
    story.tell("ringing")
    story.tell("answered", ms=5)
    assert (await waiting)["ms"] == 5


async def test_a_kind_that_never_comes() -> None:
    story = Story()
    story.tell("dialled")
    story.close()
    with pytest.raises(LookupError, match="answered"):
        await story.first("answered")
