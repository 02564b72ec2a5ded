"""The load on call transfers, small: a real function app, every answer looked at. Nothing is said about speed."""

import asyncio

import pytest

from bench.transfer_checks import Assignment, badly_formed, double_assignments, lines, quantiles
from bench.transfers import Load, load_of, run
from tests.support.timing import patience

ENVELOPE = {"error": {"requestId": "r", "code": "503-06", "message": "no number"}}


def owners(*times):
    return [Assignment("+1", f"t{n}", begun, ended) for n, (begun, ended) in enumerate(times)]


@pytest.mark.parametrize(
    ("times", "wrong"),
    [
        ([(0, 5), (5, 8)], 0),
        ([(0, 5), (4.9995, 8)], 0),
        ([(0, 5), (4.9, 8)], 1),
        ([(4, 8), (0, 5)], 1),
        ([(0, 60), (3, 63), (70, 80)], 1),
    ],
)
def test_two_owners_at_a_time_are_found(times, wrong):
    assert len(double_assignments(owners(*times))) == wrong


@pytest.mark.parametrize(
    ("status", "headers", "body", "words"),
    [
        (503, {"Retry-After": "5"}, ENVELOPE, ""),
        (503, {}, ENVELOPE, "Retry-After"),
        (409, {}, ENVELOPE, "503-06"),
        (404, {}, {"error": {"code": "404-01"}}, "envelope"),
        (404, {}, "not found", "envelope"),
        (500, {}, ENVELOPE, "status 500"),
    ],
)
def test_errors_are_as_the_api_promises(status, headers, body, words):
    found = badly_formed(status, headers, body)
    assert words in found and bool(found) is bool(words)


def test_quantiles_are_in_milliseconds():
    assert quantiles([n / 1000 for n in range(100)]) == {"count": 100, "p50": 50.0, "p99": 99.0, "max": 99.0}
    assert quantiles([]) == {"count": 0}


async def test_three_seconds_on_a_pool_that_runs_dry(tmp_path):
    async with asyncio.timeout(patience(60)):
        result = await run(Load(seconds=3, creates=50, reads=100, numbers=12), tmp_path)
    assert result["wrong"] == []
    statuses = result["creates"]["statuses"]
    assert statuses["503"] > 0 and statuses["200"] >= result["assigned"] > 12, (
        "numbers came back, and ran out"
    )
    assert result["reads"]["statuses"]["404"] > 0
    assert set(result["reads"]["statuses"]) == {"200", "404"}
    assert any("p99" in line for line in lines(result))


@pytest.mark.parametrize("wrong", [["--seconds", "0"], ["--numbers", "0"], ["--creates", "many"]])
def test_wrong_options_are_refused(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        load_of(wrong)
    assert caught.value.code == 2 and "usage" in capsys.readouterr().err
