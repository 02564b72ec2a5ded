import pytest

from bench.report import Pairs, embedded_line, faults, per_core, table

WAY = {"frames": 1, "p50": 1.0, "p99": 2.0, "max": 3.0, "late": 0}


def result(cpu_s=1.0, p99=2.0, **changes):
    counts = {"missing": 0, "disordered": 0, "damaged": 0, "crossed": 0, "heard": 500}
    return {
        "calls": 100,
        "seconds": 5.0,
        "cpu_s": cpu_s,
        "children_cpu_s": 1.0,
        "frames": counts,
        "broken": [],
        "left_open": 0,
        "up": WAY | {"p99": p99},
        "down": WAY,
        "rss_kib": 30_000,
        "generator_load": 0.3,
    } | changes


def pairs(candidates, name="plain"):
    return Pairs(name, [result() for _ in candidates], candidates, 20_000, 20_000)


def test_calls_per_core_are_call_seconds_per_cpu_second():
    assert per_core(result(cpu_s=2.0)) == 250


def test_the_share_is_taken_round_by_round():
    found = pairs([result(1.25), result(2.0), result(1.6)])
    assert found.shares == [0.8, 0.5, 0.625]
    assert found.verdict() == []
    assert "0.62 (0.50-0.80)" in table(found.rows())
    assert found.to_json()["share"]["median"] == 0.625


def test_the_added_p99_is_against_the_relay():
    assert pairs([result(p99=2.5), result(p99=9.0), result(p99=2.6)]).added("up") == pytest.approx(0.6)


def test_a_share_below_half_fails_the_plain_variant_only():
    slow = [result(2.1)] * 3
    assert "wanted 0.5" in pairs(slow).verdict()[0]
    assert pairs(slow, "recording").verdict() == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"frames": {"missing": 1}}, "missing 1"),
        ({"frames": {"crossed": 2}}, "crossed 2"),
        ({"frames": {"damaged": 1}}, "damaged 1"),
        ({"frames": {"disordered": 1}}, "disordered 1"),
        ({"broken": [503, 0, 503]}, "failed 3"),
        ({"left_open": 1}, "left open 1"),
    ],
)
def test_a_single_lost_frame_or_call_fails_whatever_the_share(changes, word):
    bad = result(1.0, **changes)
    assert word in faults(bad)[0]
    assert word in pairs([result(), bad]).verdict()[0]
    assert pairs([result(), bad], "recording").verdict()


def test_a_busy_generator_is_marked():
    assert "BUSY" in table(pairs([result(generator_load=0.95)]).rows())
    assert "BUSY" not in table(pairs([result()]).rows())


def test_the_embedded_agent_is_told_in_words():
    line = embedded_line("embedded agent", result(), 20_000)
    assert "500 calls/core" in line and "0.2% of a core per call" in line and "1 frames/s" in line
    assert "100 kB/call" in line
