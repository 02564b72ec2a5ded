"""The relay and the load generator against each other: real processes, real frames, every one counted."""

import asyncio
import os

import pytest

from bench import load as module
from bench.load import Call, Order
from bench.process import children, usage
from bench.programs import Program
from bench.report import faults


@pytest.fixture
async def programs():
    load = await asyncio.to_thread(Program, "bench.load", core=None)
    relay = await asyncio.to_thread(
        Program, "bench.relay", "--model", f"ws://127.0.0.1:{load.port}/", core=None
    )
    yield load, relay
    relay.close()
    load.close()


async def test_every_frame_of_every_call_arrives(programs):
    load, relay = programs
    result = await load.run(Order(relay.port, relay.pid, 0.5, [Call("/")] * 5))
    assert faults(result) == []
    frames = result["frames"]
    assert frames["received_up"] == frames["sent_up"] > 5 * 25
    assert frames["received_down"] == frames["sent_down"] > 5 * 25
    assert result["up"]["frames"] > 50 and result["down"]["frames"] > 50
    assert 0 <= result["cpu_s"] < 5 and result["rss_kib"] > 1000


async def test_a_program_that_does_not_answer_is_a_fault(programs, unused_tcp_port):
    load, relay = programs
    del relay
    with pytest.raises(RuntimeError, match="ended early"):
        await load.run(Order(unused_tcp_port, load.pid, 0.1, [Call("/")]))


def test_an_order_survives_the_pipe():
    order = Order(1, 2, 0.5, [Call("/a", {"x": "y"})], [b"AAAA"], True)
    assert module.Order.parse(order.text()) == order


async def test_usage_knows_this_process_and_its_children(programs):
    assert usage(os.getpid()).cpu > 0
    assert {program.pid for program in programs} <= set(children(os.getpid()))
