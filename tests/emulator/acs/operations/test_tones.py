"""DTMF words, keys and sounds."""

import pytest

from emulator.acs.errors import RestError
from emulator.acs.operations.tones import FREQUENCIES, KEYS, WORDS, key_of, keys_of, sound
from emulator.phone.audio import share_at


def test_every_key_has_its_word_and_back() -> None:
    assert len(WORDS) == len(KEYS) == len(FREQUENCIES) == 16
    assert all(KEYS[word] == key for key, word in WORDS.items())


@pytest.mark.parametrize(("word", "key"), [("pound", "#"), ("ASTERISK", "*"), ("seven", "7"), ("A", "A")])
def test_keys_of_words_in_any_case(word: str, key: str) -> None:
    assert key_of(word, "Tone") == key


@pytest.mark.parametrize("value", ["7", "#", "", None, 7, "eleven"])
def test_what_is_no_tone(value: object) -> None:
    with pytest.raises(RestError):
        key_of(value, "Tone")


def test_a_list_of_tones() -> None:
    assert keys_of(["one", "pound"], "Tones") == ("1", "#")
    with pytest.raises(RestError):
        keys_of("one", "Tones")


@pytest.mark.parametrize("rate", [16000, 24000])
@pytest.mark.parametrize("key", ["1", "5", "0", "#", "D"])
def test_a_key_sounds_of_its_two_frequencies(key: str, rate: int) -> None:
    pcm = sound([key], rate)
    assert len(pcm) == rate * 2 // 5
    tone = pcm[: rate * 2 // 10]
    for hz in FREQUENCIES[key]:
        assert share_at(tone, rate, hz) == pytest.approx(0.5, abs=0.05)
    assert set(pcm[rate * 2 // 10 :]) == {0}
