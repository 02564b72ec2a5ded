"""RFC 6455 against our connection as server, both ways of reading, whole and in single bytes."""

import asyncio
from dataclasses import replace
from http import HTTPStatus

import pytest

from media_host.framing import SERVER_LIMITS, Limits
from tests.support.peers import Listener, RawPeer, close_frame, frame, upgrade_request
from tests.support.timing import patience

LIMITS = Limits(max_message=2000, close_s=0.3)


@pytest.fixture(params=[True, False], ids=["fast", "library"])
def fast(request):
    return request.param


@pytest.fixture
async def line(fast):
    """An open connection with small limits."""
    listener = await Listener().as_server(fast=fast, limits=LIMITS)
    await listener.peer.upgrade()
    yield listener
    await listener.finish()


AUDIO = b'{"kind":"AudioData","audioData":{"data":"' + b"QUJD" * 300 + b'"}}'
UMLAUT = "häßlich".encode()

# name, what the peer sends, what must be delivered
GOOD = [
    ("one", [frame(b"hello")], [b"hello"]),
    ("empty", [frame(b"")], [b""]),
    ("125", [frame(b"x" * 125)], [b"x" * 125]),
    ("126", [frame(b"x" * 126)], [b"x" * 126]),
    ("the limit", [frame(b"x" * 2000)], [b"x" * 2000]),
    ("audio", [frame(AUDIO)], [AUDIO]),
    ("zero mask", [frame(b"hello", mask=b"\0\0\0\0")], [b"hello"]),
    ("mask of ones", [frame(b"hello", mask=b"\xff\xff\xff\xff")], [b"hello"]),
    ("not ASCII", [frame(UMLAUT)], [UMLAUT]),
    ("many", [frame(b"%d" % n) for n in range(40)], [b"%d" % n for n in range(40)]),
    ("two fragments", [frame(b"hel", fin=False), frame(b"lo", opcode=0)], [b"hello"]),
    (
        "three fragments",
        [frame(b"h", fin=False), frame(b"el", opcode=0, fin=False), frame(b"lo", opcode=0)],
        [b"hello"],
    ),
    ("empty fragments", [frame(b"", fin=False), frame(b"", opcode=0)], [b""]),
    ("a letter in two fragments", [frame(UMLAUT[:2], fin=False), frame(UMLAUT[2:], opcode=0)], [UMLAUT]),
    (
        "ping between fragments",
        [frame(b"hel", fin=False), frame(b"?", opcode=9), frame(b"lo", opcode=0), frame(b"next")],
        [b"hello", b"next"],
    ),
    ("pong nobody asked for", [frame(b"", opcode=10), frame(b"hello")], [b"hello"]),
    ("text, ping, text", [frame(b"a"), frame(b"", opcode=9), frame(b"b")], [b"a", b"b"]),
    ("long form of a short length", [b"\x81\xfe\x00\x05\0\0\0\0hello"], [b"hello"]),
    ("64-bit form of a short length", [b"\x81\xff" + b"\0" * 7 + b"\x05\0\0\0\0hello"], [b"hello"]),
]

# name, what the peer sends, close code that it gets, texts delivered before
BAD = [
    ("not masked", [frame(b"hello", mask=None)], 1002),
    ("not masked, long", [frame(b"x" * 200, mask=None)], 1002),
    ("reserved bit 1", [frame(b"hello", rsv=4)], 1002),
    ("reserved bit 2", [frame(b"hello", rsv=2)], 1002),
    ("reserved bit 3", [frame(b"hello", rsv=1)], 1002),
    ("opcode 3", [frame(b"hello", opcode=3)], 1002),
    ("opcode 11", [frame(b"", opcode=11)], 1002),
    ("fragmented ping", [frame(b"", opcode=9, fin=False)], 1002),
    ("long ping", [frame(b"x" * 126, opcode=9)], 1002),
    ("continuation of nothing", [frame(b"lo", opcode=0)], 1002),
    ("text inside a message", [frame(b"hel", fin=False), frame(b"text")], 1002),
    ("close inside a message", [frame(b"hel", fin=False), close_frame(1000)], 1002),
    ("close of one byte", [frame(b"\x03", opcode=8)], 1002),
    ("close with 1005", [close_frame(1005)], 1002),
    ("close with 999", [close_frame(999)], 1002),
    ("close reason not UTF-8", [frame(b"\x03\xe8\xff", opcode=8)], 1007),
    ("one too big", [frame(b"x" * 2001)], 1009),
    ("too big by its header alone", [frame(b"", length=70_000)], 1009),
    ("monstrous by its header alone", [frame(b"", length=2**62)], 1009),
    ("too big in fragments", [frame(b"x" * 1500, fin=False), frame(b"x" * 501, opcode=0)], 1009),
    ("binary", [frame(b"\0\1", opcode=2)], 1003),
    ("binary fragment", [frame(b"\0\1", opcode=2, fin=False), frame(b"", opcode=0)], 1003),
    ("not UTF-8", [frame(b"\xff\xfe")], 1007),
    ("overlong UTF-8", [frame(b"\xc0\xaf")], 1007),
    ("surrogate", [frame(b"\xed\xa0\x80")], 1007),
    ("half a letter", [frame(UMLAUT[:2])], 1007),
    ("half a letter in fragments", [frame(b"a", fin=False), frame(UMLAUT[:2], opcode=0)], 1007),
]


def pieces(frames, size):
    stream = b"".join(frames)
    return [stream[at : at + size] for at in range(0, len(stream), size)]


@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["bytes", "sevens", "whole"])
@pytest.mark.parametrize(("sent", "texts"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
async def test_messages_are_delivered_once_in_order(line, sent, texts, size):
    for piece in pieces(sent, size):
        line.connection.data_received(piece)
    assert line.texts == texts
    assert line.closes == []


@pytest.fixture
async def binary_line(opened, fast):
    """An open connection that takes binary messages too."""
    listener = await opened(fast, LIMITS, binary=True)
    await listener.peer.upgrade()
    return listener


def as_binary(frames):
    """The same frames with opcode 2 instead of 1."""
    return [bytes([raw[0] + 1]) + raw[1:] if raw[0] & 0x0F == 1 else raw for raw in frames]


@pytest.mark.parametrize("size", [1, 7, 100_000], ids=["bytes", "sevens", "whole"])
@pytest.mark.parametrize(("sent", "messages"), [case[1:] for case in GOOD], ids=[case[0] for case in GOOD])
async def test_binary_messages_are_delivered_like_texts_where_they_are_wanted(
    binary_line, sent, messages, size
):
    for piece in pieces(as_binary(sent), size):
        binary_line.connection.data_received(piece)
    assert binary_line.binaries == messages
    assert binary_line.texts == binary_line.closes == []


MIXED = [
    ("any bytes", [frame(bytes(range(256)), opcode=2)], [bytes(range(256))]),
    ("no UTF-8", [frame(b"\xff\xfe", opcode=2)], [b"\xff\xfe"]),
    (
        "no UTF-8 in fragments",
        [frame(b"\xff", opcode=2, fin=False), frame(b"\xfe", opcode=0)],
        [b"\xff\xfe"],
    ),
    ("one after the other", [frame(b"a"), frame(b"b", opcode=2), frame(b"c")], ["a", b"b", "c"]),
    (
        "text behind binary fragments is text",
        [frame(b"a", opcode=2, fin=False), frame(b"b", opcode=0), frame(b"c", fin=False), frame(b"d", opcode=0)],
        [b"ab", "cd"],
    ),
    (
        "binary behind text fragments is binary",
        [frame(b"a", fin=False), frame(b"b", opcode=0), frame(b"\xff", opcode=2, fin=False), frame(b"", opcode=0)],
        ["ab", b"\xff"],
    ),
    ("the limit", [frame(b"\x80" * 2000, opcode=2)], [b"\x80" * 2000]),
]  # fmt: skip


@pytest.mark.parametrize("size", [1, 100_000], ids=["bytes", "whole"])
@pytest.mark.parametrize(("sent", "messages"), [case[1:] for case in MIXED], ids=[case[0] for case in MIXED])
async def test_both_kinds_keep_their_order_and_their_kind(binary_line, sent, messages, size):
    for piece in pieces(sent, size):
        binary_line.connection.data_received(piece)
    assert binary_line.messages == messages


BAD_BINARY = [(name, as_binary(sent), code) for name, sent, code in BAD if code in (1002, 1009)] + [
    ("binary inside a text", [frame(b"a", fin=False), frame(b"b", opcode=2)], 1002),
    ("text inside a binary", [frame(b"a", opcode=2, fin=False), frame(b"b")], 1002),
    ("a text that is no UTF-8", [frame(b"\xff")], 1007),
]


@pytest.mark.parametrize("size", [1, 100_000], ids=["bytes", "whole"])
@pytest.mark.parametrize(
    ("sent", "code"), [case[1:] for case in BAD_BINARY], ids=[case[0] for case in BAD_BINARY]
)
async def test_the_rules_hold_for_binary_messages(binary_line, sent, code, size):
    for piece in pieces([frame(b"before", opcode=2), *sent, frame(b"behind", opcode=2)], size):
        binary_line.connection.data_received(piece)
    assert await binary_line.peer.close_code() == code
    assert binary_line.messages == [b"before"]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
async def test_binary_that_we_send_arrives(line, size):
    assert line.connection.send_binary(b"\xff" * size)
    assert line.connection.send_text(b"x" * size)
    assert await line.peer.frame() == (2, b"\xff" * size)
    assert await line.peer.frame() == (1, b"x" * size)


async def test_a_fault_in_the_callback_for_binary_and_a_close_from_it(binary_line):
    binary_line.hook = lambda data: binary_line.connection.close(1000)
    binary_line.peer.writer.write(frame(b"one", opcode=2) + frame(b"two", opcode=2))
    assert await binary_line.peer.close_code() == 1000
    assert binary_line.binaries == [b"one"]
    assert not binary_line.connection.send_binary(b"too late")


@pytest.mark.parametrize("size", [1, 100_000], ids=["bytes", "whole"])
@pytest.mark.parametrize(("sent", "code"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_a_broken_rule_closes_with_its_code_and_nothing_behind_it_is_delivered(line, sent, code, size):
    for piece in pieces([frame(b"before"), *sent, frame(b"behind")], size):
        line.connection.data_received(piece)
    assert await line.peer.close_code() == code
    assert line.texts == [b"before"]
    assert (await line.close_told())[0] == code


async def test_over_a_real_socket_in_single_bytes(line):
    for piece in pieces([frame(b"one"), frame(b"two"), frame(b"", opcode=9)], 1):
        line.peer.writer.write(piece)
        await line.peer.writer.drain()
    assert await line.got(2) == [b"one", b"two"]
    assert await line.peer.frame() == (10, b"")


async def test_ping_is_answered_with_its_payload(line):
    line.peer.writer.write(frame(b"are you there", opcode=9))
    assert await line.peer.frame() == (10, b"are you there")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 1400, 65_535, 65_536, 100_000])
async def test_what_we_send_arrives(line, size):
    assert line.connection.send_text(b"x" * size)
    assert await line.peer.frame() == (1, b"x" * size)


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (3000, "häßlich"), (4999, "")])
async def test_the_peers_farewell_is_echoed_and_told_once(line, code, reason):
    line.peer.writer.write(close_frame(code, reason))
    assert await line.peer.close_code() == code
    assert await line.close_told() == (code, reason)
    assert not line.connection.send_text(b"too late")
    await line.peer.end()
    assert len(line.closes) == 1


async def test_a_farewell_without_code_is_1005(line):
    line.peer.writer.write(frame(b"", opcode=8))
    assert (await line.close_told())[0] == 1005


async def test_our_farewell_is_told_when_it_is_answered(line):
    line.connection.close(1000, "done")
    assert not line.connection.send_text(b"too late")
    line.peer.writer.write(frame(b"crossing"))
    assert await line.peer.close_code() == 1000
    assert line.closes == []
    line.peer.writer.write(close_frame(1000, "done"))
    assert await line.close_told() == (1000, "done")
    assert line.texts == []
    line.connection.close(1001)  # idempotent


async def test_a_farewell_that_is_never_answered_is_cut(line):
    line.connection.close(1000)
    assert await line.close_told() == (1006, "")


async def test_a_cut_line_is_1006(line):
    line.peer.writer.write(frame(b"half")[:5])
    line.peer.writer.close()
    assert await line.close_told() == (1006, "")


async def test_a_fault_in_the_callback_ends_this_connection_only(line, caplog):
    def fault(data):
        raise ValueError(data)

    line.hook = fault
    line.peer.writer.write(frame(b"one") + frame(b"two"))
    assert await line.peer.close_code() == 1011
    assert (await line.close_told())[0] == 1011
    assert line.texts == [b"one"]
    assert "ended by a fault of our own" in caplog.text


async def test_the_callback_may_close(line):
    line.hook = lambda data: line.connection.close(1000)
    line.peer.writer.write(frame(b"one") + frame(b"two") + frame(UMLAUT))
    assert await line.peer.close_code() == 1000
    assert line.texts == [b"one"]


@pytest.fixture
async def opened():
    """Makes listeners and ends them, whatever the test did."""
    listeners = []

    async def make(fast, limits=LIMITS, **more):
        listeners.append(await Listener().as_server(fast=fast, limits=limits, **more))
        return listeners[-1]

    yield make
    for listener in listeners:
        await listener.finish()


@pytest.fixture
def with_limits(opened, fast):
    async def make(**changes):
        listener = await opened(fast, replace(SERVER_LIMITS, **changes))
        await listener.peer.upgrade()
        return listener

    return make


async def test_too_many_messages_are_1008(with_limits):
    line = await with_limits(rate=20)
    line.peer.writer.write(b"".join(frame(b"%d" % n) for n in range(100)))
    assert await line.peer.close_code() == 1008
    assert (await line.close_told())[0] == 1008
    assert len(line.texts) < 21


async def test_too_many_binary_messages_are_1008(opened, fast):
    line = await opened(fast, replace(SERVER_LIMITS, rate=20), binary=True)
    await line.peer.upgrade()
    line.peer.writer.write(frame(b"\xff", opcode=2) * 100)
    assert await line.peer.close_code() == 1008
    assert len(line.binaries) < 21


async def test_pings_count_too(with_limits):
    line = await with_limits(rate=20)
    line.peer.writer.write(frame(b"", opcode=9) * 100)
    assert await line.peer.close_code() == 1008


async def test_a_steady_pace_below_the_rate_goes_on(with_limits):
    line = await with_limits(rate=5)
    line.connection._budget_since -= 2  # the first five took longer than a second
    line.peer.writer.write(b"".join(frame(b"%d" % n) for n in range(9)))
    assert len(await line.got(9)) == 9
    assert line.closes == []


async def test_no_first_message_is_1008(with_limits):
    line = await with_limits(first_message_s=0.05)
    assert await line.peer.close_code() == 1008


async def test_silence_after_the_first_message_is_1001(with_limits):
    line = await with_limits(first_message_s=0.2, idle_s=0.1)
    line.peer.writer.write(frame(b"one"))
    assert await line.peer.close_code() == 1001
    assert await line.close_told() == (1001, "idle")


async def test_keepalive_asks_and_is_content_with_an_answer(with_limits):
    line = await with_limits(ping_interval_s=0.05, ping_timeout_s=patience(5))
    for _ in range(2):
        assert (await line.peer.frame())[0] == 9
        line.peer.writer.write(frame(b"", opcode=10))
    assert line.closes == []


async def test_a_half_open_connection_is_cut(with_limits):
    line = await with_limits(ping_interval_s=0.05, ping_timeout_s=0.05)
    assert await line.close_told() == (1006, "")


async def test_a_slow_peer_costs_bounded_memory_and_drops_are_counted(with_limits):
    line = await with_limits(write_bound=50_000)
    line.peer.writer.transport.pause_reading()
    sent = [line.connection.send_text(b"x" * 1400) for _ in range(20_000)]
    assert not line.connection.send_binary(b"x")
    waiting = line.connection._waiting()
    assert waiting < 60_000
    assert line.connection.dropped - 1 == sent.count(False) > 0
    while line.connection.send_text(b"x" * 1400, must=True):
        pass
    assert 99_000 < line.connection._waiting() < 110_000
    line.peer.writer.transport.resume_reading()
    for _ in range(sent.count(True)):
        assert await line.peer.frame() == (1, b"x" * 1400)
    assert line.connection.send_text(b"again")


async def test_a_peer_that_asks_without_reading_is_cut(with_limits):
    line = await with_limits(write_bound=10_000, rate=0)
    line.peer.writer.transport.pause_reading()
    ping = frame(b"x" * 125, opcode=9) * 100
    async with asyncio.timeout(patience(20)):
        while not line.closes:
            line.connection.data_received(ping)
            await asyncio.sleep(0)
    assert line.closes[0][0] == 1006


# --- handshake


async def test_frames_that_come_with_the_request_are_not_lost(opened, fast):
    line = await opened(fast, LIMITS)
    line.peer.writer.write(upgrade_request() + frame(b"early") + frame(b"next")[:4])
    assert (await line.peer.head()).startswith(b"HTTP/1.1 101 ")
    line.peer.writer.write(frame(b"next")[4:])
    assert await line.got(2) == [b"early", b"next"]


async def test_request_in_single_bytes(opened, fast):
    line = await opened(fast, LIMITS)
    for byte in upgrade_request():
        line.peer.writer.write(bytes([byte]))
        await line.peer.writer.drain()
    assert (await line.peer.head()).startswith(b"HTTP/1.1 101 ")


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (upgrade_request().replace(b"Version: 13", b"Version: 8"), 400),
        (upgrade_request().replace(b"GET", b"POST"), 405),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 4000, 431),
    ],
)
async def test_no_valid_upgrade(opened, request_bytes, status):
    line = await opened(True, LIMITS)
    assert (await line.peer.http(request_bytes))[0] == status
    assert line.closes == []


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01 TLS?\r\n\r\n", b"GET /\r\n\r\n", b"\r\n\r\n", b"\0" * 20_000]
)
async def test_what_is_no_http_is_ended(opened, garbage):
    line = await opened(True, LIMITS)
    line.peer.writer.write(garbage)
    await line.peer.end()
    assert line.closes == []


async def test_refusal_has_a_status_and_a_line_of_text(opened):
    line = await opened(True, LIMITS, status=HTTPStatus.UNAUTHORIZED)
    assert await line.peer.http(upgrade_request()) == (401, b"no\n")
    assert line.closes == []


async def test_a_peer_that_never_asks_is_cut(opened):
    line = await opened(True, replace(LIMITS, handshake_s=0.05))
    assert await line.peer.end() == b""


async def test_undecided_handshake_reads_no_more(opened, fast):
    """Until we know who it is, the peer cannot make us keep more than one head."""
    line = await opened(fast, replace(LIMITS, handshake_s=0.2))
    line.connection._on_request = lambda connection, request: None
    line.peer.writer.write(upgrade_request())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.15):
            while True:
                line.peer.writer.write(b"x" * 65_536)
                await line.peer.writer.drain()
    assert len(line.connection._tail) <= 300_000
    await line.peer.end()


async def test_two_connections_share_nothing(opened, fast):
    line = await opened(fast, LIMITS)
    first = line.connection
    other = await RawPeer.dial(line._server.sockets[0].getsockname()[1])
    await other.upgrade()
    assert line.connection is not first
    line.peer.writer.write(frame(b"hel"))
    await other.close()
    async with asyncio.timeout(patience(5)):
        await line.connection.wait_closed()
    assert not first.closed.is_set()
    await line.peer.close()
    async with asyncio.timeout(patience(5)):
        await first.wait_closed()
