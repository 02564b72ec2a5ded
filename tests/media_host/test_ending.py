"""The last steps of a call whose caller is, or was, with a person."""

import asyncio

import pytest

from media_host.ending import End, EndKind
from shared.calls.events import EventKind
from tests.support.media_world import NOTICE, open_media_world


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch) as world:
        yield world


async def joined(world):
    """A call in which a person has taken over; its id, line and session."""
    call_id, line, _ = await world.talk()
    outcome = {"transferType": "AGENT", "reason": "asked_for_human"}
    await world.event(call_id, "t", EventKind.TRANSFER, target="d", mode="warm", attempt="h", outcome=outcome)
    await world.event(call_id, "h", EventKind.HANDOVER, attempt="h", phase="joined")
    session = world.host.server.sessions[call_id]
    session._actions.joined = True
    return call_id, line, session


@pytest.mark.parametrize("kind", [EndKind.LIMIT, EndKind.DRAIN, EndKind.FAULT])
async def test_two_people_who_talk_are_not_cut_off_by_our_troubles(world, kind):
    call_id, line, session = await joined(world)
    session.end(End(kind, "trouble"))
    await line.gone()
    record = await world.ended(call_id)
    assert len(world.acs.of("leave")) == 1 and world.acs.of("terminate") == []
    assert line.heard == b""
    assert (record.ended.reason, record.outcome["transferType"]) == ("trouble", "AGENT")


@pytest.mark.parametrize(
    ("reason", "ended"), [("person_left", "person_left"), ("caller_left", "caller_hung_up")]
)
async def test_who_is_left_over_is_not_left_with_a_listener(world, reason, ended):
    call_id, line, session = await joined(world)
    session.end(End(EndKind.PERSON, reason))
    async with asyncio.timeout(10):
        await line.gone()
    record = await world.ended(call_id)
    assert len(world.acs.of("terminate")) == 1 and world.acs.of("leave") == []
    assert line.heard == (NOTICE * 4800 if reason == "person_left" else b"")
    assert (record.ended.reason, record.outcome["transferType"]) == (ended, "AGENT")
