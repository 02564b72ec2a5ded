"""The mixed load on a real media host, in small, and its verdict."""

import copy

from bench.mixed import measure, rows, verdict


async def test_no_frame_of_either_line_is_lost(tmp_path):
    results = await measure(2, 0.5, tmp_path / "mixed")
    lost = [
        line for line in verdict(results) if "p99" not in line
    ]  # this machine may be busy with other tests
    assert lost == []
    mixed = results["mixed"]
    assert mixed["calls"] == 4
    for line in (mixed, mixed["twilio"]):
        assert line["up"]["frames"] > 20 and line["down"]["frames"] > 20
    assert mixed["frames"]["received_up"] == mixed["frames"]["sent_up"] > 4 * 25
    assert results["acs"]["twilio"]["up"]["frames"] == 0
    assert len(rows(results)) == 5

    good = copy.deepcopy(results)
    for result in good.values():
        for line in (result, result["twilio"]):
            for way in ("up", "down"):
                line[way]["p99"] = 20.0
    assert verdict(good) == []
    for change in (
        lambda bad: bad["mixed"]["frames"].update(missing=1),
        lambda bad: bad["mixed"]["twilio"]["down"].update(p99=25.1),
        lambda bad: bad["mixed"]["twilio"]["up"].update(frames=0),
        lambda bad: bad["acs"]["broken"].append(401),
    ):
        bad = copy.deepcopy(good)
        change(bad)
        assert len(verdict(bad)) == 1
    busy = copy.deepcopy(good)
    busy["acs"]["up"]["p99"], busy["mixed"]["up"]["p99"] = 30.0, 37.0
    assert verdict(busy) == []
