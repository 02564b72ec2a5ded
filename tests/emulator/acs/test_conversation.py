"""A conversation, tick by tick: who hears whom, sounds, taps, mute and hold, and when it ends."""

from collections.abc import Sequence

import pytest

from emulator.acs import conversation as module
from emulator.acs.conversation import Conversation
from emulator.acs.errors import RestError
from emulator.acs.identifiers import identifier
from emulator.acs.legs import Leg
from emulator.acs.sounds import Sound
from emulator.pacing import Ticker

RATE = 16000


def frame(value: int) -> bytes:
    return value.to_bytes(2, "little", signed=True) * 320


class Person(Leg):
    """Says the same value in every frame, and keeps what it hears."""

    def __init__(self, number: int, value: int | None, waits: float = 0.0) -> None:
        super().__init__(identifier(f"+1425555010{number}"))
        self.says = None if value is None else frame(value)
        self.waits = waits
        self.heard: list[int | None] = []
        self.waiting: list[float] = []
        self.rosters = 0
        self.end: tuple[str, str] | None = None
        self.keys = ""

    @property
    def waiting_ms(self) -> float:
        return self.waits

    def next_frame(self, now: float) -> bytes | None:
        return self.says

    def hear(self, pcm: bytes | None, waiting_ms: float, now: float) -> None:
        self.heard.append(None if pcm is None else int.from_bytes(pcm[:2], "little", signed=True))
        self.waiting.append(waiting_ms)

    def hear_key(self, key: str) -> None:
        self.keys += key

    def roster_changed(self) -> None:
        self.rosters += 1

    def gone(self, reason: str, by: str) -> None:
        if not self.is_gone:
            self.end = reason, by
        super().gone(reason, by)


class Recorder:
    def __init__(self) -> None:
        self.frames: list[dict[str, bytes | None]] = []
        self.ends = 0

    def frame(self, now: float, spoken: Sequence[tuple[Leg, bytes | None]]) -> None:
        self.frames.append({leg.raw_id: pcm for leg, pcm in spoken})

    def over(self) -> None:
        self.ends += 1


@pytest.fixture
async def talk():
    conversation = Conversation("server", "correlation", Ticker(), RATE)
    yield conversation
    conversation.end("test_over", "service")


def seat(talk: Conversation, *people: Person) -> None:
    talk.join(*people)


async def test_each_hears_the_others(talk: Conversation) -> None:
    one, two, three = Person(1, 100), Person(2, 20), Person(3, None)
    seat(talk, one, two, three)
    talk.tick(0.0)
    assert (one.heard, two.heard, three.heard) == ([20], [100], [120])


async def test_what_waits_is_what_the_others_still_have_to_say(talk: Conversation) -> None:
    one, two, three = Person(1, 1, waits=500), Person(2, 1, waits=80), Person(3, 1)
    seat(talk, one, two, three)
    talk.tick(0.0)
    assert (one.waiting, two.waiting, three.waiting) == ([80], [500], [500])


async def test_the_muted_and_the_held_are_not_heard_and_the_held_hear_nothing(talk: Conversation) -> None:
    one, two, three = Person(1, 1), Person(2, 10), Person(3, 100)
    seat(talk, one, two, three)
    one.mute()
    two.hold(on=True)
    talk.tick(0.0)
    assert (one.heard, two.heard, three.heard) == ([100], [None], [None])
    two.hold(on=False)
    talk.tick(0.02)
    assert (one.heard[1], two.heard[1], three.heard[1]) == (110, 100, 10)


async def test_a_sound_to_all_is_heard_by_all_but_its_owner(talk: Conversation) -> None:
    one, two, three = Person(1, None), Person(2, 5), Person(3, None)
    seat(talk, one, two, three)
    ends: list[bool] = []
    talk.play(one, Sound(frame(40) * 2, RATE, None, on_end=ends.append))
    assert talk.sounds_ms(one) == 40
    for beat in range(3):
        talk.tick(beat * 0.02)
    assert one.heard == [5, 5, 5]
    assert two.heard == [40, 40, None]
    assert three.heard == [45, 45, 5]
    assert ends == [True]
    assert talk.sounds_ms(one) == 0


async def test_a_sound_to_one_is_heard_by_that_one_even_on_hold(talk: Conversation) -> None:
    one, two, three = Person(1, None), Person(2, 5), Person(3, None)
    seat(talk, one, two, three)
    three.hold(on=True)
    talk.play(one, Sound(frame(40), RATE, {three.raw_id}))
    talk.play(one, Sound(frame(7), RATE, {two.raw_id}))
    tap = Recorder()
    talk.add_tap(tap)
    talk.tick(0.0)
    assert (one.heard, two.heard, three.heard) == ([5], [7], [40])
    assert set(tap.frames[0].values()) == {None, frame(5)}


async def test_sounds_of_one_who_leaves_are_cancelled(talk: Conversation) -> None:
    one, two, three = Person(1, None), Person(2, None), Person(3, None)
    seat(talk, one, two, three)
    ends: list[bool] = []
    talk.play(one, Sound(frame(40) * 9, RATE, None, on_end=ends.append))
    talk.tick(0.0)
    talk.leave(one, "gone", "caller")
    talk.tick(0.02)
    assert ends == [False]
    assert two.heard == [40, None]


async def test_a_sound_may_be_followed_by_another_in_its_end(talk: Conversation) -> None:
    one, two = Person(1, None), Person(2, None)
    seat(talk, one, two)
    following = Sound(frame(2), RATE, None)
    talk.play(one, Sound(frame(1), RATE, None, on_end=lambda _: talk.play(one, following)))
    for beat in range(4):
        talk.tick(beat * 0.02)
    assert two.heard == [1, None, 2, None]


async def test_ears_and_taps_get_what_each_one_says(talk: Conversation) -> None:
    one, two = Person(1, 3), Person(2, None)
    seat(talk, one, two)
    heard: list[tuple[bytes | None, float]] = []
    one.ears.append(lambda pcm, now: heard.append((pcm, now)))
    tap = Recorder()
    talk.add_tap(tap)
    talk.tick(1.0)
    one.mute()
    talk.tick(1.02)
    talk.remove_tap(tap)
    talk.remove_tap(tap)
    talk.tick(1.04)
    assert heard == [(frame(3), 1.0), (None, 1.02), (None, 1.04)]
    assert tap.frames == [{one.raw_id: frame(3), two.raw_id: None}, {one.raw_id: None, two.raw_id: None}]


async def test_keys_reach_listeners_and_everybody_else(talk: Conversation) -> None:
    one, two, three = Person(1, None), Person(2, None), Person(3, None)
    seat(talk, one, two, three)
    pressed: list[str] = []
    one.key_listeners.append(pressed.append)
    one.press("5")
    one.press("#")
    assert pressed == ["5", "#"]
    assert (one.keys, two.keys, three.keys) == ("", "5#", "5#")


async def test_it_ends_when_fewer_than_two_are_left(talk: Conversation) -> None:
    one, two, three = Person(1, None), Person(2, None), Person(3, None)
    seat(talk, one, two, three)
    tap, ends = Recorder(), []
    talk.add_tap(tap)
    talk.when_over.append(lambda: ends.append(1))
    talk.leave(one, "hung_up", "caller")
    assert (two.rosters, talk.over, one.end) == (1, False, ("hung_up", "caller"))
    talk.leave(two, "hung_up", "caller", ("other_hung_up", "other"))
    assert talk.over
    assert (two.end, three.end) == (("hung_up", "caller"), ("other_hung_up", "other"))
    talk.end("again", "service")
    assert (tap.ends, ends, three.end) == (1, [1], ("other_hung_up", "other"))


async def test_an_observer_does_not_keep_it_alive(talk: Conversation) -> None:
    one, two, observer = Person(1, None), Person(2, None), Person(3, None)
    observer.observer = True
    seat(talk, one, two, observer)
    talk.leave(one, "hung_up", "caller")
    assert talk.over
    assert observer.end is not None


async def test_one_who_is_released_goes_on_elsewhere(talk: Conversation) -> None:
    one, two, three, four = (Person(number, number) for number in range(1, 5))
    other = Conversation("other", "other", Ticker(), RATE)
    seat(talk, one, two, three)
    other.join(four)
    talk.release(one)
    other.join(one)
    talk.settle("moved", "agent")
    talk.tick(0.0)
    other.tick(0.0)
    assert (one.heard, two.heard, four.heard) == ([4], [3], [1])
    assert one.conversation is other
    assert not one.is_gone
    other.end("over", "service")


class Heartbeat:
    """Who is called every 20 ms."""

    def __init__(self) -> None:
        self.listeners: list[object] = []

    def add(self, listener: object) -> None:
        self.listeners.append(listener)

    def remove(self, listener: object) -> None:
        self.listeners.remove(listener)


async def test_the_heartbeat_beats_only_while_somebody_is_there() -> None:
    heartbeat = Heartbeat()
    talk = Conversation("server", "correlation", heartbeat, RATE)
    assert heartbeat.listeners == []
    seat(talk, Person(1, None), Person(2, None))
    seat(talk, Person(3, None))
    assert heartbeat.listeners == [talk.tick]
    talk.end("over", "service")
    assert heartbeat.listeners == []


async def test_there_is_room_for_so_many(talk: Conversation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PARTICIPANTS", 2)
    seat(talk, Person(1, None))
    talk.require_room()
    seat(talk, Person(2, None))
    with pytest.raises(RestError, match="at most 2"):
        talk.require_room()


async def test_the_roster(talk: Conversation) -> None:
    one, two = Person(1, None), Person(2, None)
    seat(talk, one, two)
    two.hold(on=True)
    assert talk.roster() == [
        {"identifier": one.identifier, "isMuted": False, "isOnHold": False},
        {"identifier": two.identifier, "isMuted": False, "isOnHold": True},
    ]
    assert talk.find(two.raw_id) is two
    assert talk.find("4:+1") is None
