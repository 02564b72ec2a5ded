import asyncio
import contextlib
import time

import pytest
from websockets.asyncio.client import connect as ws_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from media_host import server as server_module
from media_host.agents.base import Fault
from shared.calls.admission import admit, heartbeats
from shared.errors import StoreUnavailable
from tests.support.media_world import NOTICE, open_media_world
from tests.support.peers import RawPeer, upgrade_request
from tests.support.timing import patience


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch) as world:
        yield world


async def get(world, path, **headers):
    peer = await RawPeer.dial(world.host.server.port)
    lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers.items())]
    answer = await peer.http("\r\n".join([*lines, "", ""]).encode())
    await peer.close()
    return answer


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/healthz", 200),
        ("/acs/token", 400),
        ("/acs/token?x=1", 400),
        ("/acs/", 404),
        ("/acs", 404),
        ("/acs/a/b", 404),
        ("/", 404),
        ("/healthz/", 404),
        ("/../healthz", 404),
        ("/acs/" + "x" * 3000, 404),
        ("/acs/" + "x" * 9000, 414),
    ],
)
async def test_plain_requests(world, path, status):
    assert (await get(world, path))[0] == status


async def test_other_methods_and_no_http_are_no_crash(world):
    for text in (
        b"POST /healthz HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi",
        b"\x16\x03\x01\x02",
        b"GET\r\n\r\n",
    ):
        peer = await RawPeer.dial(world.host.server.port)
        peer.writer.write(text)
        peer.writer.write_eof()
        await peer.end()
        await peer.close()
    assert (await get(world, "/healthz"))[0] == 200


async def test_readiness_follows_the_heartbeat(world, monkeypatch):
    await world.eventually(lambda: world.host.capacity.ready)
    assert await get(world, "/readyz") == (200, b"ready\n")
    [beat] = await heartbeats(world.store)
    assert (beat.host_id, beat.active, beat.capacity, beat.draining) == ("host-a", 0, 20, False)

    async def away(*args):
        raise StoreUnavailable("away")

    monkeypatch.setattr(world.host._store, "get", away)
    world.offset += 6  # five seconds without a heartbeat
    assert (await get(world, "/readyz"))[0] == 503
    assert (await get(world, "/healthz"))[0] == 200
    monkeypatch.undo()
    await world.eventually(lambda: world.host.capacity.ready)


async def test_the_heartbeat_counts_calls(world):
    await world.talk()

    async def counted():
        return [beat for beat in await heartbeats(world.store) if beat.active == 1]

    await world.eventually(counted)


async def test_full_is_503_and_the_others_do_not_notice(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, capacity=3) as world:
        lines = [await world.talk() for _ in range(3)]
        with pytest.raises(InvalidStatus) as caught:
            await world.dial(await world.call())
        assert caught.value.response.status_code == 503
        assert await get(world, "/readyz") == (503, b"full\n")
        for _, line, agent in lines:
            frame = await line.speak()
            await world.eventually(lambda agent=agent, frame=frame: agent.heard == [frame])
        await lines[0][1].hang_up()
        await world.ended(lines[0][0])
        await world.talk()


async def test_a_burst_at_the_limit_lets_in_exactly_the_capacity(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, capacity=5) as world:
        calls = [await world.call() for _ in range(12)]
        results = await asyncio.gather(*(world.dial(call) for call in calls), return_exceptions=True)
        refused = [item.response.status_code for item in results if isinstance(item, InvalidStatus)]
        assert refused == [503] * 7
        assert world.host.server.active == 5


async def test_work_before_authentication_is_bounded(world, monkeypatch):
    hold = asyncio.Event()

    async def slow(*args):
        await hold.wait()
        raise AssertionError("never")

    monkeypatch.setattr(server_module, "MAX_PENDING", 4)
    monkeypatch.setattr(world.host.server._door, "check", slow)
    peers = [await RawPeer.dial(world.host.server.port) for _ in range(6)]
    for peer in peers:
        peer.writer.write(upgrade_request("/acs/x"))
    heads = await asyncio.gather(*(peer.head() for peer in peers[4:]))
    assert all(head.startswith(b"HTTP/1.1 503") for head in heads)
    monkeypatch.setattr(server_module, "AUTH_S", 0.0)
    hold.set()
    await asyncio.gather(*(peer.head() for peer in peers[:4]))  # 500: the door failed, and stays closed
    for peer in peers:
        await peer.close()
    assert world.agents == []


async def test_strangers_are_bounded(world, monkeypatch):
    monkeypatch.setattr(server_module, "MAX_STRANGERS", 3)
    peers = [await RawPeer.dial(world.host.server.port) for _ in range(3)]
    await world.eventually(lambda: len(world.host.server._strangers) == 3)
    fourth = await RawPeer.dial(world.host.server.port)
    assert await fourth.end() == b""
    for peer in [*peers, fourth]:
        await peer.close()
    await world.eventually(lambda: not world.host.server._strangers)
    assert (await get(world, "/healthz"))[0] == 200


async def test_twenty_calls_at_once_hear_nothing_of_each_other(world):
    world.agent_options["echo"] = True
    calls = [await world.call() for _ in range(20)]
    lines = await asyncio.gather(*(world.dial(call) for call in calls))
    await world.eventually(lambda: len(world.agents) == 20 and all(a.started.is_set() for a in world.agents))
    frame = 24000 // 25
    for _ in range(10):
        await asyncio.gather(*(line.speak(fill=n + 1) for n, line in enumerate(lines)))
        await asyncio.sleep(0.02)
    for n, line in enumerate(lines):
        await world.eventually(lambda n=n, line=line: line.heard == bytes([n + 1]) * frame * 10)


async def test_one_calls_fault_is_that_calls_alone(world):
    _, bad_line, bad = await world.talk()
    _, line, agent = await world.talk()
    bad.crash = RuntimeError("a bug")
    await bad_line.speak(1)
    assert await bad_line.gone() == 1000
    frame = await line.speak()
    await world.eventually(lambda: agent.heard == [frame])


async def tiny(line):
    for _ in range(2000):
        await line.connection.send("{}")


@pytest.mark.parametrize(
    ("misbehave", "code"),
    [
        (lambda line: line.connection.send("x" * 65_537), 1009),
        (lambda line: line.connection.send(b"binary"), 1003),
        (lambda line: line.connection.send([b"\xff\xfe"], text=True), 1007),
        (tiny, 1008),
    ],
    ids=["oversize", "binary", "not UTF-8", "a flood"],
)
async def test_a_line_that_breaks_the_rules_is_closed_and_the_others_do_not_notice(world, misbehave, code):
    world.agent_options["echo"] = True
    call_id, bad_line, _ = await world.talk()
    _, line, _ = await world.talk()
    await line.speak(20, fill=1)
    with contextlib.suppress(ConnectionClosed):
        await misbehave(bad_line)
    await line.speak(20, fill=1)
    assert await bad_line.gone() == code
    await line.speak(20, fill=1)
    await world.eventually(lambda: line.heard == bytes([1]) * (24000 // 25) * 60)
    record = await world.ended(call_id)
    assert ("line_refused", f"WebSocket close code {code}") in [
        (fault["code"], fault["message"]) for fault in record.faults
    ]


async def test_a_closing_line_while_the_agent_fails_is_one_end(world):
    call_id, line, agent = await world.talk()
    agent.host.event(Fault("x", "y", True))
    await line.close()
    record = await world.ended(call_id)
    assert record.outcome["reason"] == "x"


# --- drain


async def test_drain_takes_nobody_from_now_on_and_lets_calls_finish(world):
    _, line, agent = await world.talk()
    await world.eventually(lambda: world.host.capacity.ready)
    port = world.host.server.port
    call_id = await world.call(connection="cc-2")
    draining = asyncio.create_task(world.host.drain())
    await asyncio.sleep(0)
    began = time.monotonic()
    assert not world.host.capacity.ready

    async def told():
        return not await admit(world.store, world.now())

    await world.eventually(told)
    assert time.monotonic() - began < patience(1)
    # Nobody listens: whoever shares the port gets the connection, and a platform tries another host.
    assert world.host.server.port == 0
    with pytest.raises(ConnectionRefusedError):
        await ws_connect(f"ws://127.0.0.1:{port}/acs/{await world.token(call_id)}")
    frame = await line.speak()
    await world.eventually(lambda: agent.heard == [frame])
    assert not draining.done()
    await line.hang_up()
    async with asyncio.timeout(patience(5)):
        await draining
    assert world.host.server.active == 0


async def test_who_was_at_the_door_when_the_drain_began_is_refused(world, monkeypatch):
    check, go = world.host.server._door.check, asyncio.Event()

    async def slow(*args):
        entry = await check(*args)
        await go.wait()
        return entry

    monkeypatch.setattr(world.host.server._door, "check", slow)
    dialling = asyncio.create_task(world.dial(await world.call()))
    await world.eventually(lambda: world.host.server._checks)
    draining = asyncio.create_task(world.host.drain())
    await world.eventually(lambda: world.host.capacity.draining)
    go.set()
    with pytest.raises(InvalidStatus) as caught:
        await dialling
    assert caught.value.response.status_code == 503
    await draining


async def test_at_the_deadline_calls_are_told_recorded_and_closed_1001(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, drain_s=0.2) as world:
        calls = [await world.talk() for _ in range(3)]
        async with asyncio.timeout(patience(8)):
            await world.host.drain()
        for call_id, line, agent in calls:
            assert await line.gone() == 1001
            assert line.heard == NOTICE * 4800
            assert agent.closed.is_set()
            record = await world.record(call_id)
            assert (record.ended.reason, record.outcome["transferType"]) == ("drain_deadline", "SYSTEM")
        assert len(world.acs.of("terminate")) == 3


async def test_a_closed_host_leaves_no_heartbeat(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch) as world:
        await world.eventually(lambda: world.host.capacity.ready)
        await world.host.capacity.close()
        assert await heartbeats(world.store) == []
