"""How a call on the Twilio line ends: what the caller hears, what is stored before the socket is closed, and with which code."""

import asyncio

import pytest

from media_host import ending
from media_host.agents.base import Fault, ToolCall, Transcript, TransferType
from media_host.ending import End, EndKind
from media_host.g711 import encode
from shared.calls.events import EventKind
from tests.support import twilio_end as they
from tests.support.session_world import virtual
from tests.support.twilio_session import ULAW, both, over, send, twilio, watched


@both
@virtual
async def test_the_agent_is_done(codec):
    """The farewell is heard to its end, by the last mark's word; the outcome is stored; then the socket is closed."""
    async with twilio(codec=codec) as world:
        seen = watched(world)
        world.wire.path_ms = 700.0  # longer than anybody would guess
        world.agent.speak(900)
        world.agent.finish(reason="goodbye", task="wrap_up", reference={"ticket": "7"})
        record, kinds = await over(world)
        end = world.wire
        assert (end.closed, end.sent[-1]) == (1000, "end") and end.closed_at >= end.until
        assert len(end.audio) == 900 * 8
        assert EventKind.OUTCOME in seen and EventKind.HANG_UP in seen
        assert kinds.index(EventKind.MEDIA_CLOSED) < kinds.index(EventKind.DISCONNECTED)
        assert (record.outcome["transferType"], record.outcome["reason"]) == ("SYSTEM", "goodbye")
        assert record.outcome["referenceVariables"] == {"ticket": "7"} and "target" not in record.outcome
        assert (record.ended.reason, record.ended.by) == ("agent_done", "agent") and record.released
        assert world.control.asked == [] and not record.media.lost
        assert world.hook.begun


@virtual
async def test_what_the_last_mark_says_is_heard_whatever_the_clock_says():
    """Where marks are late the clock holds back; the call is over before it would agree."""
    async with twilio() as world:
        world.wire.echoes = False
        world.agent.speak(900)
        world.agent.host.event(Transcript("agent", "Goodbye.", "t1"))
        await world.run(0.95)
        world.wire.echoes = True
        world.agent.finish()
        await over(world)
        [said] = [event for event in world.store.kept.values() if event.kind is EventKind.AGENT_SAID]
        assert (said.data["heardMs"], said.data["interrupted"]) == (900, False)


@virtual
async def test_a_farewell_whose_mark_is_lost_is_not_waited_for_for_ever():
    async with twilio() as world:
        world.agent.speak(900)
        await world.run(0.3)
        world.wire.echoes = False
        world.agent.finish()
        await over(world)
        assert world.wire.closed_at - world.wire.until < 2000 + ending.ECHO_S * 1000


@virtual
async def test_a_caller_who_goes_during_the_farewell_is_not_waited_for():
    async with twilio() as world:
        world.wire.echoes = False
        world.agent.finish()
        await world.run(0.01)
        at = world.ms()
        send(world, they.stop())
        record, _ = await over(world)
        assert world.ms() - at < 100 and record.ended.reason == "agent_done"


@pytest.mark.parametrize("way", ["tool", "key", "word"])
@virtual
async def test_a_person_is_wanted(way):
    """Nobody is called by us: the outcome says whom Twilio connects."""
    async with twilio() as world:
        world.agent.speak(500)
        if way == "tool":
            arguments = {"target": "human", "reason": "asked", "variables": {"topic": "bill"}}
            world.agent.host.event(ToolCall("1", "transfer_to_human", arguments))
        elif way == "key":
            send(world, they.dtmf("0"))
        else:
            world.agent.finish(TransferType.AGENT, "asked", target="human", transfer={"topic": "bill"})
        record, _ = await over(world)
        assert (record.outcome["transferType"], record.outcome["target"]) == ("AGENT", "human")
        assert world.control.asked == [] and world.wire.closed == 1000


@virtual
async def test_back_to_the_system():
    async with twilio() as world:
        world.agent.host.event(ToolCall("1", "return_to_system", {"reason": "done", "variables": {}}))
        record, _ = await over(world)
        assert record.outcome["transferType"] == "SYSTEM" and world.wire.closed == 1000


@virtual
async def test_the_caller_hangs_up():
    async with twilio() as world:
        world.agent.speak(3000)
        await world.run(0.5)
        send(world, they.stop())
        at = world.ms()
        record, kinds = await over(world)
        assert world.ms() - at < 100 and world.wire.closed == 1000 and world.agent.closed.is_set()
        assert (record.ended.reason, record.ended.by) == ("caller_hung_up", "caller")
        assert record.outcome["transferType"] == "CALLER_DISCONNECT" and record.released
        assert kinds[-1] is EventKind.DISCONNECTED and not record.media.lost
        assert world.wire.sent.count("clear") == 0


@virtual
async def test_the_caller_hangs_up_once():
    """The socket closes a moment after `stop`: that is no second end."""
    async with twilio() as world:
        await world.run(0.5)
        world.wire.close = lambda code: world.loop.call_later(5, world.session.on_close, code, "")
        close, slow = world.agent.close, asyncio.Event()

        async def late():
            await slow.wait()
            await close()

        world.agent.close = late
        send(world, they.stop())
        await world.run(1)
        world.session.on_close(1000, "")
        slow.set()
        record, _ = await over(world)
        assert 400 < record.media.duration_ms < 700 and record.ended.reason == "caller_hung_up"


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1009])
@virtual
async def test_a_socket_that_closes_without_a_word_is_lost_audio_and_not_a_hang_up(code):
    async with twilio() as world:
        world.agent.speak(3000)
        await world.run(0.5)
        world.session.on_close(code, "")
        record, _ = await over(world)
        assert (record.ended.reason, record.media.lost, record.released) == ("media_lost", True, True)
        assert record.outcome["transferType"] == "AGENT"
        assert record.outcome["referenceVariables"] == {"error": "media_lost"}


@virtual
async def test_an_outcome_of_before_stays_when_the_socket_closes():
    async with twilio() as world:
        world.agent.speak(3000)
        world.agent.finish(reason="goodbye")
        await world.run(0.5)
        world.session.on_close(1006, "")
        record, _ = await over(world)
        assert (record.outcome["reason"], record.ended.reason) == ("goodbye", "agent_done")
        assert not record.media.lost


@both
@virtual
async def test_an_agent_that_fails(codec):
    """Clear, an apology, the outcome, and then 1011: what comes next is Twilio's."""
    async with twilio(codec=codec) as world:
        seen = watched(world)
        world.agent.speak(20_000)
        await world.run(1)
        world.agent.host.event(Fault("model_lost", "gone", True))
        await world.run(0)
        assert world.wire.sent.count("clear") == 1
        await world.run(2)
        samples = world.said("sorry_transfer")[: codec.bytes_per_ms * 400]
        if codec is ULAW:
            assert world.wire.audio.endswith(encode(world.said("sorry_transfer")))
        assert samples and len(world.wire.heard)
        record, _ = await over(world)
        assert world.wire.closed == 1011 and EventKind.OUTCOME in seen
        assert (record.outcome["transferType"], record.outcome["reason"]) == ("AGENT", "model_lost")
        assert record.outcome["referenceVariables"] == {"error": "model_lost"}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ("", "sorry_transfer"),  # the agent's own transfer `fallback` is dialled
        ("failed: {hangup: true}", "sorry"),
        ("agent: {enqueue: support}", "sorry_transfer"),
        ("failed: {redirect: 'https://flow.example'}", "sorry_transfer"),
    ],
)
@virtual
async def test_a_connection_is_announced_only_where_there_will_be_one(after, said):
    account = f"twilio:\n  default: {{account_sid: {they.ACCOUNT}, auth_token: 'env:T', agent: puppet, next: {{{after}}}}}\n"
    async with twilio(more=account) as world:
        world.agent.host.event(Fault("model_lost", "gone", True))
        record, _ = await over(world)
        assert record.outcome["transferType"] == "AGENT"
        assert world.wire.audio == encode(world.said(said))


@virtual
async def test_a_line_that_breaks_the_rules_ends_like_a_fault():
    async with twilio() as world:
        for _ in range(60):
            send(world, b"{")
        record, _ = await over(world)
        assert (record.outcome["reason"], world.wire.closed) == ("bad_frames", 1011)


@virtual
async def test_the_longest_call():
    async with twilio() as world:
        world.session.end(End(EndKind.LIMIT, "max_duration"))
        record, _ = await over(world)
        assert (record.outcome["transferType"], record.outcome["reason"]) == ("SYSTEM", "max_duration")
        assert world.wire.closed == 1000 and world.wire.audio == encode(world.said("time_limit"))


@virtual
async def test_the_hosts_end_is_told_and_the_call_goes_on_at_twilio():
    async with twilio() as world:
        seen = watched(world)
        world.session.end(End(EndKind.DRAIN, "drain_deadline"))
        record, _ = await over(world)
        assert world.wire.closed == 1001 and EventKind.OUTCOME in seen
        assert (record.outcome["transferType"], record.outcome["reason"]) == ("AGENT", "drain")
        assert world.control.asked == [] and world.wire.audio == encode(world.said("connecting"))


@virtual
async def test_a_fault_while_all_is_given_back_leaves_neither_socket_nor_record_open(monkeypatch):
    async with twilio() as world:

        async def broken():
            raise RuntimeError("a mistake of ours")

        monkeypatch.setattr(world.session._silence, "close", broken)
        world.session.end(End(EndKind.LINE, "host_closed"))
        with pytest.raises(RuntimeError):
            await world.task
        record = await world.store.get("default", "call-1")
        assert record.released and record.outcome["transferType"] == "AGENT"
        assert world.wire.closed is not None
        world.task = asyncio.create_task(asyncio.sleep(0))  # nothing is left to hang up


@virtual
async def test_a_session_that_is_cut_off_by_its_host_is_lost_audio():
    async with twilio() as world:
        world.session.end(End(EndKind.LINE, "host_closed"))
        record, _ = await over(world)
        assert record.ended.reason == "media_lost" and record.outcome["transferType"] == "AGENT"
    async with twilio() as world:
        world.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await world.task
        record = await world.store.get("default", "call-1")
        assert record.ended.reason == "media_lost" and record.released
        assert record.outcome["transferType"] == "AGENT" and record.media.lost
        world.task = asyncio.create_task(asyncio.sleep(0))  # nothing is left to hang up
