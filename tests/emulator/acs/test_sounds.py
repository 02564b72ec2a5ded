"""Sounds: frames, loops, cancelling, and an end that is told once."""

import math

import pytest

from emulator.acs.sounds import Sound


def test_frames_and_an_end() -> None:
    ends: list[bool] = []
    sound = Sound(b"\1" * 1000, 24000, None, on_end=ends.append)
    assert sound.remaining_ms == pytest.approx(1000 / 48)
    assert sound.next_frame() == b"\1" * 960
    assert sound.next_frame() == (b"\1" * 40).ljust(960, b"\0")
    assert ends == []  # the last frame is still being heard
    assert sound.next_frame() is None
    assert sound.next_frame() is None
    sound.cancel()
    assert ends == [True]
    assert (sound.ended, sound.remaining_ms) == (True, 0.0)


def test_a_cancelled_sound() -> None:
    ends: list[bool] = []
    sound = Sound(bytes(6400), 16000, {"4:+1"}, on_end=ends.append)
    sound.next_frame()
    sound.cancel()
    sound.cancel()
    assert sound.next_frame() is None
    assert ends == [False]
    assert sound.to == {"4:+1"}


def test_a_loop_begins_again_and_waits_for_ever() -> None:
    sound = Sound(b"\1" * 640 + b"\2" * 640, 16000, None, loop=True)
    assert [sound.next_frame()[0] for _ in range(5)] == [1, 2, 1, 2, 1]
    assert sound.remaining_ms == math.inf
    sound.cancel()
    assert sound.remaining_ms == 0.0


@pytest.mark.parametrize("loop", [False, True])
def test_nothing_to_play_is_over_at_once(loop: bool) -> None:
    ends: list[bool] = []
    sound = Sound(b"", 16000, None, loop=loop, on_end=ends.append)
    assert sound.next_frame() is None
    assert ends == [True]
