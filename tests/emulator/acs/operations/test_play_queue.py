"""The queue of plays and recognitions: order, interruption, refusals."""

import pytest

from emulator.acs.errors import RestError
from emulator.acs.operations.play_queue import Job, MediaQueue, Step

ONE = frozenset({"4:+1"})
OTHER = frozenset({"4:+2"})
PCM = b"\1\0" * 320


def play(audience: frozenset | None = None, loop: bool = False) -> Job:
    return Job("play", audience, loop)


def recognition() -> Job:
    return Job("recognize", ONE)


def test_one_play_from_start_to_end() -> None:
    queue, job = MediaQueue(), play()
    assert queue.submit(job) == []
    assert queue.loaded(job, PCM) == [(Step.SOUND, job)]
    assert queue.ended(job) == [(Step.COMPLETED, job)]
    assert queue.current is None


def test_plays_wait_for_each_other_however_their_sounds_come() -> None:
    queue, first, second = MediaQueue(), play(), play()
    queue.submit(first)
    queue.submit(second)
    assert queue.loaded(second, PCM) == []
    assert queue.loaded(first, PCM) == [(Step.SOUND, first)]
    assert queue.ended(second) == []
    assert queue.ended(first) == [(Step.COMPLETED, first), (Step.SOUND, second)]
    assert queue.jobs == (second,)


def test_a_waiting_play_begins_when_its_sound_comes_late() -> None:
    queue, first, second = MediaQueue(), play(), play()
    queue.submit(first)
    queue.submit(second)
    queue.loaded(first, PCM)
    assert queue.ended(first) == [(Step.COMPLETED, first)]
    assert queue.loaded(second, PCM) == [(Step.SOUND, second)]


def test_a_failed_play_makes_room_when_it_has_its_turn() -> None:
    queue, first, second, third = MediaQueue(), play(), play(), play()
    for job in (first, second, third):
        queue.submit(job)
    assert queue.failed(second, "no file") == []
    queue.loaded(third, PCM)
    assert queue.loaded(first, PCM) == [(Step.SOUND, first)]
    assert queue.ended(first) == [(Step.COMPLETED, first), (Step.FAILED, second), (Step.SOUND, third)]
    assert second.failure == "no file"


def test_interrupting_throws_away_what_plays_and_what_waits() -> None:
    queue, first, second, third = MediaQueue(), play(), play(), play(OTHER)
    queue.submit(first)
    queue.submit(second)
    queue.loaded(first, PCM)
    assert queue.submit(third, interrupt=True) == [(Step.CANCELED, first), (Step.CANCELED, second)]
    assert queue.loaded(second, PCM) == []  # its sound comes too late for anybody
    assert queue.loaded(third, PCM) == [(Step.SOUND, third)]


def test_cancelling_everything() -> None:
    queue, first, second = MediaQueue(), play(loop=True), recognition()
    queue.submit(first)
    queue.submit(second)
    queue.loaded(first, PCM)
    assert queue.cancel_all() == [(Step.CANCELED, first), (Step.CANCELED, second)]
    assert queue.cancel_all() == []
    assert queue.ended(first) == []
    assert queue.finish(second) == []


def test_a_recognition_with_a_prompt_holds_the_queue_until_it_is_finished() -> None:
    queue, job = MediaQueue(), recognition()
    queue.submit(job)
    assert queue.loaded(job, PCM) == [(Step.SOUND, job)]
    assert queue.ended(job) == [(Step.LISTEN, job)]
    assert queue.current is job
    assert queue.finish(job) == []
    assert queue.current is None


def test_a_recognition_without_a_prompt_listens_at_once() -> None:
    queue, job = MediaQueue(), recognition()
    queue.submit(job)
    assert queue.loaded(job, b"") == [(Step.LISTEN, job)]


def test_a_recognition_waits_for_the_plays_before_it() -> None:
    queue, first, job = MediaQueue(), play(), recognition()
    queue.submit(first)
    queue.submit(job)
    queue.loaded(job, b"")
    queue.loaded(first, PCM)
    assert queue.ended(first) == [(Step.COMPLETED, first), (Step.LISTEN, job)]


def test_an_empty_play_is_played_all_the_same() -> None:
    queue, job = MediaQueue(), play()
    queue.submit(job)
    assert queue.loaded(job, b"") == [(Step.SOUND, job)]
    assert queue.ended(job) == [(Step.COMPLETED, job)]


@pytest.mark.parametrize(
    ("before", "then", "code"),
    [
        (recognition(), recognition(), (400, "8500")),
        (recognition(), play(), (412, "8583")),
        (recognition(), play(ONE), (412, "8583")),
        (play(), play(ONE), (412, "8583")),
        (play(ONE), play(), (412, "8583")),
        (play(ONE), play(OTHER), (412, "8583")),
        (play(), play(), None),
        (play(ONE), play(ONE), None),
        (play(), recognition(), None),
        (play(OTHER), recognition(), None),
    ],
)
def test_what_goes_together(before: Job, then: Job, code: tuple | None) -> None:
    queue = MediaQueue()
    queue.submit(before)
    if code is None:
        queue.submit(then)
        assert queue.jobs == (before, then)
    else:
        with pytest.raises(RestError) as caught:
            queue.submit(then)
        assert (caught.value.status, caught.value.code) == code
        assert queue.jobs == (before,)
    queue.submit(then, interrupt=True)
    assert queue.jobs == (then,)
