from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.label_rows import place, shorten, wrap


def measure(text: str) -> float:
    return 10.0 * len(text)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [("abcdef", 60, "abcdef"), ("abcdef", 50, "abcd…"), ("ab cdef", 40, "ab…"), ("abc", 15, "")],
)
def test_shorten(text: str, width: int, expected: str) -> None:
    assert shorten(text, width, measure) == expected


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("aa bb cc", 3, ("aa bb", "cc")),
        ("aa bb cc dd ee", 2, ("aa bb", "cc d…")),
        ("aaaaaaaaa b", 2, ("aaaa…", "b")),
        ("", 2, ()),
    ],
)
def test_wrap(text: str, most: int, expected: tuple) -> None:
    assert wrap(text, 50, most, measure) == expected


def test_an_earlier_label_stands_below_a_later_one_that_it_would_run_into() -> None:
    found = place([(0, "received"), (5, "answered"), (300, "end")], 3, 1000, measure)
    assert [(label.x, label.row, label.lines) for label in found] == [
        (0, 1, ("received",)), (5, 0, ("answered",)), (300, 0, ("end",)),
    ]  # fmt: skip


def test_no_room_shortens_and_then_leaves_out() -> None:
    found = place([(0, "received"), (60, "answered")], 1, 1000, measure)
    assert [(label.index, label.lines) for label in found] == [(0, ("rece…",)), (1, ("answered",))]
    assert [label.index for label in place([(0, "received"), (5, "answered")], 1, 1000, measure)] == [1]


@given(
    st.lists(st.tuples(st.integers(0, 900), st.text("ab ", min_size=1, max_size=60)), max_size=25).map(
        sorted
    ),
    st.integers(1, 6),
    st.integers(1, 4),
)
def test_labels_never_overlap_and_no_leader_crosses_one(items: list, rows: int, lines: int) -> None:
    found = place(items, rows, 1000, measure, most_lines=min(lines, rows), widest=300, padding=8)
    for label in found:
        assert label.row + len(label.lines) <= rows
        assert label.x + label.width <= 1000
        assert label.x == items[label.index][0]
    for left, right in combinations(found, 2):
        shared = set(range(left.row, left.row + len(left.lines))) & set(
            range(right.row, right.row + len(right.lines))
        )
        assert not shared or left.x + left.width <= right.x
        # The later one's leader comes down from above to its row: no earlier label stands in its way there.
        if left.row < right.row:
            assert left.x + left.width <= right.x
