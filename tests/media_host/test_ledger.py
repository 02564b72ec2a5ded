import random

import pytest

from media_host.agents.base import Heard
from media_host.ledger import Ledger


class Phone:
    """The far end: plays what arrives, in order, 20 ms after 20 ms, and can be stopped."""

    def __init__(self, path_ms: float) -> None:
        self.path_ms = path_ms
        self.plays: list[tuple[float, str, float]] = []
        self.free_at = 0.0

    def arrive(self, sent_ms: float, turn: str, ms: float) -> None:
        start = max(self.free_at, sent_ms + self.path_ms)
        self.plays.append((start, turn, ms))
        self.free_at = start + ms

    def heard(self, now_ms: float) -> dict[str, float]:
        """Milliseconds of each turn that have come out of the earpiece by now."""
        found: dict[str, float] = {}
        for start, turn, ms in self.plays:
            found[turn] = found.get(turn, 0.0) + min(max(0.0, now_ms - start), ms)
        return found


@pytest.mark.parametrize("seed", range(60))
def test_what_a_simulated_phone_heard(seed):
    """Random turns, gaps and jitter: the error is how wrong the path was guessed, and one late tick."""
    dice = random.Random(seed)
    true_path, guess = dice.uniform(60, 250), 150.0
    ledger, phone = Ledger(guess), Phone(true_path)
    now, made = 0.0, {}
    stop_at = dice.uniform(500, 8000)
    turn, left = 0, 0.0
    while now < stop_at:
        if left <= 0:
            turn += 1
            left = dice.choice([200.0, 1000.0, 3000.0])
            now += dice.choice([0.0, 0.0, 400.0])  # the next follows at once, or after a pause
        while ledger.lead(now) < 120 and left > 0:
            ledger.made(f"t{turn}", 20)
            made[f"t{turn}"] = made.get(f"t{turn}", 0) + 20
            ledger.sent(now, f"t{turn}", 20)
            phone.arrive(now, f"t{turn}", 20)
            left -= 20
        now += 20 + dice.uniform(0, 6)
    truth = phone.heard(now)
    found = {item.turn: item for item in ledger.cut(now)}
    assert set(found) == set(made)
    for name, item in found.items():
        assert item.made_ms == made[name]
        assert 0 <= item.heard_ms <= item.made_ms
        assert abs(item.heard_ms - truth[name]) <= abs(true_path - guess) + 7
    assert ledger.cut(now) == []
    assert not ledger.open


def test_a_lead_that_is_flushed_was_not_heard():
    ledger = Ledger(0)
    ledger.made("a", 1000)
    for _ in range(10):
        ledger.sent(0, "a", 20)
    assert ledger.lead(0) == 200
    assert ledger.cut(50) == [Heard("a", 50, 1000)]
    assert ledger.lead(50) == 0


def test_an_item_behind_another_is_not_heard_while_the_first_plays():
    """The mistake that peers make: the second item's clock must not start at its first delta."""
    ledger = Ledger(0)
    for turn in ("filler", "answer"):
        ledger.made(turn, 500)
        ledger.sent(0, turn, 500)
    assert ledger.cut(600) == [Heard("filler", 500, 500), Heard("answer", 100, 500)]


def test_a_turn_is_finished_once_when_ended_and_heard():
    ledger = Ledger(150)
    ledger.made("a", 40)
    ledger.sent(1000, "a", 40)
    assert ledger.finished(5000) == []  # it may go on
    ledger.end("a")
    assert ledger.ending
    assert ledger.finished(1189) == []
    assert ledger.finished(1190) == [Heard("a", 40, 40)]
    assert ledger.finished(5000) == []
    assert not ledger.open


def test_a_turn_without_audio_is_no_turn():
    ledger = Ledger()
    ledger.end("a")
    assert not ledger.open
    assert ledger.cut(0) == []


def test_a_long_turn_keeps_few_entries():
    ledger = Ledger(0)
    for n in range(10_000):
        ledger.made("a", 20)
        ledger.sent(n * 20.5, "a", 20)
    assert len(ledger._due) < 200
    assert ledger.cut(10_000 * 20.5 + 100) == [Heard("a", 200_000, 200_000)]
