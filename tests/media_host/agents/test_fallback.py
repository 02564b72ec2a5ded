"""A chain of agents: every point at which one can fail, and what the caller and the host notice of it."""

import asyncio
import base64

import pytest

from media_host.agents.base import (
    AgentStart,
    Codec,
    Delayed,
    Ended,
    Fault,
    Heard,
    Said,
    ToolCall,
    Transcript,
    TransferType,
    TurnEnded,
    TurnStarted,
)
from media_host.agents.fallback import FallbackAgent, Link
from shared.errors import AgentUnavailable
from tests.support.agent_host import NotingHost
from tests.support.agents import PuppetAgent
from tests.support.timing import patience

DEAD = Fault("model_gone", "gone", fatal=True)
SWITCH = [
    Fault("model_gone", "gone", fatal=False),
    Fault("agent_fallback", "a failed, b takes over", fatal=False),
    Delayed("agent_fallback"),
]


class Chain:
    """A chain of puppets, by the names a, b, c …; a puppet may be an exception that its making raises."""

    def __init__(self, *puppets, attempt_s=None, history=(), codec=Codec.PCM16_24K, **more) -> None:
        self.puppets = puppets
        self.host = NotingHost(history)
        self.agent = FallbackAgent(
            [Link(name, self._maker(puppet)) for name, puppet in zip("abcd", puppets, strict=False)],
            attempt_s=attempt_s or patience(5),
        )
        self.start_args = AgentStart("call", codec, "task", {"v": "1"}, **more)

    def _maker(self, puppet):
        def make():
            if isinstance(puppet, Exception):
                raise puppet
            return puppet

        return make

    async def start(self):
        await self.agent.start(self.start_args, self.host)
        return self

    def codes(self) -> list[str]:
        return [event.code for event in self.host.of(Fault)]


@pytest.fixture
async def chain():
    made = []

    async def start(*puppets, **more):
        made.append(Chain(*puppets, **more))
        return await made[-1].start()

    yield start
    for one in made:
        await one.agent.close()


def frame(number) -> bytes:
    return base64.b64encode(bytes([number, number]))


async def test_while_the_first_one_lives_it_is_as_if_it_were_alone(chain):
    a, b = PuppetAgent(), PuppetAgent()
    one = await chain(a, b)
    assert a.start_args == one.start_args
    assert one.agent.capabilities is a.capabilities
    agent, host = one.agent, one.host
    agent.send_audio(frame(1))
    agent.send_key("1")
    sound = a.speak(20)
    a.host.event(Transcript("agent", "Hello", "t1"))
    a.host.event(ToolCall("c1", "tool", {}))
    await agent.tool_result("c1", {"x": 1})
    agent.played("t1")
    agent.flushed([Heard("t1", 1, 2)])
    await agent.send_text("silence")
    await agent.listen_only()
    assert (a.heard, a.keys, a.turns, a.flushes) == ([frame(1)], ["1"], ["t1"], [[Heard("t1", 1, 2)]])
    assert (a.results, a.texts, a.only_listens) == ([("c1", {"x": 1})], ["silence"], True)
    assert host.sound == {"t1": sound}
    assert host.events == [
        TurnStarted("t1"), TurnEnded("t1"), Transcript("agent", "Hello", "t1"), ToolCall("c1", "tool", {}),
    ]  # fmt: skip
    assert (a.host.quiet, a.host.history()) == (True, [])
    await agent.close()
    await agent.close()
    assert a.closed.is_set()
    assert not b.started.is_set()


# --- at start


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (lambda: PuppetAgent(fail=AgentUnavailable("refused")), "agent_unavailable"),
        (lambda: PuppetAgent(fail=ValueError("4711")), "agent_crashed"),
        (lambda: AgentUnavailable("no speech"), "agent_unavailable"),
        (lambda: PuppetAgent(hang=True), "agent_unavailable"),
        (lambda: PuppetAgent(hang=True, slow_cancel_s=0.1), "agent_unavailable"),
    ],
    ids=["refused", "crash", "cannot be made", "hang", "hang that minds being cancelled"],
)
async def test_one_that_cannot_start_gives_way_and_the_greeting_is_still_to_come(chain, first, code):
    a, b = first(), PuppetAgent()
    one = await chain(a, b, attempt_s=0.05)
    assert b.start_args == one.start_args
    assert not b.start_args.resumed
    assert one.codes() == [code, "agent_fallback"]
    assert one.host.of(Delayed) == [Delayed("agent_fallback")]
    assert "4711" not in str(one.host.events)
    await one.agent.close()
    if isinstance(a, PuppetAgent):
        assert a.closed.is_set()


async def test_the_whole_chain_down_to_the_last_one(chain):
    c = PuppetAgent()
    one = await chain(PuppetAgent(hang=True), AgentUnavailable("x"), c, attempt_s=0.05)
    assert c.started.is_set()
    assert [event.message for event in one.host.of(Fault) if event.code == "agent_fallback"] == [
        "a failed, b takes over",
        "b failed, c takes over",
    ]


async def test_the_last_ones_failure_at_start_is_passed_on(chain):
    with pytest.raises(AgentUnavailable, match="last"):
        await chain(PuppetAgent(fail=ValueError()), PuppetAgent(fail=AgentUnavailable("last")))


async def test_a_fatal_fault_while_it_starts(chain):
    class Fatal(PuppetAgent):
        async def start(self, start, host):
            host.event(TurnStarted("t"))
            host.audio("t", frame(1))
            host.event(DEAD)
            host.audio("t", frame(2))
            await asyncio.Event().wait()

    b = PuppetAgent()
    one = await chain(Fatal(), b)
    assert one.host.events == [TurnStarted("t"), TurnEnded("t"), *SWITCH]
    assert one.host.sound == {"t": b"\1\1"}
    assert b.start_args.resumed
    with pytest.raises(AgentUnavailable, match="model_gone: gone"):
        await chain(Fatal(), Fatal())


async def test_a_cancelled_start_leaves_nobody_behind():
    a = PuppetAgent(hang=True)
    one = Chain(a, PuppetAgent())
    starting = asyncio.create_task(one.start())
    while a.start_args is None:
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await one.agent.close()
    assert a.closed.is_set()


# --- in the middle of the call


async def test_fatal_in_mid_sentence_what_was_said_is_heard_and_nothing_more(chain):
    history = [Said("agent", "Welcome to")]
    a, b = PuppetAgent(), PuppetAgent()
    one = await chain(a, b, history=history)
    sound = a.speak(40, end=False)
    a.host.event(ToolCall("c1", "tool", {}))
    a.host.event(DEAD)
    assert one.host.events == [TurnStarted("t1"), ToolCall("c1", "tool", {}), TurnEnded("t1"), *SWITCH]
    assert a.speak(40, turn="t9")
    a.host.event(DEAD)
    assert list(a.host.interrupt()) == []
    await asyncio.wait_for(b.started.wait(), patience(5))
    await asyncio.wait_for(a.closed.wait(), patience(5))
    assert b.start_args.resumed
    assert b.host.history() == history
    assert one.host.sound == {"t1": sound}
    await one.agent.tool_result("c1", {"too": "late"})
    assert (a.results, b.results) == ([], [])
    one.agent.played("t1")
    one.agent.flushed([Heard("t1", 40, 40)])
    assert (b.turns, b.flushes) == ([], [[]])


async def test_names_of_the_next_one_do_not_meet_those_of_the_dead_one(chain):
    a, b = PuppetAgent(), PuppetAgent()
    one = await chain(a, b)
    a.speak(20, fill=1)
    a.host.event(DEAD)
    await asyncio.wait_for(b.started.wait(), patience(5))
    one.host.events.clear()
    b.speak(20, fill=2)
    b.host.event(Transcript("agent", "Hello", "t1"))
    b.host.event(Transcript("caller", "Hi"))
    b.host.event(ToolCall("c1", "tool", {}))
    assert one.host.events == [
        TurnStarted("~1~t1"),
        TurnEnded("~1~t1"),
        Transcript("agent", "Hello", "~1~t1"),
        Transcript("caller", "Hi"),
        ToolCall("~1~c1", "tool", {}),
    ]
    assert one.host.sound == {"t1": b"\1" * 960, "~1~t1": b"\2" * 960}
    one.agent.played("t1")
    one.agent.played("~1~t1")
    one.agent.flushed([Heard("t1", 1, 1), Heard("~1~t1", 2, 2)])
    await one.agent.tool_result("~1~c1", {})
    assert (b.turns, b.flushes, b.results) == (["t1"], [[Heard("t1", 2, 2)]], [("c1", {})])
    one.host.open = {"t1": None, "~1~t2": None}
    assert b.host.interrupt() == [Heard("t2", 500, 1000)]


@pytest.mark.parametrize("call", ["audio", "key", "played", "flushed"])
async def test_a_crash_in_a_call_of_the_hosts(chain, call):
    class Fragile(PuppetAgent):
        def break_down(self, *_):
            raise ZeroDivisionError("4711")

        send_audio = send_key = played = flushed = break_down

    a, b = Fragile(), PuppetAgent()
    one = await chain(a, b)
    agent = one.agent
    {
        "audio": lambda: agent.send_audio(frame(7)),
        "key": lambda: agent.send_key("7"),
        "played": lambda: agent.played("t"),
        "flushed": lambda: agent.flushed([Heard("t", 0, 1)]),
    }[call]()
    for number in range(150):
        agent.send_audio(frame(number))
    agent.send_key("5")
    await asyncio.wait_for(b.started.wait(), patience(5))
    while not b.keys:
        await asyncio.sleep(0)
    assert one.codes() == ["agent_crashed", "agent_fallback"]
    assert "4711" not in str(one.host.events)
    assert b.heard == [frame(number) for number in range(50, 150)]
    assert b.keys == ["5"]
    assert not b.start_args.resumed
    agent.send_audio(frame(1))
    assert b.heard[-1] == frame(1)


@pytest.mark.parametrize("call", ["send_text", "say", "listen_only"])
async def test_what_one_could_not_do_is_asked_of_the_next(chain, call):
    done = []

    class Able(PuppetAgent):
        async def say(self, text):
            done.append(text)

        async def send_text(self, text):
            done.append(text)

        async def listen_only(self):
            done.append("please")

    class Broken(PuppetAgent):
        async def send_text(self, text):
            raise ValueError

        async def listen_only(self):
            raise ValueError

    a, b = Broken(), Able()
    one = await chain(a, b)
    method = getattr(one.agent, call)
    if call == "listen_only":
        with pytest.raises(AgentUnavailable, match="no agent is left"):
            await method()
        assert one.codes() == ["agent_crashed"]  # nobody takes over who would not speak: the host decides
        assert one.host.of(Fault)[0].fatal
    else:
        await method("please")
        assert done == ["please"]
        assert b.started.is_set()


async def test_a_tools_result_that_breaks_the_agent(chain):
    class Broken(PuppetAgent):
        async def tool_result(self, id, output):
            raise ValueError

    b = PuppetAgent()
    one = await chain(Broken(), b)
    await one.agent.tool_result("c1", {})
    await asyncio.wait_for(b.started.wait(), patience(5))
    assert b.results == []


async def test_the_last_ones_death_is_the_hosts_to_know(chain):
    a, b = PuppetAgent(), PuppetAgent(fail=ValueError())
    one = await chain(a, b)
    a.host.event(DEAD)
    await one.host.until(lambda: one.host.of(Fault)[-1].fatal)
    assert one.codes() == ["model_gone", "agent_fallback", "agent_crashed"]
    with pytest.raises(AgentUnavailable, match="no agent is left"):
        await one.agent.say("anything")
    one.agent.send_audio(frame(1))
    one.agent.send_key("1")
    one.agent.played("t")
    await one.agent.tool_result("c", {})
    assert one.agent.capabilities is a.capabilities or one.agent.capabilities is b.capabilities


async def test_both_die_one_after_the_other(chain):
    a, b = PuppetAgent(), PuppetAgent()
    one = await chain(a, b)
    a.host.event(DEAD)
    await asyncio.wait_for(b.started.wait(), patience(5))
    b.host.event(Fault("also", "", fatal=True))
    await one.host.until(lambda: one.host.events[-1] == Fault("also", "", fatal=True))
    assert one.codes() == ["model_gone", "agent_fallback", "also"]


async def test_after_a_good_end_nobody_takes_over(chain):
    a, b = PuppetAgent(), PuppetAgent()
    one = await chain(a, b)
    a.finish()
    a.crash = ValueError()
    one.agent.send_audio(frame(1))
    await one.agent.close()
    assert one.host.events[0] == Ended(TransferType.SYSTEM, "goodbye")
    assert not one.host.of(Delayed)
    assert not b.started.is_set()


async def test_closing_in_the_middle_of_a_switch(chain):
    a, b = PuppetAgent(), PuppetAgent(hang=True)
    one = await chain(a, b)
    a.host.event(DEAD)
    asking = asyncio.create_task(one.agent.say("never"))
    while b.start_args is None:
        await asyncio.sleep(0)
    await one.agent.close()
    assert (a.closed.is_set(), b.closed.is_set()) == (True, True)
    with pytest.raises(AgentUnavailable):
        await asking
    assert one.codes() == ["model_gone", "agent_fallback"]


async def test_one_that_does_not_close_holds_nobody_up(chain, monkeypatch):
    monkeypatch.setattr("media_host.agents.fallback.CLOSE_S", 0.05)

    class Stubborn(PuppetAgent):
        async def close(self):
            await asyncio.Event().wait()

    b = PuppetAgent()
    a = Stubborn()
    one = await chain(a, b)
    a.host.event(DEAD)
    await asyncio.wait_for(b.started.wait(), patience(5))
    await one.agent.close()
    assert b.closed.is_set()
