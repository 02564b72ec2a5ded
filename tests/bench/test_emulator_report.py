import pytest

from bench.emulator_report import faults, growth, lines, rise

QUANTILES = {"count": 1000, "p50": 1.0, "p99": 2.0, "max": 3.0, "late": 0.0}


def host(**changes):
    totals = {"framesSent": 500, "framesDropped": 0, "audioReceived": 510, "underruns": 0}
    return {
        "calls": 5,
        "up": 5,
        "seconds": 2.0,
        "cpu_share": 0.1,
        "machine_load": 0.5,
        "begun": QUANTILES,
        "done": QUANTILES,
        "skipped": 0,
        "together": 2,
        "samples": [],
        "ended": 5,
        "failed": {},
        "totals": totals,
    } | changes


def app(**counts):
    return {"counts": {"frames": 500, "sent": 510} | counts, "arrivals": QUANTILES, "cpu_share": 0.2}


def samples(**values):
    """Ten minutes, a sample every five seconds; values are functions of the time."""
    still = {"rss_kib": lambda _: 100_000, "tasks": lambda _: 90, "fds": lambda _: 60} | values
    return [
        {"at_s": at, "ended": at * 2} | {name: value(at) for name, value in still.items()}
        for at in range(5, 605, 5)
    ]


def test_a_good_run_has_no_faults():
    assert faults(host(), app(), soak=False) == []


@pytest.mark.parametrize(
    ("changes", "counts", "words"),
    [
        ({"up": 4}, {}, "only 4 of 5"),
        ({"done": QUANTILES | {"p99": 10.1}}, {}, "10.1 ms late at p99"),
        ({"skipped": 7}, {}, "7 ticks were skipped"),
        ({}, {"lost": 1}, "lost: 1"),
        ({}, {"doubled": 2}, "doubled: 2"),
        ({}, {"strange": 1}, "strange: 1"),
        ({}, {"holes": 1}, "holes: 1"),
        ({}, {"frames": 499}, "not arrived: 1"),
        ({}, {"sent": 600}, "the app sent 600"),
        ({}, {"sent": 509}, "the app sent 509"),
        ({"failed": {"busy": 3}}, {}, "3 calls: busy"),
    ],
)
def test_each_fault_is_told(changes, counts, words):
    found = faults(host(**changes), app(**counts), soak=False)
    assert len(found) == 1
    assert words in found[0]


def test_the_last_frames_of_a_caller_who_hangs_up_may_come_too_late():
    assert faults(host(), app(sent=520), soak=False) == []


@pytest.mark.parametrize("name", ["rss_kib", "tasks", "fds"])
def test_a_soak_notices_what_grows_steadily(name):
    leak = {name: lambda at: 100 + at if name != "rss_kib" else 100_000 + 10 * at}
    wrong = faults(host(samples=samples(**leak)), app(), soak=True)
    assert [line.split(" ")[0] for line in wrong] == [name]


def test_what_fills_during_the_warm_up_and_then_swings_is_no_growth():
    found = growth(samples(rss_kib=lambda at: 100_000 + min(at, 190) * 100 + at % 15 * 50))
    assert [entry["grows"] for entry in found.values()] == [False, False, False]


def test_what_comes_and_goes_with_the_calls_is_no_growth():
    waves = samples(rss_kib=lambda at: 100_000 + at * 11 % 200 * 1000)
    assert not growth(waves, 8)["rss_kib"]["grows"]


def test_growth_needs_samples():
    assert growth([]) == {}
    assert growth(samples()[:3]) == {}


def test_rise_of_a_line():
    assert rise([10, 20, 30], [5, 6, 7]) == pytest.approx(2)
    assert rise([1], [5]) == 0


def test_the_table_shows_the_soak_only_after_a_soak():
    text = "\n".join(lines(host(samples=samples()), app(), soak=True))
    assert text.count("steady") == 3
    assert "steady" not in "\n".join(lines(host(samples=samples()), app(), soak=False))
