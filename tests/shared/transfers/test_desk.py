from dataclasses import replace as replaced

from shared.config.call_transfers import CallTransferConfig
from shared.transfers.desk import TransferDesk
from shared.transfers.numbers import NumberPool
from shared.wire.acs_events import grid_event_from_dict, parse_incoming_call

NUMBER = "+18005550100"


async def call(world, number=NUMBER):
    return parse_incoming_call(grid_event_from_dict(world.incoming(number)))


async def test_no_tenant_lends_us_callers(world):
    desk = TransferDesk({}, NumberPool(world.store, world.clock), {})
    assert await desk.match(await call(world), None) is None


async def test_a_number_outside_the_pool(world):
    desk = TransferDesk({"acme": CallTransferConfig(agent="a")}, NumberPool(world.store, world.clock), {})
    assert await desk.match(await call(world), None) is None


async def test_the_number_of_a_tenant_that_is_configured_no_more(world):
    pool = NumberPool(world.store, world.clock)
    await pool.add(NUMBER, "US")
    await pool.assign("US", "left", "t1", 60)
    desk = TransferDesk({"acme": CallTransferConfig(agent="a")}, pool, {})
    assert await desk.match(await call(world), None) is None


async def test_whose_it_is(world):
    pool = NumberPool(world.store, world.clock)
    await pool.add(NUMBER, "US")
    await pool.assign("US", "acme", "t1", 60)
    desk = TransferDesk({"acme": CallTransferConfig(agent="a")}, pool, {})
    lent = await desk.match(await call(world), None)
    assert (lent.tenant, lent.transfer_id, lent.route.agent) == ("acme", "t1", "a")
    assert await desk.match(await call(world), "acme") == lent
    assert await desk.match(await call(world), "globex") is None
    assert (
        await desk.claim(replaced(lent, transfer_id=""), call_key="k", call_id="c", event_at=0) == "unknown"
    )
