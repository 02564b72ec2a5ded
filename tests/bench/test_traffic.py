from array import array

import pytest

from bench.traffic import FRAME_CHARS, Ear, Window, noise, stamp, summary

MS = 1_000_000


def frame(number, speaker=7, at_ns=0):
    return stamp(at_ns, speaker, number) + noise(speaker)


def heard(frames):
    ear = Ear()
    for audio in frames:
        ear.hear(audio, 0, Window(), array("d"))
    return ear


def test_a_frame_is_20_ms_of_24_khz():
    assert len(frame(0)) == FRAME_CHARS == 960 * 4 // 3


@pytest.mark.parametrize(
    ("frames", "received", "fault", "count"),
    [
        ([frame(0), frame(1), frame(2)], 3, None, 0),
        ([frame(0), frame(3)], 2, "lost", 2),
        ([frame(0), frame(1), frame(1)], 3, "disordered", 1),
        ([frame(0), frame(2), frame(1)], 3, "disordered", 1),
        ([frame(0), frame(1, speaker=8)], 1, "crossed", 1),
        ([frame(0), frame(1)[:-4] + b"AAAA"], 1, "damaged", 1),
        ([frame(0), frame(1)[:640], frame(1)[640:]], 1, "damaged", 2),
        ([frame(0), frame(1) + frame(2)], 1, "damaged", 1),
        ([b"", b"?" * FRAME_CHARS], 0, "damaged", 2),
    ],
)
def test_whatever_happens_to_a_frame_is_noticed(frames, received, fault, count):
    ear = heard(frames)
    assert ear.received == received
    found = {name: getattr(ear, name) for name in ("lost", "disordered", "crossed", "damaged")}
    assert found[fault] == count if fault else not any(found.values())


def test_only_what_was_sent_within_the_window_counts_for_the_latency():
    ear, latencies = Ear(), array("d")
    window = Window(100 * MS, 200 * MS)
    for number, at_ms in enumerate((99, 100, 150, 199, 200)):
        ear.hear(frame(number, at_ns=at_ms * MS), (at_ms + 5) * MS, window, latencies)
    assert list(latencies) == [5.0, 5.0, 5.0]
    assert ear.received == 5


def test_summary():
    assert summary(array("d"))["frames"] == 0
    found = summary(array("d", [*range(1, 100), 150.0]))
    assert found == {"frames": 100, "p50": 50, "p99": 99, "max": 150, "late": 1}
