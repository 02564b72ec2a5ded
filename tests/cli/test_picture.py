from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageColor

from cli.call_plot import KEYS, VOICE, WARNING, markers, scale_of
from cli.picture import (
    AGENT,
    AGENT_TOP,
    AXIS,
    BAR,
    CALLER,
    CALLER_TOP,
    LANES,
    LEFT,
    PANEL,
    RIGHT,
    TONES,
    draw_call,
)
from tests.cli.test_call_plot import at, record, said
from tests.cli.test_waveform import side, write_wav

SECONDS = 20.0
CALL = record(
    (-0.3, "answered"), (9, "keys"), (9.5, "keys"), (14, "barge_in"), (19.8, "disconnected"),
    transcript=[said(4.1, "What can I do for you?"), said(7.5, "My balance", who="caller"), said(14, "It is", interrupted=True)],
    keysPressed=2,
    **{"from": "+14255550100"},
)  # fmt: skip


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    return write_wav(
        tmp_path / "call.wav", side(SECONDS, (6, 7)), side(SECONDS, (2, 4), (12, 14), level=5000)
    )


def draw(call: dict, wav: Path) -> np.ndarray:
    target = wav.with_name("call.png")
    draw_call(call, wav, target)
    with Image.open(target) as image:
        assert (image.size, image.format, image.mode) == ((1600, 900), "PNG", "RGB")
        return np.asarray(image).astype(int)


def axis(call: dict):
    return scale_of(SECONDS, [marker.at for marker in markers(call)], LEFT, RIGHT)


def height_of(pixels: np.ndarray, x: int, top: int, colour: str) -> int:
    """How many pixels of a column of a panel have that colour."""
    return int((pixels[top : top + PANEL - 8, x] == ImageColor.getrgb(colour)).all(axis=1).sum())


def test_the_waveforms_stand_where_the_audio_is(wav: Path) -> None:
    pixels, scale = draw(CALL, wav), axis(CALL)
    caller = [height_of(pixels, scale.x(seconds), CALLER_TOP, CALLER) for seconds in (1, 3, 6.5, 8, 13)]
    agent = [height_of(pixels, scale.x(seconds), AGENT_TOP, AGENT) for seconds in (1, 3, 6.5, 8, 13)]
    assert caller == [1, 1, caller[2], 1, 1]
    assert agent == [1, agent[1], 1, 1, agent[1]]
    assert caller[2] > 100
    assert agent[1] == pytest.approx(caller[2] / 2, abs=3)  # half as loud on the same scale


def test_the_edges_of_speech_are_at_the_right_pixel(wav: Path) -> None:
    pixels, scale = draw(CALL, wav), axis(CALL)
    loud = [x for x in range(LEFT, RIGHT) if height_of(pixels, x, CALLER_TOP, CALLER) > 50]
    assert loud[0] == pytest.approx(scale.x(6), abs=1)
    assert loud[-1] == pytest.approx(scale.x(7), abs=1)


@pytest.mark.parametrize(("seconds", "tone"), [(-0.3, VOICE), (9, KEYS), (9.5, KEYS), (14, WARNING)])
def test_markers_stand_at_their_time(wav: Path, seconds: float, tone: str) -> None:
    pixels, x = draw(CALL, wav), axis(CALL).x(seconds)
    colour = ImageColor.getrgb(TONES[tone])
    at_axis = [x for x in range(LEFT - 2, RIGHT + 2) if tuple(pixels[AXIS - 4, x]) == colour]
    assert {x - 1, x, x + 1} <= set(at_axis)
    assert (pixels[CALLER_TOP : CALLER_TOP + 2, x] == colour).all()


def lane_runs(pixels: np.ndarray, who: str, colour: str) -> list[int]:
    """Where bars begin in a lane."""
    row = (pixels[LANES[who] + BAR // 2, LEFT:] == ImageColor.getrgb(colour)).all(axis=1)
    return [LEFT + int(x) + 1 for x in np.flatnonzero(np.diff(row.astype(int)) == 1)]


def test_bars_stand_under_the_speech_and_the_interruption_is_marked(wav: Path) -> None:
    pixels, scale = draw(CALL, wav), axis(CALL)
    assert lane_runs(pixels, "caller", CALLER) == [scale.x(6)]
    assert lane_runs(pixels, "agent", AGENT) == [scale.x(2), scale.x(12)]
    assert tuple(pixels[LANES["agent"] - 2, scale.x(14) - 2]) == ImageColor.getrgb(TONES[WARNING])
    assert tuple(pixels[LANES["agent"] - 2, scale.x(4) - 2]) != ImageColor.getrgb(TONES[WARNING])


def test_words_are_written_and_missing_ones_are_no_harm(wav: Path) -> None:
    def ink(pixels: np.ndarray) -> int:
        return int((pixels[LANES["agent"] + BAR + 4 :, LEFT:].sum(axis=2) < 300).sum())

    with_words = draw(CALL, wav)
    without = draw({**CALL, "transcript": None}, wav)
    assert ink(with_words) > 300
    assert ink(without) == 0
    assert lane_runs(without, "agent", AGENT) == lane_runs(with_words, "agent", AGENT)


@pytest.mark.parametrize(
    "call",
    [
        {},
        {
            "media": None,
            "timeline": None,
            "transcript": None,
            "ended": None,
            "latencies": None,
            "outcome": None,
        },
        {
            **CALL,
            "transcript": [said(3, "Füße — “quoted” → 日本\nnew line\x00"), said(8, "w" * 500), said(9, "")],
        },
        {**CALL, "timeline": [{"at": at(n / 50), "kind": "fault", "reason": "x" * 80} for n in range(500)]},
        {**CALL, "from": 5, "agent": None, "callId": "c" * 500},
    ],
)
def test_any_record_is_drawn(wav: Path, call: dict) -> None:
    assert (draw(call, wav)[CALLER_TOP:AXIS, LEFT:RIGHT] == ImageColor.getrgb(CALLER)).all(axis=2).any()


def test_an_empty_recording_is_drawn(tmp_path: Path) -> None:
    draw(CALL, write_wav(tmp_path / "call.wav", side(0), side(0)))


def test_what_has_no_room_is_counted(wav: Path) -> None:
    crowd = {**CALL, "timeline": [{"at": at(5 + n / 100), "kind": "fault"} for n in range(40)]}
    assert (draw(crowd, wav)[880:, LEFT : LEFT + 300] < 200).any()
    assert not (draw(CALL, wav)[880:, LEFT : LEFT + 300] < 200).any()
