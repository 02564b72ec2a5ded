"""A lost session that cannot be had again: how long it is sought, and what is left behind."""

import asyncio
from http import HTTPStatus

import pytest

from media_host.agents.base import AgentStart, Codec, Delayed, Fault
from media_host.agents.realtime import agent as agent_module
from media_host.agents.realtime import renewal
from shared.errors import AgentUnavailable
from tests.media_host.agents.realtime.lasting import greeted, virtually
from tests.media_host.agents.realtime.support import FRAME, START, Host, agent
from tests.support.realtime_server import RealtimeServer, echo
from tests.support.timing import patience
from tests.support.virtual_loop import run_virtually


def test_a_model_that_does_not_come_back_is_given_up_after_three_tries():
    async def test(server, one, host, session):
        server.refuse = HTTPStatus.SERVICE_UNAVAILABLE
        began = asyncio.get_running_loop().time()
        await session.socket.close(1012)
        fault = await host.wait_for(Fault)
        assert (fault.code, fault.fatal) == ("agent_lost", True)
        assert server.connections == 1 + renewal.TRIES
        assert asyncio.get_running_loop().time() - began < renewal.WITHIN_S
        one.send_audio(FRAME)
        await one.close()
        assert host.log[-1] is fault

    run_virtually(virtually(test))


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND])
def test_a_model_that_does_not_let_us_in_again_is_given_up_at_once(status):
    async def test(server, one, host, session):
        server.refuse = status
        await session.socket.close(1001)
        assert (await host.wait_for(Fault)).fatal
        assert server.connections == 2

    run_virtually(virtually(test))


def test_a_model_that_hangs_mid_handshake_is_given_up_in_time(monkeypatch):
    async def test(server, one, host, session):
        server.updated = lambda event: None
        began = asyncio.get_running_loop().time()
        await session.socket.close(1001)
        assert (await host.wait_for(Fault)).fatal
        assert asyncio.get_running_loop().time() - began <= renewal.WITHIN_S + 0.1

    run_virtually(virtually(test))


def test_a_model_that_is_lost_again_and_again_is_given_up():
    async def test(server, one, host, session):
        for _ in range(renewal.LOSSES):
            await session.socket.close(1011)
            session = await server.session()
            await session.next("session.update")
            await asyncio.sleep(0.1)
        await session.socket.close(1011)
        assert (await host.wait_for(Fault)).fatal
        assert len(host.of(Delayed)) == renewal.LOSSES

    run_virtually(virtually(test))


def test_a_rule_that_was_broken_is_not_broken_again():
    async def test(server, one, host, session):
        await session.socket.close(1008)
        assert (await host.wait_for(Fault)).fatal
        assert server.connections == 1

    run_virtually(virtually(test))


def test_more_connections_than_the_resource_allows_are_not_tried():
    async def test(server, one, host, session):
        await session.socket.close(1001)
        fault = await host.wait_for(Fault)
        assert fault.fatal and "connections" in fault.message
        assert server.connections == 1

    run_virtually(virtually(test, connections_per_minute=1))


async def test_a_mistake_of_ours_is_the_agents_last_word_and_not_its_silence(monkeypatch):
    def broken(*args):
        raise ZeroDivisionError

    async with RealtimeServer() as server:
        monkeypatch.setattr(agent_module, "Renewal", broken)
        one, host = agent(server.endpoint), Host()
        await one.start(AgentStart("c", Codec.PCM16_24K), host)
        fault = await host.wait_for(Fault)
        assert (fault.code, fault.fatal) == ("agent_crashed", True)
        await one.close()


async def test_closing_while_a_new_session_is_sought_leaves_nothing_behind():
    async with RealtimeServer() as server:
        one, _host, session = await greeted(server)
        server.updated = lambda event: None
        await session.socket.close(1001)
        second = await server.session()
        await second.next("session.update")
        await one.close()
        async with asyncio.timeout(patience(10)):
            await second.ended.wait()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("realtime")]


async def test_a_model_that_hangs_up_at_once_is_not_taken_for_a_session():
    async def hang_up(event):
        await (await server.session()).socket.close(1011)

    async with RealtimeServer() as server:
        hanging = []

        def updated(event):
            hanging.append(asyncio.create_task(hang_up(event)))
            return echo(event)

        server.updated = updated
        one, host = agent(server.endpoint), Host()
        try:
            await one.start(START, host)
        except AgentUnavailable:
            pass
        else:  # it was there for a moment: then it is lost as any other, not kept as a corpse
            await host.wait_for(Delayed)
        await asyncio.gather(*hanging)
        await one.close()
