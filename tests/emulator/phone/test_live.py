"""The live voice and ears of a caller: bounded, and what is lost is counted."""

import pytest

from emulator.phone.live import LiveAudio

RATE = 24000
FRAME = 960


def drained(live: LiveAudio) -> bytes:
    frames = []
    while (frame := live.next_frame()) is not None:
        frames.append(frame)
    return b"".join(frames)


@pytest.mark.parametrize("piece", [1, 959, 960, 7000])
def test_pieces_of_any_size_become_frames(piece: int) -> None:
    live = LiveAudio(RATE)
    pcm = bytes(index % 251 for index in range(10 * FRAME))
    for start in range(0, len(pcm), piece):
        live.say(pcm[start : start + piece])
    assert drained(live) == pcm
    assert live.voice_dropped_ms == 0


def test_the_oldest_voice_goes_by_whole_samples() -> None:
    live = LiveAudio(RATE)
    pcm = b"".join(index.to_bytes(2, "little") for index in range(RATE))  # a second; half a second is kept
    live.say(pcm[:10001])
    live.say(pcm[10001:])
    assert drained(live) == pcm[RATE:]
    assert live.voice_dropped_ms == 500


def test_a_pause_needs_a_head_start_and_the_rest_is_still_sent() -> None:
    live = LiveAudio(RATE)
    live.say(bytes(2 * FRAME))
    assert live.next_frame() is None
    live.say(b"\1\0\1")
    live.pause()
    assert drained(live) == bytes(2 * FRAME) + b"\1\0" + bytes(FRAME - 2)


async def test_listeners_hear_from_now_on_and_silence_too() -> None:
    live = LiveAudio(RATE)
    live.hear(b"\1" * FRAME)
    listener = live.listen()
    live.hear(b"\2" * FRAME)
    live.hear(None)
    live.close()
    assert b"".join([pcm async for pcm in listener.read()]) == b"\2" * FRAME + bytes(FRAME)
    live.leave(listener)
    assert live.hearing_dropped_ms == 0


async def test_a_slow_listener_misses_the_oldest() -> None:
    live = LiveAudio(RATE)
    listener = live.listen()
    for index in range(103):
        live.hear(bytes([index]) * FRAME)
    live.close()
    heard = b"".join([pcm async for pcm in listener.read()])
    assert (len(heard), heard[0]) == (100 * FRAME, 3)
    assert live.hearing_dropped_ms == 60
