from datetime import UTC, datetime, timedelta

import pytest

from cli.call_plot import KEYS, Scale, bars, duration, markers, scale_of, start_of, subtitle, title
from cli.waveform import Span

START = datetime(2025, 5, 5, 10, tzinfo=UTC)


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record(*timeline: tuple, transcript: list | None = None, **more: object) -> dict:
    entries = [
        {"at": at(when), "kind": kind, **({"reason": why[0]} if why else {})} for when, kind, *why in timeline
    ]
    return {"media": {"startedAt": at(0)}, "timeline": entries, "transcript": transcript or [], **more}


def test_moments_have_names_times_and_reasons() -> None:
    found = markers(
        record((3, "barge_in"), (-0.2, "answered"), (1, "participants"), (9, "hang_up", "agent_done"))
    )
    assert [(marker.at, marker.label) for marker in found] == [
        (-0.2, "answered"), (3.0, "barge-in"), (9.0, "hang-up: agent done"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("times", "pressed", "expected"),
    [
        ([4, 4.5, 5, 9, 20], 5, [(4, "3 keys", 3), (9, "1 key", 1), (20, "1 key", 1)]),
        ([4], 6, [(4, "6 keys", 1)]),  # one event for all six
        ([4, 9], 6, [(4, "keys", 1), (9, "keys", 1)]),
        ([], 0, []),
    ],
)
def test_keys_one_after_the_other_are_one_marker(times: list, pressed: int, expected: list) -> None:
    found = markers(record(*((when, "keys") for when in times), keysPressed=pressed))
    assert [(marker.at, marker.label, len(marker.ticks)) for marker in found] == expected
    assert all(marker.tone == KEYS for marker in found)


def said(when: float, text: str, who: str = "agent", **more: object) -> dict:
    return {"at": at(when), "who": who, "text": text, **more}


SPANS = [Span(1, 4), Span(6, 8), Span(12, 13)]


@pytest.mark.parametrize(
    ("lines", "texts"),
    [
        ([said(4.1, "a"), said(8.4, "b")], ["a", "b", ""]),  # written when it ended
        ([said(1.0, "a"), said(5.9, "b")], ["a", "b", ""]),  # written when it began
        ([said(2, "a"), said(3, "b")], ["a b", "", ""]),
        ([said(13.5, "c"), said(14, "x", who="caller")], ["", "", "c"]),
        ([{"who": "agent", "text": "no time"}, {"at": "soon", "who": "agent"}], ["", "", ""]),
    ],
)
def test_words_go_to_the_speech_they_belong_to(lines: list, texts: list) -> None:
    assert [bar.text for bar in bars(record(transcript=lines), "agent", SPANS)] == texts


def test_words_far_from_any_speech_have_their_own_place() -> None:
    found = bars(record(transcript=[said(20, "unheard", heardMs=1500)]), "agent", SPANS)
    assert [(bar.text, bar.span) for bar in found][-1] == ("unheard", Span(18.5, 20))


def test_an_interruption_marks_its_own_speech_only() -> None:
    found = bars(record(transcript=[said(4.1, "a", interrupted=True), said(8, "b")]), "agent", SPANS)
    assert [bar.interrupted for bar in found] == [True, False, False]


def test_the_start_is_the_medias_or_the_first_that_is_known() -> None:
    assert start_of(record()) == START
    assert start_of({"media": None, "timeline": [{"at": "?"}, {"at": at(2)}]}) == START + timedelta(seconds=2)
    assert start_of({}) is None
    assert (markers({"timeline": [{"kind": "keys"}]}), bars({}, "agent", [])) == ([], [])


def test_the_title_masks_the_number() -> None:
    shown = title(
        {"from": "+14255550100", "agent": "desk", "ended": {"reason": "agent_done", "by": "agent"}}, 61
    )
    assert shown == "Call from +1425…00  ·  agent desk  ·  1 min 01 s  ·  ended: agent done (by the agent)"
    assert "+1425…00" in title({"from": "+1425…00", "state": "failed"}, 1)
    assert title({"state": "failed"}, 1.25).endswith("agent —  ·  1.2 s  ·  ended: failed")


def test_the_second_line_has_what_was_measured() -> None:
    latencies = {"eventToAnswerMs": 170.6, "answerToFirstAudioMs": None, "bargeInToSilenceMs": [40, 60]}
    shown = subtitle({"callId": "c1", "latencies": latencies, "outcome": {"transferType": "AGENT"}})
    assert shown.split("   ·   ") == [
        "event to answer 171 ms", "barge-in to silence 40 ms", "barge-in to silence 60 ms", "outcome AGENT", "call c1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 00 s"), (3725, "62 min 05 s")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_scale_is_straight_and_bounded() -> None:
    scale = Scale(-1, 9, 100, 1100)
    assert [scale.x(seconds) for seconds in (-5, -1, 0, 4, 9, 99)] == [100, 100, 200, 600, 1100, 1100]


@pytest.mark.parametrize(
    ("scale", "first", "step"),
    [(Scale(-0.5, 30, 0, 1200), 0, 2), (Scale(-4.2, 30, 0, 1200), -4, 2), (Scale(0, 7200, 0, 1200), 0, 600)],
)
def test_ticks_are_round_and_apart(scale: Scale, first: float, step: float) -> None:
    ticks = scale.ticks()
    assert (ticks[0], ticks[1] - ticks[0]) == (first, step)
    assert ticks[-1] <= scale.end < ticks[-1] + step


def test_the_axis_holds_what_is_near_the_recording() -> None:
    scale = scale_of(30, [-0.4, 31, 12], 0, 1000)
    assert scale.start < -0.4 and scale.end > 31
    far = scale_of(30, [-60, 500], 0, 1000)
    assert far.start > -6 and far.end < 41
