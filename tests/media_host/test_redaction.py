import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_host.redaction import LONGEST_KEPT, redacted

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
BETWEEN = st.sampled_from(
    ["", " ", "-", " - ", ".", ") ", " (", "/", ", ", "\u2013", "\u00a0", "\u200b", "  ", "\n"]
)
SPOKEN = st.sampled_from([" ", "-", ", ", " um ", " dash ", " \u2014 "])
PROSE = st.sampled_from(["my number is ", "Order: ", "(", "", "I live at ", "é", "\u4f60\u597d"])


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("call +1 (425) 555-0100 now", "call +[11 digits] now"),
        ("four two seven one nine four two", "[7 digits]"),
        ("my card is 4111 one one one one 1111 double one 11.", "my card is [16 digits]."),
        ("forty-two seventeen ninety eight sixty one", "[8 digits]"),
        ("Triple five, oh one, two three", "[7 digits]"),
        ("a1234567@example.com", "a[7 digits]@example.com"),
        ("１２３４５６７", "[7 digits]"),
        ("1\u200b2\u200b3\u200b4\u200b5\u200b6\u200b7", "[7 digits]"),
        ("one2three4five6seven", "[7 digits]"),
        ("it is 1234567 and 42", "it is [7 digits] and 42"),
        ("12345, 67890", "[10 digits]"),  # in doubt it is masked
    ],
)
def test_long_numbers_are_masked_however_they_are_said(said, kept):
    assert redacted(said) == kept


@pytest.mark.parametrize(
    "text",
    [
        "order 42719 please",
        "order four two seven one nine",
        "room 123456",
        "12345 and 67890",
        "in twenty twenty six",
        "I asked someone, two or three times",  # "someone" holds no digit
        "weight of eighty five kilos",
        "seven eightyish 1 2 3 4 5",
        "",
    ],
)
def test_short_numbers_and_plain_words_stay(text):
    assert redacted(text) == text


@settings(max_examples=60)
@given(
    digits=st.lists(st.tuples(st.integers(0, 9), BETWEEN), min_size=7, max_size=24),
    before=PROSE,
    after=PROSE,
)
def test_no_figure_of_a_long_number_is_left_in_any_grouping(digits, before, after):
    said = (
        before + "".join(f"{digit}{between}" for digit, between in digits[:-1]) + str(digits[-1][0]) + after
    )
    assert redacted(said) == f"{before}[{len(digits)} digits]{after}"


@settings(max_examples=60)
@given(digits=st.lists(st.tuples(st.integers(0, 9), SPOKEN, st.booleans()), min_size=7, max_size=24))
def test_nor_is_one_that_is_spoken_or_mixed(digits):
    said = "".join(
        (WORDS[digit] if spoken else str(digit)) + between for digit, between, spoken in digits[:-1]
    )
    assert redacted(f"it's {said}{WORDS[digits[-1][0]]}!") == f"it's [{len(digits)} digits]!"


@settings(max_examples=60)
@given(st.integers(0, 10**LONGEST_KEPT - 1), PROSE)
def test_a_short_number_is_never_touched(number, before):
    assert redacted(f"{before}{number} please") == f"{before}{number} please"


@settings(max_examples=60)
@given(st.text(alphabet="0123456789 -.,()/+onetwdublfur\u200b", max_size=120))
def test_what_is_left_holds_no_long_number_and_is_left_alone_from_then_on(text):
    masked = redacted(text)
    assert redacted(masked) == masked
    assert not re.search(r"\d{7}", masked)


@pytest.mark.parametrize("piece", ["1 ", "one, ", "1" + "." * 13, "double ", "twenty ", "on", "1 um "])
def test_long_texts_take_linear_time(piece):
    def seconds(times):
        begun = time.process_time()
        redacted(piece * times)
        return time.process_time() - begun

    seconds(100)
    assert seconds(8_000) < 200 * max(seconds(400), 0.0005)  # 20 times the length; the square would be 400
