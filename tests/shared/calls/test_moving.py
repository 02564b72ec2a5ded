from dataclasses import replace

import pytest

from shared.calls.events import EventKind
from shared.calls.moving import KEPT_S, VALID_S
from shared.wire.acs_events import grid_event_from_dict
from tests.shared.calls.test_recovery import asked
from tests.shared.calls.test_recovery_ways import IDENTITY, RECOVERY
from tests.support.call_world import CONFIG, open_world

K = EventKind
OWN = """
  initech: {acs: {endpoint: "https://own.communication.azure.com", resource_id: own, key: "env:NONE"}}
"""


@pytest.fixture
async def world(tmp_path, monkeypatch):
    (tmp_path / "own.yaml").write_text(CONFIG.replace("  globex: {}\n", "  globex: {}" + OWN) + RECOVERY)
    async with open_world(tmp_path, monkeypatch, PATCHCORD_CONFIG=str(tmp_path / "own.yaml")) as opened:
        yield opened


@pytest.fixture
def moves(world):
    return world.app.answering.moves


def to_identity(world, context, correlation="corr-2", event_id="ev-2"):
    """The event of a caller who has been transferred to our identity."""
    event = world.incoming(correlation=correlation, event_id=event_id, customContext={"voipHeaders": context})
    event["data"]["to"] = {
        "kind": "communicationUser",
        "rawId": IDENTITY,
        "communicationUser": {"id": IDENTITY},
    }
    return event


async def others(world, record, tenant="default"):
    return [
        await world.calls.get(tenant, one.call_id)
        for one in await world.calls.list(tenant)
        if one.call_id != record.call_id
    ]


async def talks(world, **voip):
    await world.host("host-a")
    event = world.incoming(customContext={"voipHeaders": {"account": "00123", **voip}})
    await world.app.incoming_call(event, "req-1")
    [short] = [one for one in await world.calls.list("default") if one.correlation_id == "corr-1"]
    data = {"hostId": "host-a", "callConnectionId": "cc-1"}
    record = await world.again(short)
    await world.event(record, "media-1", K.MEDIA_CONNECTED, 0.5, **data)
    return await world.again(record)


async def leaves(world, record):
    """As whoever moves a call records it, before ACS is asked."""
    await world.event(record, "t", K.TRANSFER, 1, mode="move", attempt="a", target="media host", outcome={})


async def test_the_new_call_knows_what_the_old_one_knew(world, moves):
    record = await talks(world, externalConversationId="conversation-1")
    context = await moves.prepare(record)
    assert context["externalConversationId"] == "conversation-1"
    await leaves(world, record)
    world.acs.connection_id = "cc-2"
    # What its context says besides is nobody's word.
    await world.app.incoming_call(
        to_identity(world, {**context, "account": "999", "returnTo": "8:acs:r_x"}), "r"
    )
    [new] = await others(world, record)
    shown, before = new.to_json(), record.to_json()
    for name in "agent task route tenant from to inputVariables externalConversationId returnTo".split():
        assert shown[name] == before[name], name
    assert (shown["state"], shown["movedFrom"], shown["previousCalls"]) == (
        "answered",
        record.call_id,
        [record.call_id],
    )
    assert new.moves == 1
    assert asked(world) == []  # answered, like the first one, and nothing else
    assert len(world.acs.of("answer")) == 2


async def test_without_a_conversation_of_the_clients_the_calls_are_joined_all_the_same(world, moves):
    record = await talks(world)
    context = await moves.prepare(record)
    assert set(context) == {"patchcordMove"}
    await world.app.incoming_call(to_identity(world, context), "r")
    [new] = await others(world, record)
    assert (new.previous_calls, new.conversation_id) == ([record.call_id], "")


async def test_a_moved_call_needs_no_place_of_its_own(world, moves):
    """The old leg still counts for a moment: at the tenant's limit a move must get through, a new call must not."""
    await world.host("host-a")
    for number in range(2):
        world.clock.at += 0.01
        await world.app.incoming_call(world.incoming(correlation=f"x{number}", event_id=f"x{number}"), "r")
    world.clock.at += 0.01
    record = await talks(world)
    world.clock.at += 0.01
    await world.app.incoming_call(to_identity(world, await moves.prepare(record)), "r")
    world.clock.at += 0.01
    await world.app.incoming_call(world.incoming(correlation="late", event_id="late"), "r")
    states = {one.correlation_id: one.state for one in await world.calls.list("default")}
    assert (states["corr-2"], states["late"]) == ("answered", "rejected")


async def test_without_a_host_it_is_refused_at_once(world, moves):
    record = await talks(world)
    context = await moves.prepare(record)
    await world.host("host-a", draining=True)
    await world.app.incoming_call(to_identity(world, context), "r")
    [new] = await others(world, record)
    assert (new.state, new.ended.reason) == ("rejected", "no_media_host")
    assert asked(world) == ["reject"]


async def test_a_name_serves_one_call_soon(world, moves):
    record = await talks(world)
    context = await moves.prepare(record)
    name = context["patchcordMove"]
    assert await moves.claim(name, callee=IDENTITY, call_key="k1") is not None
    assert await moves.claim(name, callee=IDENTITY, call_key="k1") is not None, "its event may come twice"
    assert await moves.claim(name, callee=IDENTITY, call_key="k2") is None
    late = (await moves.prepare(record))["patchcordMove"]
    world.clock.at += VALID_S + 1
    assert await moves.claim(late, callee=IDENTITY, call_key="k3") is None


@pytest.mark.parametrize("name", ["", "short", "a" * 65, "a/b" * 8, "ü" * 20, "x" * 22])
async def test_names_that_nobody_gave_are_nothing(world, moves, name):
    assert await moves.claim(name, callee=IDENTITY, call_key="k") is None
    await world.host("host-a")
    await world.app.incoming_call(to_identity(world, {"patchcordMove": name}), "r")
    assert await world.calls.list("default") == []
    assert len(await world.store.query("poison", "events")) == 1


async def test_only_calls_to_our_identity_are_moves(world, moves):
    record = await talks(world)
    context = await moves.prepare(record)
    event = world.incoming(correlation="corr-2", event_id="ev-2", customContext={"voipHeaders": context})
    await world.app.incoming_call(event, "r")
    [new] = await others(world, record)
    assert (new.moved_from, new.input_variables) == ("", {})


async def test_another_tenants_events_cannot_take_a_move(world, moves):
    record = await talks(world)
    context = await moves.prepare(record)
    event = grid_event_from_dict(to_identity(world, context))
    assert await world.app.answering.incoming(event, tenant="globex", request_id="r") == "no_route"
    event = grid_event_from_dict(to_identity(world, context))
    assert await world.app.answering.incoming(event, tenant="default", request_id="r") == "answered"


async def test_two_that_claim_at_once(world, moves, monkeypatch):
    record = await talks(world)
    name = (await moves.prepare(record))["patchcordMove"]
    store, before = world.store._store, world.store._store.replace

    async def faster(table, entity):
        monkeypatch.setattr(store, "replace", before)
        assert await moves.claim(name, callee=IDENTITY, call_key="other") is not None
        return await before(table, entity)

    monkeypatch.setattr(store, "replace", faster)
    assert await moves.claim(name, callee=IDENTITY, call_key="mine") is None


async def test_a_call_whose_agent_is_gone_from_the_file_cannot_go_on(world, moves):
    record = await talks(world)
    name = (await moves.prepare(record))["patchcordMove"]
    world.app.config.agents.pop("reception")
    assert await moves.claim(name, callee=IDENTITY, call_key="k") is None


async def test_who_may_be_moved(world, moves):
    record = await talks(world)
    assert moves.may_move(record)
    for other in (
        {"transfer_id": "t"},
        {"handed_over": True},
        {"participants": ("a", "b", "c")},
        {"tenant": "initech"},
        {"moves": 3},
    ):
        assert not moves.may_move(replace(record, **other)), other


async def test_old_names_are_forgotten_by_the_sweep(world, moves):
    record = await talks(world)
    await moves.prepare(record)
    world.clock.at += KEPT_S - 1
    await moves.prepare(record)
    world.clock.at += 2
    done = await world.app.sweeper.sweep()
    assert done["moves_forgotten"] == 1
    assert len(await world.store.query("moves", "move")) == 1
