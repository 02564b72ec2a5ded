import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_host.agents.realtime.caller_words import CallerWords


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_words_come_out_in_the_order_in_which_they_were_said(arrival, empty):
    words = CallerWords()
    for item in range(6):
        words.committed(str(item), str(item - 1) if item else "")
    told = []
    for item in arrival:
        told += words.words(str(item), "" if item in empty else str(item))
    assert told == [str(item) for item in range(6) if item not in empty]
    assert not words.waiting


def test_an_item_that_is_announced_late_stands_where_it_belongs():
    words = CallerWords()
    words.committed("a", "")
    words.committed("c", "b")
    words.committed("b", "a")
    words.committed("b", "a")
    assert words.words("c", "third") == [] and words.words("b", "second") == []
    assert words.words("a", "first") == ["first", "second", "third"]


def test_what_does_not_come_does_not_hold_the_rest_up_for_ever():
    words = CallerWords()
    words.committed("a", "")
    words.committed("b", "a")
    assert words.words("b", "second") == []
    assert words.give_up() == ["second"]
    assert words.words("a", "first, late") == ["first, late"]
    assert words.words("unknown", "") == []


def test_a_lost_session_gives_what_is_there():
    words = CallerWords()
    for item in "abc":
        words.committed(item, "")
    words.words("b", "second")
    words.words("c", "")
    words.words("c", "")  # Voice Live says so again
    assert words.lost() == ["second"] and not words.waiting


@pytest.mark.parametrize("text", ["", "x"])
def test_nothing_is_said_twice(text):
    words = CallerWords()
    words.committed("a", "")
    words.words("a", text)
    assert words.words("a", "") == []
