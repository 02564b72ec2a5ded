"""The filter between 8 kHz and the rates of agents, measured."""

import itertools

import numpy as np
import pytest

from media_host.agents.base import Codec
from media_host.resampling import DELAY_MS, TELEPHONE_HZ, Downsampler, Upsampler, factor_of

TONES = (300, 500, 1000, 1900, 2700, 3100, 3400)


def tone(hz, rate, seconds=1.0):
    times = np.arange(int(rate * seconds)) / rate
    return np.rint(10_000 * np.sin(2 * np.pi * hz * times)).astype(np.int16)


def feed(resampler, samples, sizes):
    """All of `samples`, in pieces of these sizes, again and again."""
    found, at, turn = [], 0, 0
    while at < len(samples):
        size = sizes[turn % len(sizes)]
        found.append(resampler.feed(samples[at : at + size]))
        at, turn = at + size, turn + 1
    return np.concatenate(found)


def fit(samples, hz, rate):
    """SNR (dB) of the one tone in `samples`, and its level against the original (dB)."""
    times = np.arange(len(samples)) / rate
    waves = np.column_stack((np.sin(2 * np.pi * hz * times), np.cos(2 * np.pi * hz * times)))
    parts, *_ = np.linalg.lstsq(waves, samples.astype(float), rcond=None)
    wanted = waves @ parts
    noise = np.mean((samples - wanted) ** 2)
    return 10 * np.log10(np.mean(wanted**2) / noise), 20 * np.log10(np.hypot(*parts) / 10_000)


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("hz", TONES)
def test_tones_of_the_telephone_band_come_through_clean_both_ways(factor, hz):
    up = feed(Upsampler(factor), tone(hz, 8000), [160])
    down = feed(Downsampler(factor), tone(hz, 8000 * factor), [160 * factor])
    for samples, rate in ((up, 8000 * factor), (down, 8000)):
        snr, level = fit(samples[rate // 10 :], hz, rate)
        assert snr >= 60 and abs(level) < 0.1


@pytest.mark.parametrize("factor", [2, 3])
def test_what_a_telephone_cannot_carry_does_not_come_back_as_something_else(factor):
    for hz in (4700, 5500, 7000):
        folded = feed(Downsampler(factor), tone(hz, 8000 * factor), [160 * factor])[800:]
        assert np.abs(folded).max() < 30


@pytest.mark.parametrize("factor", [2, 3])
def test_pieces_of_any_size_give_what_all_at_once_gives(factor):
    """No click at a border: the two differ by the last bit of rounding at most."""
    rng = np.random.default_rng(7)
    caller = rng.integers(-20_000, 20_000, 8000).astype(np.int16)
    agent = rng.integers(-20_000, 20_000, 8000 * factor).astype(np.int16)
    for sizes in ([160], [1], [7, 160, 333], [2400]):
        parts = 800 if sizes == [1] else 8000  # one by one takes a while
        whole = Upsampler(factor).feed(caller[:parts])
        assert np.abs(feed(Upsampler(factor), caller[:parts], sizes).astype(int) - whole).max() <= 1
        whole = Downsampler(factor).feed(agent[: parts * factor])
        assert (
            np.abs(feed(Downsampler(factor), agent[: parts * factor], sizes).astype(int) - whole).max() <= 1
        )


@pytest.mark.parametrize("factor", [2, 3])
def test_no_drift_in_ten_minutes_and_no_piece_is_held_back(factor):
    """Each piece comes out at once and as long as it went in."""
    up, down = Upsampler(factor), Downsampler(factor)
    for size in [160] * 500 + [1600] * 2950:
        back = up.feed(np.zeros(size, np.int16))
        assert len(back) == size * factor
        assert len(down.feed(back)) == size


@pytest.mark.parametrize("factor", [2, 3])
def test_the_delay_is_what_is_stated(factor):
    click = np.zeros(800, np.int16)
    click[400] = 20_000
    up = Upsampler(factor).feed(click)
    late_ms = (int(np.abs(up).argmax()) - 400 * factor) / (8 * factor)
    assert late_ms == DELAY_MS
    wide = np.zeros(800 * factor, np.int16)
    wide[400 * factor - 1 : 400 * factor + 2] = 20_000
    down = Downsampler(factor).feed(wide)
    assert (int(np.abs(down).argmax()) - 400) / 8 == DELAY_MS


def test_loud_is_clipped_and_does_not_wrap():
    square = np.where(np.arange(1600) // 20 % 2, 32767, -32768).astype(np.int16)
    up = Upsampler(3).feed(square)
    assert up.max() == 32767 and up.min() == -32768
    assert all(abs(int(a) - int(b)) < 60_000 for a, b in itertools.pairwise(up))


def test_after_a_reset_nothing_of_the_past_is_left():
    for resampler in (Upsampler(3), Downsampler(3)):
        resampler.feed(np.full(480, 20_000, np.int16))
        resampler.reset()
        assert not resampler.feed(np.zeros(480, np.int16)).any()


def test_less_than_one_sample_waits_for_the_rest():
    down = Downsampler(3)
    assert [len(down.feed(np.zeros(1, np.int16))) for _ in range(6)] == [0, 0, 1, 0, 0, 1]


def test_factors():
    assert [factor_of(codec) for codec in (Codec.PCM16_24K, Codec.PCM16_16K)] == [3, 2]
    assert TELEPHONE_HZ == 8000
