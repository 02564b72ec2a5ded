import asyncio

import pytest

from media_host.agents.base import Fault, ToolCall, TransferType
from media_host.tool_runs import MAX_CALLS, MAX_TOOLS
from shared.calls.events import EventKind
from tests.support.session_world import open_session, virtual


def control_run(world):
    """Tools whose ends the test decides: `gates[id].set_result(...)`."""
    gates = {}

    async def run(call, actions, *, say, secure):
        gates[call.id] = asyncio.get_running_loop().create_future()
        return await gates[call.id]

    class Tools:
        specs = ()

    Tools.run = staticmethod(run)
    world.session._tools = Tools
    return gates


@virtual
async def test_results_go_to_whom_they_belong_whatever_the_order():
    async with open_session() as world:
        gates = control_run(world)
        for id in "abc":
            world.agent.host.event(ToolCall(id, "t", {}))
        pcm = world.agent.speak(1000)
        await world.run(2)
        assert world.wire.heard == pcm  # the audio waits for no tool
        for id in "cab":
            gates[id].set_result({"is": id})
            await world.run(0.1)
        assert world.agent.results == [("c", {"is": "c"}), ("a", {"is": "a"}), ("b", {"is": "b"})]
        assert len(world.events(EventKind.TOOL)) == 3


@virtual
async def test_too_many_at_once_are_refused_one_by_one():
    async with open_session() as world:
        gates = control_run(world)
        for number in range(MAX_TOOLS + 2):
            world.agent.host.event(ToolCall(str(number), "t", {}))
        await world.run(0.1)
        assert [id for id, result in world.agent.results if "too many" in result["error"]] == ["8", "9"]
        for gate in gates.values():
            gate.set_result({})
        await world.run(0.1)
        assert sorted(id for id, _ in world.agent.results) == sorted(map(str, range(10)))
        assert not world.session._end.done()


@virtual
async def test_an_agent_that_only_asks_has_failed():
    async with open_session() as world:

        async def never(id, output):
            await asyncio.Event().wait()

        world.agent.tool_result = never
        for number in range(MAX_CALLS + 1):
            world.agent.host.event(ToolCall(str(number), "unknown", {}))
        await world.run(0.01)
        assert world.session._end.result().reason == "agent_crashed"


@virtual
async def test_an_agent_that_cannot_take_a_result_has_failed():
    async with open_session() as world:

        async def broken(id, output):
            raise ZeroDivisionError

        world.agent.tool_result = broken
        world.agent.host.event(ToolCall("1", "unknown", {}))
        await world.run(0.1)
        assert world.session._end.result().reason == "agent_crashed"


@virtual
async def test_a_fault_of_ours_is_answered():
    async with open_session() as world:
        gates = control_run(world)
        world.agent.host.event(ToolCall("1", "t", {}))
        await world.run(0.1)
        gates["1"].set_exception(ZeroDivisionError())
        await world.run(0.1)
        assert world.agent.results == [("1", {"error": "failed"})]


@pytest.mark.parametrize("end", ["hang_up", "finish", "fault"])
def test_every_call_is_answered_exactly_once_while_the_call_ends(end):
    @virtual
    async def run():
        async with open_session() as world:
            gates = control_run(world)
            world.agent.host.event(ToolCall("before", "t", {}))
            await world.run(0.1)
            match end:
                case "finish":
                    world.agent.finish(TransferType.SYSTEM)
                case "fault":
                    world.agent.host.event(Fault("model_lost", "gone", True))
                case _:
                    world.session.on_close(1000, "")
                    world.agent.host.event(ToolCall("late", "t", {}))
            await world.hang_up()
            assert list(gates) == ["before"]
            expected = {"before": "the call is over"} | (
                {"late": "the call is over"} if end == "hang_up" else {}
            )
            assert {id: result["error"] for id, result in world.agent.results} == expected
            assert len(world.agent.results) == len(expected)

    run()


@virtual
async def test_a_tool_that_cannot_be_stopped_holds_nobody_up():
    async with open_session() as world:
        done = asyncio.Event()

        async def stubborn(call, actions, **_options):
            while not done.is_set():
                try:
                    await done.wait()
                except asyncio.CancelledError:
                    continue
            return {}

        world.session._tools = type("Tools", (), {"run": staticmethod(stubborn), "specs": ()})
        world.agent.host.event(ToolCall("1", "t", {}))
        await world.run(0.1)
        began = world.ms()
        await world.hang_up()
        assert world.agent.closed_at - began < 1000
        assert world.agent.results == [("1", {"error": "the call is over"})]
        done.set()
        await world.run(0.1)
