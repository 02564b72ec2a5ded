"""The comparison with the vendors' SDKs, small: real sockets and the real SDKs. Nothing is said about microseconds."""

import asyncio

import pytest

from bench.adapter import WORK, Row, compare, run
from bench.report import aligned
from tests.support.timing import patience


def row(ours, sdk):
    return Row("GA", WORK[0], ours, sdk)


async def test_both_sides_do_all_of_the_work():
    told = []
    async with asyncio.timeout(patience(60)):
        rows = await compare(1, 100, told.append)
    assert [(found.dialect, found.work) for found in rows] == [(d, w) for d in ("GA", "flat") for w in WORK]
    assert all(len(found.ours) == len(found.sdk) == 1 for found in rows)
    assert min(found.ours[0] for found in rows) > 0
    assert len(told) == 2


def test_the_ratio_is_taken_round_by_round():
    found = row([2.0, 4.0, 2.0], [20.0, 20.0, 30.0])
    assert found.ratios == [10, 5, 15]
    assert found.verdict() == []
    assert "10.0 (5.0-15.0)" in aligned([found.cells()])
    assert found.to_json()["sdkUs"] == [20.0, 20.0, 30.0]


def test_an_adapter_that_is_not_cheaper_fails():
    assert "GA, 20 ms frame to the model: 5.0 µs, the SDK 4.0 µs" in row([5.0], [4.0]).verdict()


@pytest.mark.parametrize("wrong", [["--rounds", "0"], ["--frames", "x"]])
def test_wrong_options_are_refused(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        run(wrong, print)
    assert caught.value.code == 2
