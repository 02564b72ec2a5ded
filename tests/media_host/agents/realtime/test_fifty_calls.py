"""Fifty calls at once, each with two tools under way whose results come in any order: nobody hears another's."""

import asyncio
import base64
import json
import random

from media_host.agents.base import Fault, ToolCall, Transcript, TurnEnded
from tests.media_host.agents.realtime.support import START, Host, agent
from tests.support.realtime_server import RealtimeServer
from tests.support.timing import patience

CALLS = 50
ROUNDS = 3


def tone(name):
    """20 ms of audio that only this call has."""
    return (name.encode() * 960)[:960]


async def model(session, name):
    """The model's side of one call: it asks for two tools in each round and says what it was told."""
    await session.next("response.create")
    for number in range(ROUNDS):
        response = f"resp_{number}"
        await session.created(response)
        for tool in ("a", "b"):
            arguments = json.dumps({"of": name, "round": number, "tool": tool})
            await session.function_call(response, "look_up", arguments, f"call_{number}_{tool}")
        await session.done(response)
        await session.next("response.create")
        told = {
            event["item"]["call_id"]: json.loads(event["item"]["output"])
            for event in session.of("conversation.item.create")[-2:]
        }
        await session.says(f"said_{number}", json.dumps(told), tone(name))
        await session.caller_turn(f"item_{number}", f"Again, {name}.")


async def tools(one, host, chance):
    """The host's side: every result takes its own time."""
    running = []

    async def run(call):
        await asyncio.sleep(chance.uniform(0, 0.02))
        await one.tool_result(call.id, dict(call.arguments))
        await one.tool_result(call.id, {"twice": True})

    for number in range(2 * ROUNDS):
        call = await host.wait_for(ToolCall, number + 1)
        running.append(asyncio.create_task(run(call)))
        host.play(one)
    await asyncio.gather(*running)


async def test_fifty_calls():
    before = asyncio.all_tasks()
    sessions = {}

    async with RealtimeServer() as server:
        hosts = {f"{number:03}": Host() for number in range(CALLS)}
        agents = {name: agent(server.endpoint, instructions=f"You are {name}.") for name in hosts}
        await asyncio.gather(*(agents[name].start(START, hosts[name]) for name in hosts))
        for _ in hosts:
            session = await server.session()
            configured = session.of("session.update")[0]["session"]["instructions"]
            sessions[configured[8:11]] = session
        assert sessions.keys() == hosts.keys()
        chance = random.Random(4)  # no secret
        async with asyncio.timeout(patience(60)), asyncio.TaskGroup() as group:
            for name, host in hosts.items():
                group.create_task(model(sessions[name], name))
                group.create_task(tools(agents[name], host, chance))
        for name, host in hosts.items():
            await host.wait_for(TurnEnded, ROUNDS)
            await host.until(lambda host=host: len(host.of(Transcript)) == 2 * ROUNDS)
            assert host.of(Fault) == []
            assert {data for _, data in host.of(tuple)} == {base64.b64encode(tone(name))}
            for number, said in enumerate(text for text in host.of(Transcript) if text.who == "agent"):
                assert json.loads(said.text) == {
                    f"call_{number}_{tool}": {"of": name, "round": number, "tool": tool} for tool in "ab"
                }
            assert sessions[name].types.count("response.create") == 1 + ROUNDS
        await asyncio.gather(*(one.close() for one in agents.values()))
    leftovers = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert not leftovers, [task.get_name() for task in leftovers]
