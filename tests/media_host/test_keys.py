import pytest

from media_host.agents.base import ToolCall
from media_host.handover import HandoverResult
from media_host.keys import Keys
from shared.calls.events import EventKind
from shared.errors import CallGone, InvalidInput
from tests.support.session_world import open_session, virtual

KEYS = """
transfers: {human: "+18005550199"}
keys: {"0": human}
"""


@virtual
async def test_keys_are_the_agents_and_only_their_number_is_recorded():
    async with open_session(KEYS) as world:
        world.keys("42719#")
        await world.run(3)
        world.keys("*A")
        record = await world.hang_up()
        assert world.agent.keys == [*"42719#*A"]
        assert [event["count"] for event in world.events(EventKind.KEYS)] == [6, 2]
        assert record.keys_pressed == 8


@virtual
async def test_a_key_that_leads_to_a_person_does_so_without_the_agent():
    async with open_session(KEYS) as world:
        world.control.errors["transfer"] = CallGone("it has left us")
        world.agent.speak(5000)
        await world.run(0.3)
        world.key("0")
        assert len(world.wire.stops) == 1 and len(world.agent.flushes) == 1
        world.keys("05")  # too late for anybody
        world.caller()
        await world.run(3)
        assert world.agent.keys == [] and world.agent.heard == []
        assert world.wire.heard.endswith(world.said("connecting"))
        assert world.control.of("transfer") == [("cc-1", "+18005550199", None)]
        assert (await world.hang_up()).keys_pressed == 3
        assert world.events(EventKind.MEDIA_CLOSED)[0]["reason"] == "handed_over"


@pytest.mark.parametrize("how", ["told", "says", "silent"])
def test_a_key_that_leads_to_nobody_is_told(how):
    puppet = {"told": {"says_ms": 500}, "says": {"says_ms": 500, "exact_say": True}, "silent": {}}[how]

    @virtual
    async def run():
        async with open_session(KEYS, **puppet) as world:
            world.control.errors["transfer"] = InvalidInput("acs.transfer", "another target")
            world.key("0")
            await world.run(6)
            match how:
                case "told":
                    [text] = world.agent.texts
                    assert "refused" in text and world.agent.said == []
                case "says":
                    assert world.agent.said == ["I am sorry, I could not connect you."]
                    assert world.agent.texts == []
                case _:
                    assert world.wire.heard.endswith(world.said("not_connected"))
            world.caller()
            world.keys("50")
            assert len(world.agent.heard) == 1 and world.agent.keys == ["5"]  # the agent hears again
            await world.run(6)
            assert len(world.control.of("transfer")) == 2

    run()


@virtual
async def test_keys_of_people_who_talk_to_each_other_are_nobodys():
    async with open_session(KEYS) as world:
        world.session._actions.joined = True
        world.session._actions._moving = world.task
        world.keys("0123")
        world.session._actions._moving = None
        assert world.agent.keys == [] and world.control.asked == []


def test_the_one_who_had_the_keys_before_gets_them_again():
    got = []

    @virtual
    async def run():
        async with open_session() as world:
            keys = Keys(world.session._log, lambda key: got.append(f"agent {key}"))
            with keys.taken_by(lambda key: got.append(f"outer {key}")):
                with keys.taken_by(lambda key: got.append(f"inner {key}")):
                    keys.press("1")
                keys.press("2")
            keys.press("3")
            keys.note()

    run()
    assert got == ["inner 1", "outer 2", "agent 3"]


@virtual
async def test_a_tool_and_a_key_do_not_transfer_twice():
    async with open_session(KEYS) as world:
        running = world.session._handover.run

        async def slow(*args, **options):
            await world.run(5)
            return await running(*args, **options)

        world.session._handover.run = slow
        world.control.errors["transfer"] = InvalidInput("acs.transfer", "another target")
        world.agent.host.event(ToolCall("1", "transfer_to_human", {"target": "human", "reason": "asked"}))
        await world.run(1)
        world.key("0")
        world.agent.host.event(ToolCall("2", "transfer_to_human", {"target": "human", "reason": "asked"}))
        await world.run(20)
        assert len(world.control.of("transfer")) == 1
        results = dict(world.agent.results)
        assert results["2"]["status"] == "already_transferring"
        assert results["1"]["error"] == HandoverResult.REFUSED
