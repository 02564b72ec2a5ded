"""What was heard, at 60 random moments a line; the bench does the same with 1,000 (docs/bench.md)."""

import asyncio
import base64
import json

import numpy
import pytest

from bench import interruptions
from bench.barge_in import KINDS, cells, of_host, of_points, quantile, run, summary, verdict
from bench.ear import AcsEnd, Ear, MarkEnd, speech, voices
from bench.interruptions import Call, interruption
from bench.stop_audio import Found, measure
from bench.talkers import Interruption
from media_host.agents.base import Codec
from media_host.ledger import Ledger
from media_host.marks import Marks
from shared.wire.acs_media import STOP_AUDIO, encode_audio
from tests.support.timing import patience

POINTS = 60


def row(kind, numbers=range(POINTS)):
    return of_points([interruption(kind, number) for number in numbers])


@pytest.mark.parametrize("kind", ["acs", "marks"])
def test_what_is_reported_is_what_was_heard_and_nothing_stale_is(kind):
    found = row(kind)
    assert verdict(kind, found) == []
    assert found["points"] == POINTS and found["stale"] == 0


def test_an_interruption_can_be_had_again():
    assert interruption("marks", 3) == interruption("marks", 3)
    assert interruption("marks", 3) != interruption("marks", 4)


def test_without_marks_a_wrong_path_is_believed():
    """The bench sees it, so it would see a ledger that is wrong."""
    assert row("acs, path guessed", range(12))["p95"] > 50


def test_a_ledger_that_forgets_the_path_is_found_out(monkeypatch):
    monkeypatch.setattr(Ledger, "__init__", _without_delay(Ledger.__init__))
    assert verdict("acs", row("acs", range(10)))


def test_marks_of_a_flush_that_count_are_found_out(monkeypatch):
    monkeypatch.setattr(Marks, "echoed", lambda self, name, now_ms: None)
    assert verdict("marks", row("marks", range(12)))


def _without_delay(init):
    return lambda self, delay_ms=0.0: init(self, 0.0)


def test_a_session_that_goes_on_talking_is_found_out(monkeypatch):
    monkeypatch.setattr(
        interruptions.Call, "_push", lambda self, voice, audio: self.playout.push(str(voice), audio)
    )
    assert row("acs", range(5))["stale"] > 0


def test_nobody_is_interrupted_who_does_not_speak():
    import random

    assert not Call("acs", random.Random(1)).interrupt(-1)


# --- the ears ----------------------------------------------------------------------------------------------------


def test_an_ear_hears_later_and_only_what_was_played():
    ear = Ear(100)
    ear.hear(0, 1, 20)
    ear.hear(20, 2, 20)
    assert ear.heard(90) == {}
    assert ear.heard(125) == {1: 20, 2: 5}
    ear.stopped(30)
    assert ear.heard(1000) == {1: 20, 2: 10}


def test_the_acs_end_plays_20_ms_a_tick_and_forgets_what_is_stopped():
    end = AcsEnd(0)
    assert end.take_in(encode_audio(speech(Codec.PCM16_24K, 5, 50)), 0) == "audio"
    end.tick(0)
    end.tick(20)
    assert end.ear.heard(30) == {5: 30}
    end.forbidden.add(5)
    assert end.take_in(STOP_AUDIO, 30) == "stop"
    end.tick(40)
    assert (end.ear.heard(100), end.stale) == ({5: 40}, 0)
    end.take_in(encode_audio(speech(Codec.PCM16_24K, 5, 20)), 50)
    end.tick(60)
    assert end.stale == 2  # it came, and it was played
    assert end.take_in(b"{}", 70) == "other"


def test_the_mark_end_echoes_when_all_before_is_played_and_all_at_once_after_a_clear():
    echoes = []
    end = MarkEnd(lambda at, name: echoes.append((at, name)))
    end.take_in(speech(Codec.ULAW_8K, 3, 60), 100)
    end.mark("a", 100)
    end.take_in(speech(Codec.ULAW_8K, 4, 60), 110)
    end.mark("b", 110)
    end.tick(159)
    assert echoes == []
    end.tick(165)
    end.clear(170)
    end.tick(170)
    assert echoes == [(160, "a"), (170, "b")]
    assert end.ear.heard(500) == {3: 60, 4: 10}


def test_every_millisecond_says_whose_it_is():
    mixed = base64.b64decode(speech(Codec.PCM16_24K, 9, 5)) + base64.b64decode(speech(Codec.PCM16_24K, 4, 15))
    assert list(voices(mixed).items()) == [(9, 5), (4, 15)]
    assert voices(bytes(480)) == {} == voices(b"")
    assert voices(numpy.arange(480, dtype="<i2").tobytes()) == {}  # real speech
    assert voices(numpy.zeros(24, "<i2").tobytes() + mixed[:48]) == {9: 1}


# --- the real media host -----------------------------------------------------------------------------------------


async def test_a_real_media_host_stops_and_tells_its_model(tmp_path):
    """Few interruptions; nothing is said about milliseconds of a latency, for the machine is busy."""
    async with asyncio.timeout(patience(60)):
        found = await measure(tmp_path, 2, 2, lambda line: None)
    told = of_host(found)
    assert (told["interruptions"], told["notStopped"], told["notTold"]) == (4, 0, 0)
    assert (told["stale"], told["lostCalls"]) == (0, 0)


# --- the report --------------------------------------------------------------------------------------------------


def interrupted(latency_ms, truth_ms=500.0, told_ms=510.0):
    item = Interruption(1)
    item.latency_ms, item.truth_ms, item.told_ms = latency_ms, truth_ms, told_ms
    return item


def test_a_good_row_passes_and_is_shown():
    found = of_host(Found([interrupted(2.0), interrupted(3.0, told_ms=495.0)], 0, 0))
    assert verdict("host", found) == []
    assert cells("host", found) == ["host", "2", "10.0 / 10.0 / 10.0", "+2.5", "0"]
    assert (found["latencyP50"], found["latencyMax"]) == (3.0, 3.0)


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (Found([interrupted(2.0, told_ms=530.0)], 0, 0), "error 30.0 ms"),
        (Found([interrupted(2.0, told_ms=470.0)], 0, 0), "error 30.0 ms"),
        (Found([interrupted(10.5)], 0, 0), "StopAudio after 10.5"),
        (Found([interrupted(2.0), interrupted(None)], 0, 0), "without StopAudio: 1"),
        (Found([interrupted(2.0), interrupted(2.0, told_ms=None)], 0, 0), "not told of: 1"),
        (Found([interrupted(2.0)], 3, 0), "stale frames: 3"),
        (Found([interrupted(2.0)], 0, 1), "calls lost: 1"),
        (Found([], 0, 0), "error nan"),
    ],
)
def test_each_fault_fails_the_bench(found, word):
    assert any(word in line for line in verdict("host", of_host(found)))


def test_a_busy_machine_is_forgiven_milliseconds_and_nothing_else():
    late = of_host(Found([interrupted(50.0, told_ms=900.0)], 0, 0))
    assert len(verdict("host", late)) == 2
    assert verdict("host", late, busy=True) == []
    assert verdict("host", late | {"stale": 1}, busy=True) == ["host: stale frames: 1"]


def test_quantiles():
    assert quantile(range(100), 0.95) == 95
    assert quantile([7], 0.99) == 7
    assert summary([-3.0, 1.0], 0)["max"] == 3.0


def test_the_command_prints_writes_and_fails(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.barge_in.OUT", tmp_path)
    told = []
    assert run(["--points", "4", "--points-only"], told.append) == 0
    assert any("error p50 / p95 / max ms" in text and KINDS["marks"] in text for text in told)
    written = json.loads((tmp_path / "barge_in.json").read_text())
    assert written["failures"] == [] and len(written["rows"]) == 3
    monkeypatch.setattr("bench.barge_in.ERROR_P95_MS", 0.0)
    assert run(["--points", "4", "--points-only"], told.append) == 1
    assert told[-1].startswith("NOT GOOD ENOUGH")


def test_wrong_options_are_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        run(["--points", "0"], print)
    assert caught.value.code == 2
    with pytest.raises(SystemExit):
        run(["--help"], print)
    assert "Exit status 1" in capsys.readouterr().out
