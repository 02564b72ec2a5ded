import asyncio
from contextlib import asynccontextmanager

import pytest

from media_host.agents.base import Ended, Fault, ToolCall, Transcript, TransferType
from media_host.call_actions import CallActions
from media_host.ending import EndKind
from media_host.handover import HandoverResult
from media_host.tools.builtin import HostActions
from shared.calls.events import EventKind
from shared.errors import CallGone, InvalidInput
from tests.support.session_world import open_session, virtual

PEOPLE = """
transfers: {human: "+18005550199", system: "8:acs:r_1", fallback: "+18005550198"}
"""


class Handover:
    """Ends as the test says."""

    def __init__(self) -> None:
        self.asked, self.result, self.left = [], None, None
        loop = asyncio.get_running_loop()
        self.result, self.left = loop.create_future(), loop.create_future()
        self.undone = False

    async def run(self, name, variables, told, *, outcome, reason):
        self.asked.append((name, dict(variables), dict(told), outcome, reason))
        try:
            return await self.result
        except asyncio.CancelledError:
            self.undone = True
            raise

    async def accompany(self):
        return await self.left


def handed(world):
    handover = Handover()
    world.session._handover = world.session._actions._handover = handover
    return handover


@asynccontextmanager
async def asked_for_a_person(more=""):
    """A call in which a handover to `human` is under way: its world, and what becomes of the handover."""
    async with open_session(PEOPLE + more) as world:
        handover = handed(world)
        ask(world, "transfer_to_human", target="human")
        await world.run(0.1)
        yield world, handover


async def became(world, handover, result):
    handover.result.set_result(result)
    await world.run(0.1)


def ask(world, name, id="1", **arguments):
    world.agent.host.event(ToolCall(id, name, {"reason": "asked_for_it", **arguments}))


def test_the_tools_find_here_what_they_need():
    actions: type[HostActions] = CallActions
    assert actions


@virtual
async def test_a_transfer_knows_the_callers_variables_and_ends_the_call():
    async with open_session(PEOPLE) as world:
        handover = handed(world)
        ask(world, "transfer_to_human", target="human", variables={"topic": "bill"})
        await world.run(0.1)
        [(name, variables, told, outcome, reason)] = handover.asked
        assert (name, variables, outcome, reason) == (
            "human",
            {"topic": "bill"},
            TransferType.AGENT,
            "asked_for_it",
        )
        assert told == {
            "account": "00123",
            "topic": "bill",
            "reason": "asked_for_it",
            "caller": "+14255550100",
        }
        handover.result.set_result(HandoverResult.LEFT)
        await world.task
        assert world.agent.results == [("1", {"status": "transferred"})]
        assert world.events(EventKind.MEDIA_CLOSED)[0]["reason"] == "handed_over"
        assert world.control.of("hang_up") == []


@virtual
async def test_back_to_the_system():
    async with open_session(PEOPLE) as world:
        handover = handed(world)
        ask(world, "return_to_system", variables={"paid": "yes"})
        await world.run(0.1)
        name, variables, _, outcome, _ = handover.asked[0]
        assert (name, variables, outcome) == ("system", {"paid": "yes"}, TransferType.SYSTEM)


@pytest.mark.parametrize("result", [result for result in HandoverResult if not result.done])
def test_a_transfer_that_fails_is_the_agents_to_tell(result):
    @virtual
    async def run():
        async with asked_for_a_person() as (world, handover):
            await became(world, handover, result)
            [(_, told)] = world.agent.results
            assert told["error"] == result and "with you again" in told["message"]
            world.caller()
            assert len(world.agent.heard) == 1 and not world.session._end.done()
            handover = handed(world)  # and may be tried again
            ask(world, "transfer_to_human", "2", target="human")
            await world.run(0.1)
            assert handover.asked

    run()


@virtual
async def test_a_fault_of_ours_in_a_handover_is_a_handover_that_failed():
    async with asked_for_a_person() as (world, handover):
        handover.result.set_exception(ZeroDivisionError())
        await world.run(0.1)
        assert world.agent.results[0][1]["error"] == "failed"


@virtual
async def test_when_a_person_has_joined_the_agent_only_listens():
    async with asked_for_a_person("silence: {after_s: 5}") as (world, handover):
        await became(world, handover, HandoverResult.JOINED)
        assert world.agent.results[0][1]["status"] == "joined" and world.agent.only_listens
        world.agent.speak(1000, "t9")
        world.caller()
        world.key("7")
        world.agent.host.event(Transcript("caller", "hello, this is Ann"))
        ask(world, "end_call", "2")
        ask(world, "unknown", "3")
        await world.run(60)
        assert world.wire.audio == [] and len(world.agent.heard) == 1 and world.agent.keys == []
        assert [result["error"] for _, result in world.agent.results[1:]] == ["a person has taken over"] * 2
        assert world.agent.texts == []
        world.agent.finish()  # of no interest to two people who talk
        await world.run(60)
        assert not world.session._end.done()
        handover.left.set_result("person_left")
        await world.run(0.5)
        assert world.session._end.result().kind is EndKind.PERSON
        record = await world.hang_up()
        assert [line["text"] for line in record.transcript] == ["hello, this is Ann"]
        assert world.wire.heard == world.said("person_left")


@pytest.mark.parametrize("why", ["line_closed", "caller_left"])
def test_the_end_of_a_call_with_a_person(why):
    @virtual
    async def run():
        async with asked_for_a_person() as (world, handover):
            await became(world, handover, HandoverResult.JOINED)
            handover.left.set_result(why)
            await world.run(0.1)
            assert world.session._end.result().kind is (
                EndKind.LINE if why == "line_closed" else EndKind.PERSON
            )

    run()


@virtual
async def test_an_agent_that_cannot_only_listen_hears_no_more():
    async with asked_for_a_person() as (world, handover):

        async def broken():
            raise ZeroDivisionError

        world.agent.listen_only = broken
        await became(world, handover, HandoverResult.JOINED)
        world.caller()
        assert world.agent.heard == [] and not world.session._end.done()


@pytest.mark.parametrize("last", ["ended", "fault"])
@pytest.mark.parametrize("result", [HandoverResult.JOINED, HandoverResult.NO_ANSWER])
def test_an_agent_that_ends_during_a_handover_does_not_end_the_handover(last, result):
    @virtual
    async def run():
        async with asked_for_a_person() as (world, handover):
            event = Ended(TransferType.AGENT, "done") if last == "ended" else Fault("lost", "gone", True)
            world.agent.host.event(event)
            await world.run(5)
            assert not world.session._end.done()
            await became(world, handover, result)
            assert world.session._end.done() is (result is HandoverResult.NO_ANSWER)
            if result is HandoverResult.NO_ANSWER:
                assert world.session._end.result().reason == ("done" if last == "ended" else "lost")

    run()


@virtual
async def test_the_end_of_the_call_undoes_a_handover():
    async with asked_for_a_person() as (world, handover):
        await world.hang_up()
        assert handover.undone
        assert world.agent.results == [("1", {"error": "the call is over"})]


@virtual
async def test_goodbye_is_heard_before_the_call_is_ended():
    async with open_session(PEOPLE) as world:
        pcm = world.agent.speak(2000)
        ask(world, "end_call")
        await world.run(1)
        assert world.control.of("hang_up") == []
        await world.run(2)
        assert world.wire.heard == pcm and world.control.of("hang_up")
        record = await world.hang_up()
        assert (record.outcome["reason"], record.outcome["transferType"]) == ("asked_for_it", "SYSTEM")
        assert world.agent.results == [("1", {"status": "ended"})]


@virtual
async def test_an_agent_that_talks_on_is_not_waited_for():
    async with open_session(PEOPLE) as world:
        began = world.ms()
        for number in range(20):
            world.agent.speak(1000, f"t{number}")
        ask(world, "end_call")
        await world.run(9)
        assert world.session._end.done() and world.ms() - began < 9100


@virtual
async def test_during_a_handover_nothing_else_is_done():
    async with asked_for_a_person("secure_digits: {card: {}}") as (world, _):
        ask(world, "end_call", "2")
        world.agent.host.event(ToolCall("3", "collect_digits", {"name": "card"}))
        await world.run(1)
        assert all("error" in result for _, result in world.agent.results)
        assert len(world.agent.results) == 2 and not world.session._end.done()


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (None, {"status": "sent"}),
        (CallGone("gone"), {"error": "the caller has hung up"}),
        (InvalidInput("acs", "x"), {"error": "the keys could not be sent"}),
    ],
)
def test_keys_are_pressed_on_the_line(error, result, caplog):
    @virtual
    async def run():
        async with open_session(PEOPLE) as world:
            world.control.errors["send_dtmf"] = error
            if error is None:
                del world.control.errors["send_dtmf"]
            world.agent.host.event(ToolCall("1", "send_dtmf", {"digits": "4711#"}))
            await world.run(0.1)
            assert world.agent.results == [("1", result)]
            assert world.control.of("send_dtmf") == [("cc-1", "4711#", "+14255550100")]
            record = await world.hang_up()
            assert "4711" not in caplog.text + str(record.to_json())

    run()
