"""Sessions are renewed before they expire, at a quiet moment."""

import asyncio
from http import HTTPStatus

import pytest

from media_host.agents.base import Delayed, Fault, Said, ToolCall
from media_host.agents.realtime import renewal
from tests.media_host.agents.realtime.lasting import frames, numbered, virtually
from tests.media_host.agents.realtime.support import FRAME
from tests.support.realtime_server import echo
from tests.support.virtual_loop import run_virtually


@pytest.mark.parametrize(
    ("life", "longest", "due", "latest"),
    [
        (3600, 7200, 3300, 3360),
        (3600, 1500, 1500, 1560),
        (1800, 7200, 1500, 1560),
        (120, 7200, 100, 116),
        (None, 1500, 1500, 1560),
        (-5, 1500, 1500, 1560),
    ],
)
def test_the_plan(life, longest, due, latest):
    plan = renewal.Renewal(1000.0, None if life is None else 1000.0 + life, longest)
    assert (plan.due - 1000, plan.latest - 1000) == (due, latest)


def test_a_session_is_renewed_before_it_expires_and_told_what_was_said():
    async def test(server, one, host, session):
        host.past += [Said("caller", "My order?"), Said("agent", "It is on its way.")]
        for number in range(120 * 50):
            one.send_audio(numbered(number))
            await asyncio.sleep(0.02)
        second = await server.session()
        assert second.texts[-3:] == [
            ("assistant", "Good day."),
            ("user", "My order?"),
            ("assistant", "It is on its way."),
        ]
        first_frames, second_frames = frames(session), frames(second)
        assert first_frames + second_frames == list(range(120 * 50))
        assert abs(len(first_frames) - 100 * 50) < 50, "five sixths of its life"
        assert second.types.count("response.create") == 0 and server.connections == 2
        assert session.socket.close_code == 1000
        assert not host.of(Delayed) and not host.of(Fault)

    run_virtually(virtually(test, life_s=120.0))


def test_a_session_that_names_no_end_is_renewed_all_the_same():
    async def test(server, one, host, session):
        await asyncio.sleep(70)
        assert server.connections == 2

    run_virtually(virtually(test, max_session_s=60))


@pytest.mark.parametrize("busy", ["agent speaks", "caller speaks", "tool runs"])
def test_a_quiet_moment_is_waited_for_but_not_for_ever(busy):
    async def test(server, one, host, session):
        if busy == "agent speaks":
            host.unheard["resp_1/resp_1_item"] = 48
        elif busy == "caller speaks":
            await session.speech(started=True)
        else:
            await session.calls("resp_2", "look_up", "{}")
            await host.wait_for(ToolCall)
        await asyncio.sleep(115)
        assert server.connections == 1
        await asyncio.sleep(10)
        assert server.connections == 2, "the latest moment has come"
        second = await server.session()
        if busy == "tool runs":
            await one.tool_result("c1", {"state": "sent"})
            await second.next("response.create")
            assert "look_up" in second.texts[-1][1] and '"sent"' in second.texts[-1][1]
            assert "function_call_output" not in str(second.seen), "it does not know the call"
        if busy == "caller speaks":
            await second.next("response.create")
            assert "repeat" in second.texts[-1][1]

    run_virtually(virtually(test, max_session_s=60))


def test_when_the_quiet_moment_has_gone_the_next_session_waits_for_another_one():
    async def test(server, one, host, session):
        def slow(event):
            host.unheard["x"] = 1  # the agent begins to speak while the next session is configured
            return echo(event)

        server.updated = slow
        await asyncio.sleep(65)
        assert server.connections == 2 and session.socket.close_code is None
        second = await server.session()
        assert second.types == ["session.update"]
        host.past.append(Said("agent", "said meanwhile"))
        host.unheard.clear()
        await asyncio.sleep(1)
        assert session.socket.close_code == 1000
        assert second.texts[-1] == ("assistant", "said meanwhile"), "the history is the newest"

    run_virtually(virtually(test, max_session_s=60))


def test_a_session_lost_while_the_next_one_is_ready_costs_nothing():
    async def test(server, one, host, session):
        def busy(event):
            host.unheard["x"] = 1
            return echo(event)

        server.updated = busy
        await asyncio.sleep(65)
        second = await server.session()
        await session.socket.close(1001)
        one.send_audio(FRAME)
        await second.next("input_audio_buffer.append")
        assert server.connections == 2 and not host.of(Fault)

    run_virtually(virtually(test, max_session_s=60))


def test_a_renewal_that_fails_is_tried_again():
    async def test(server, one, host, session):
        server.refuse = HTTPStatus.SERVICE_UNAVAILABLE
        await asyncio.sleep(62)
        assert server.connections == 2
        server.refuse = None
        await asyncio.sleep(10)
        assert server.connections == 3 and session.socket.close_code == 1000
        (fault,) = host.of(Fault)
        assert (fault.code, fault.fatal) == ("renewal_failed", False)

    run_virtually(virtually(test, max_session_s=60))
