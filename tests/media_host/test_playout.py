import asyncio
import base64
import random

import pytest

from media_host.agents.base import Codec, Heard
from media_host.playout import BOUND_MS, LEAD_MS, Playout, Ticker, base64_bytes, piece_chars
from tests.support.timing import patience


class Clock:
    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


class Rig:
    """A playout, its clock and everything it hands to the line."""

    def __init__(self, codec=Codec.PCM16_24K, **more) -> None:
        self.clock, self.sent, self.taps, self.played = Clock(), [], [], []
        self.codec = codec
        self.playout = Playout(
            codec,
            lambda data: self.sent.append((self.clock.ms, data)),
            self.clock,
            ticker=Ticker(self.clock),
            recorder_tap=lambda at, data: self.taps.append((at, data)),
            on_played=self.played.append,
            **more,
        )

    def audio(self, ms: float, fill: int = 1) -> bytes:
        return base64.b64encode(bytes([fill]) * int(ms * self.codec.bytes_per_ms))

    def run(self, ms: float, step: float = 20.0) -> None:
        end = self.clock.ms + ms
        while self.clock.ms < end:
            self.clock.ms += step
            self.playout.tick(self.clock.ms)

    @property
    def heard(self) -> bytes:
        return b"".join(base64.b64decode(data) for _, data in self.sent)


@pytest.fixture
async def rig():
    rig = Rig()
    yield rig
    rig.playout.close()


@pytest.mark.parametrize(
    ("codec", "chars"),
    [(Codec.PCM16_24K, 1280), (Codec.PCM16_16K, 2560), (Codec.PCM16_8K, 1280), (Codec.ULAW_8K, 640)],
)
def test_pieces_are_whole_frames_without_padding(codec, chars):
    assert piece_chars(codec) == chars
    length = base64_bytes(base64.b64encode(bytes(chars * 3 // 4)))
    assert length % (codec.bytes_per_ms * 20) == 0


@pytest.mark.parametrize("size", range(1, 9))
def test_length_of_base64(size):
    assert base64_bytes(base64.b64encode(bytes(size))) == size


async def test_real_time_audio_is_passed_through_untouched_and_at_once(rig):
    """Byte for byte the same object: nothing is copied, decoded or delayed."""
    pieces = [rig.audio(20, n) for n in range(50)]
    for piece in pieces:
        rig.playout.push("t", piece)
        rig.clock.ms += 20
    assert all(sent is piece for (_, sent), piece in zip(rig.sent, pieces, strict=True))
    assert [at for at, _ in rig.sent] == [n * 20 for n in range(50)]


async def test_a_flood_is_paced_and_the_lead_stays_small(rig):
    rig.playout.push("t", rig.audio(5000))
    assert LEAD_MS <= sum(base64_bytes(data) for _, data in rig.sent) / 48 < LEAD_MS + 20
    for _ in range(300):
        rig.run(20)
        ahead = len(rig.heard) / 48 - rig.clock.ms
        assert ahead <= LEAD_MS + 20
        assert ahead > LEAD_MS - 45 or len(rig.heard) == 240_000
    assert rig.heard == bytes([1]) * 240_000
    assert not rig.playout._queue


@pytest.mark.parametrize("codec", [Codec.PCM16_24K, Codec.PCM16_16K, Codec.PCM16_8K, Codec.ULAW_8K])
async def test_every_sample_comes_out_once_in_order_whatever_the_pieces(codec):
    rig = Rig(codec)
    dice = random.Random(7)
    raw = dice.randbytes(codec.bytes_per_ms * 4000)
    at = 0
    while at < len(raw):
        size = 2 * dice.randrange(1, 9000)
        rig.playout.push("t", base64.b64encode(raw[at : at + size]))
        at += size
        rig.run(dice.choice([0, 20, 100]))
    rig.run(6000)
    assert rig.heard == raw
    assert all(base64_bytes(data) % 2 == 0 for _, data in rig.sent)
    rig.playout.close()


async def test_the_tap_sees_when_it_will_be_heard(rig):
    rig.playout.push("t", rig.audio(100))
    rig.playout.push("t", rig.audio(400))
    rig.run(600)
    ends = 0.0
    for at, data in rig.taps:
        assert at == pytest.approx(ends)
        ends = at + base64_bytes(data) / 48
    assert ends == pytest.approx(500)
    assert [data for _, data in rig.taps] == [data for _, data in rig.sent]


async def test_flush_tells_what_was_heard_and_sends_no_more(rig):
    rig.playout.push("a", rig.audio(300))
    rig.playout.push("b", rig.audio(3000))
    rig.run(650)
    count = len(rig.sent)
    assert rig.playout.flush() == [Heard("a", 300, 300), Heard("b", 210, 3000)]
    assert rig.playout.idle and rig.playout.lead_ms == 0 and rig.playout.left_ms == 0
    rig.run(500)
    assert len(rig.sent) == count
    assert rig.playout.flush() == []


async def test_after_a_flush_the_next_turn_starts_at_once(rig):
    rig.playout.push("a", rig.audio(3000))
    rig.playout.flush()
    rig.clock.ms += 5
    rig.playout.push("b", rig.audio(20, 9))
    assert rig.sent[-1] == (5.0, rig.audio(20, 9))


async def test_too_far_ahead_is_dropped_and_counted(rig):
    for _ in range(70):
        rig.playout.push("a", rig.audio(1000))
    assert rig.playout.lead_ms <= BOUND_MS + LEAD_MS + 20
    assert rig.playout.dropped_ms >= 38_000
    rig.run(40_000)
    assert len(rig.heard) / 48 + rig.playout.dropped_ms == pytest.approx(70_000)
    assert rig.playout.flush()[0].made_ms == pytest.approx(70_000 - rig.playout.dropped_ms)


async def test_nothing_is_left_to_be_heard_after_pieces_of_odd_lengths(rig):
    """A rest of rounding would keep a call that is over open until the longest farewell's time is up."""
    sizes = random.Random(5)
    for _ in range(40):
        rig.playout.push("t1", base64.b64encode(bytes(2 * sizes.randrange(3000, 9000))))
    rig.playout.end("t1")
    rig.run(20_000)
    assert len(rig.played) == 1 and rig.playout.left_ms == 0


async def test_played_is_told_once_after_the_last_sample_was_heard(rig):
    rig.playout.push("a", rig.audio(300))
    rig.playout.end("a")
    rig.run(440)
    assert rig.played == []
    rig.run(20)
    assert rig.played == [Heard("a", 300, 300)]
    rig.run(500)
    assert len(rig.played) == 1
    assert rig.playout.idle


async def test_a_turn_that_was_flushed_is_not_played(rig):
    rig.playout.push("a", rig.audio(300))
    rig.playout.end("a")
    rig.playout.flush()
    rig.run(1000)
    assert rig.played == []


async def test_a_line_that_echoes_marks_corrects_the_path():
    marks = []
    rig = Rig(send_mark=lambda name: marks.append((len(rig.sent), name)))
    rig.playout.push("a", rig.audio(20))
    assert marks == [(1, "g0.1")]  # behind the audio that it marks
    rig.clock.ms = 110.0
    rig.playout.marked("g0.1", 110.0)  # 20 ms of audio and 90 ms of path
    rig.playout.push("a", rig.audio(1000))
    rig.run(400)
    assert rig.playout.left_ms == pytest.approx(600 + 90)
    assert [name for _, name in marks] == ["g0.1", "g0.2", "g0.3", "g0.4"]
    rig.playout.marked("g0.3", rig.clock.ms)  # as late as it can be
    heard = rig.playout.flush()[0].heard_ms
    rig.playout.marked("g0.4", rig.clock.ms)  # a clear sends all of them back
    assert 20 < heard < 400
    rig.playout.push("b", rig.audio(20))
    assert marks[-1][1] == "g1.5"
    rig.playout.close()


async def test_a_line_without_marks_ignores_them(rig):
    rig.playout.push("a", rig.audio(20))
    rig.playout.marked("g0.1", 5000.0)
    rig.clock.ms = 400.0
    assert rig.playout.flush() == [Heard("a", 20, 20)]


async def test_a_turn_is_over_when_the_learnt_path_says_so():
    rig = Rig(send_mark=lambda name: None)
    rig.playout.push("a", rig.audio(20))
    rig.playout.marked("g0.1", 70.0)
    rig.playout.end("a")
    rig.run(60)
    assert rig.played == []
    rig.run(20)
    assert rig.played == [Heard("a", 20, 20)]
    rig.playout.close()


async def test_what_the_line_says_is_played_is_heard_whatever_the_clock_says():
    rig = Rig(send_mark=lambda name: None, path_delay_ms=150)
    rig.playout.push("t1", rig.audio(100))
    rig.playout.push("t2", rig.audio(60))
    rig.playout.end("t1")
    rig.clock.ms = 120
    rig.playout.heard_out()
    assert rig.played == [Heard("t1", 100, 100)]  # t2 may go on
    rig.playout.end("t2")
    rig.playout.heard_out()
    rig.run(1000)
    assert rig.played == [Heard("t1", 100, 100), Heard("t2", 60, 60)]
    assert rig.playout.idle


async def test_one_ticker_serves_all_and_rests_when_nothing_waits():
    ticker = Ticker()
    done = asyncio.Event()
    heard = {name: [] for name in "abc"}

    def finished(item):
        heard[item.turn].append(item)
        if all(heard.values()):
            done.set()

    from media_host.playout import clock_ms

    playouts = [
        Playout(
            Codec.PCM16_24K, lambda data: None, clock_ms, ticker=ticker, on_played=finished, path_delay_ms=0
        )
        for _ in heard
    ]
    for playout, name in zip(playouts, heard, strict=True):
        playout.push(name, base64.b64encode(bytes(48 * 300)))
        playout.end(name)
    assert ticker._timer is not None
    async with asyncio.timeout(patience(5)):
        await done.wait()
        while ticker._timer is not None:
            await asyncio.sleep(0.02)
    assert not ticker._busy
    playouts[0].push("a", base64.b64encode(bytes(48 * 1000)))
    assert ticker._timer is not None
    playouts[0].close()
    async with asyncio.timeout(patience(5)):
        while ticker._timer is not None:
            await asyncio.sleep(0.02)
