"""Cutting frames into utterances."""

import pytest

from emulator.acs.operations.utterance import BEFORE_FRAMES, LONGEST_FRAMES, Utterances

LOUD = b"\x00\x20" * 320
QUIET = b"\x05\x00" * 320


def feed(utterances: Utterances, *frames: bytes | None) -> list[tuple[int, str]]:
    return [
        (number, happened)
        for number, frame in enumerate(frames)
        if (happened := utterances.frame(frame)) is not None
    ]


@pytest.mark.parametrize("quiet", [None, QUIET])
def test_speech_begins_after_100_ms_and_ends_with_silence(quiet: bytes | None) -> None:
    utterances = Utterances(0.1, 640)
    assert feed(utterances, *[quiet] * 50, *[LOUD] * 10, *[quiet] * 5) == [(54, "began"), (64, "ended")]
    assert len(utterances.pcm) == (BEFORE_FRAMES + 15) * 640
    assert utterances.ago_s == pytest.approx((BEFORE_FRAMES + 15) * 0.02)
    assert not utterances.speaking


def test_a_click_is_a_noise() -> None:
    assert feed(Utterances(0.1, 640), LOUD, LOUD, *[None] * 5, None) == [(6, "noise")]


def test_a_pause_inside_does_not_end_it() -> None:
    utterances = Utterances(0.1, 640)
    frames = [*[LOUD] * 5, *[None] * 4, *[LOUD] * 5, *[None] * 5]
    assert feed(utterances, *frames) == [(4, "began"), (18, "ended")]


def test_the_next_one_begins_anew() -> None:
    utterances = Utterances(0.04, 640)
    one = [*[LOUD] * 6, None, None]
    assert feed(utterances, *one, *one) == [(4, "began"), (7, "ended"), (12, "began"), (15, "ended")]
    assert len(utterances.pcm) == 8 * 640


def test_nobody_speaks_for_ever() -> None:
    happened = feed(Utterances(0.5, 640), *[LOUD] * LONGEST_FRAMES)
    assert happened == [(4, "began"), (LONGEST_FRAMES - 1, "ended")]
