"""The emulator's benchmark, small: real processes, every frame looked at. Nothing is said about speed: the machine is busy."""

import asyncio
import base64
from collections import Counter

import pytest

from bench.emulator import order_of, progress, run
from bench.emulator_app import Ear, frames_of
from bench.emulator_host import TONES_HZ
from bench.emulator_report import faults, lines
from emulator.lateness import Lateness
from tests.support.timing import patience


def message(data: bytes, silent: bytes = b"false") -> bytes:
    return (
        b'{"kind":"AudioData","audioData":{"timestamp":"x","data":"' + data + b'","silent":' + silent + b"}}"
    )


def heard(*order: int) -> Counter[str]:
    frames = frames_of(367.3, 0.2)
    ear = Ear(frames, Lateness(), counts := Counter())
    for number in order:
        ear.hear(message(frames[number]), 0.0)
    return counts


def test_no_two_frames_are_alike_neither_of_one_caller_nor_of_two():
    frames = [frame for hz in TONES_HZ for frame in frames_of(hz, 60)]
    assert len(frames) == 8 * 3000
    assert len(set(frames)) == len(frames)


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ((0, 1, 2), {}),
        ((0, 3, 4), {"lost": 2}),
        ((0, 1, 1, 2), {"doubled": 1}),
        ((0, 2, 1, 3), {"lost": 1, "doubled": 1}),
    ],
)
def test_frames_that_are_lost_or_doubled_are_noticed(order, found):
    counts = heard(*order)
    assert {name: counts[name] for name in ("lost", "doubled", "strange", "holes") if counts[name]} == found
    assert counts["frames"] == len(order)


def test_silence_in_the_middle_of_the_tone_is_a_hole():
    frames = frames_of(367.3, 0.2)
    silence = message(base64.b64encode(bytes(960)), b"true")
    ear = Ear(frames, Lateness(), counts := Counter())
    for text in (silence, message(frames[0]), silence, message(frames[1]), b'{"kind":"AudioMetadata"}'):
        ear.hear(text, 0.0)
    assert (counts["silent"], counts["holes"], counts["tone"], counts["other"]) == (1, 1, 2, 1)


def test_another_callers_frame_is_strange():
    ear = Ear(frames_of(367.3, 0.2), Lateness(), counts := Counter())
    ear.hear(message(frames_of(431.9, 0.2)[1]), 0.0)
    assert counts["strange"] == 1


def test_late_frames_are_measured_against_the_earliest_of_the_call():
    frames = frames_of(367.3, 0.2)
    ear = Ear(frames, late := Lateness(), Counter())
    for number, at in enumerate((5.000, 5.020, 5.055, 5.060)):
        ear.hear(message(frames[number]), at)
    ear.over()
    assert (late.count, late.late) == (4, 1)


@pytest.mark.parametrize("arguments", [["--soak", "3", "--calls", "3", "--call-seconds", "1"]])
async def test_a_small_run(arguments):
    order, soak = order_of(arguments)
    told: list[str] = []
    async with asyncio.timeout(patience(60)):
        host, app = await run(order, told.append)
    assert host["up"] == order.calls
    assert host["done"]["count"] >= order.calls * order.seconds * 40 * (0.5 if soak else 1)
    assert app["counts"]["tone"] > 0
    assert told
    wrong = [line for line in faults(host, app, soak=False) if "late at p99" not in line]
    assert wrong == []
    assert host["ended"] > order.calls if soak else host["ended"] == order.calls
    assert lines(host, app, soak=soak)
    assert "p99" in progress(host["samples"][0])


@pytest.mark.parametrize("wrong", [["--calls", "0"], ["--seconds", "-1"], ["--calls", "many"]])
def test_wrong_options_are_refused(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        order_of(wrong)
    assert caught.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_the_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        order_of(["--help"])
    assert "--soak 600" in capsys.readouterr().out
