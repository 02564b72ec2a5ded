import pytest

from shared.errors import ConfigurationError, StoreUnavailable


async def poison(world):
    return [row.values for row in await world.store.query("poison", "events")]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"id": "x", "eventType": "Microsoft.Communication.IncomingCall"},
        {"id": None, "eventType": 7},
    ],
)
async def test_a_malformed_event_is_put_aside_and_done(world, event):
    assert await world.app.incoming_call(event, "r") is None
    [row] = await poison(world)
    assert row["reason"] == "malformed"
    assert world.acs.requests == []


async def test_a_call_without_a_context_is_put_aside(world):
    await world.host()
    await world.app.incoming_call(world.incoming(incomingCallContext=""), "r")
    [row] = await poison(world)
    assert "data.incomingCallContext" in row["detail"]
    assert world.acs.requests == []


async def test_a_mistake_of_ours_is_put_aside_and_done(world, monkeypatch, caplog):
    async def broken(*_, **__):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(type(world.app.answering), "incoming", broken)
    await world.app.incoming_call(world.incoming(), "r")
    [row] = await poison(world)
    assert (row["reason"], row["detail"]) == ("internal", "ZeroDivisionError")


async def test_a_lasting_fault_is_put_aside_by_its_code(world, monkeypatch):
    async def refuse(*_, **__):
        raise ConfigurationError("X", "y")

    monkeypatch.setattr(type(world.app.answering), "incoming", refuse)
    await world.app.incoming_call(world.incoming(), "r")
    assert [row["reason"] for row in await poison(world)] == ["500-02"]


async def test_the_same_bad_event_is_put_aside_once(world):
    for _ in range(3):
        await world.app.incoming_call({"id": "x"}, "r")
    assert len(await poison(world)) == 1


async def test_if_it_cannot_even_be_put_aside_it_is_delivered_again(world):
    world.fail_store(1, "poison")
    with pytest.raises(StoreUnavailable):
        await world.app.incoming_call({"id": "x"}, "r")


async def test_a_passing_fault_is_raised_so_that_the_event_is_delivered_again(world, monkeypatch):
    async def away(*_, **__):
        raise StoreUnavailable("away")

    monkeypatch.setattr(type(world.app.answering), "incoming", away)
    with pytest.raises(StoreUnavailable):
        await world.app.incoming_call(world.incoming(), "r")
    assert await poison(world) == []
