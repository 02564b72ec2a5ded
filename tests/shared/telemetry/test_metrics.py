"""The table of metrics: complete, well formed, what docs and infra/ ask for."""

import ast
import json
import re

import pytest

from cli.processes import ROOT
from shared.telemetry import metrics
from shared.telemetry.__main__ import table
from shared.telemetry.instruments import Gauge, Instrument, Kind
from tests.support.telemetry import told

NAMES = {metric.name for metric in metrics.METRICS}
UNITS = re.compile(r"s|\{[a-z]+\}")


@pytest.mark.parametrize("metric", metrics.METRICS, ids=lambda metric: metric.name)
def test_an_entry(metric):
    assert re.fullmatch(r"patchcord(\.[a-z_]+)+", metric.name)
    assert UNITS.fullmatch(metric.unit) and metric.description and not metric.description.endswith(".")
    assert (metric.kind is Kind.HISTOGRAM) == bool(metric.buckets) and list(metric.buckets) == sorted(
        metric.buckets
    )
    assert metric.where in ("functions", "media", "both")


def test_no_name_is_there_twice():
    assert len(NAMES) == len(metrics.METRICS)


def test_infra_asks_for_what_there_is():
    text = (ROOT / "infra" / "modules" / "metrics.bicep").read_text()
    asked = set(re.findall(r"'(patchcord\.[a-z_.]+)'", text))
    assert len(asked) >= 8 and asked <= NAMES
    workbook = json.dumps(json.loads((ROOT / "infra" / "modules" / "workbook.json").read_text()))
    assert set(re.findall(r"patchcord(?:\.[a-z_]+)+(?=\\*[\"'])", workbook)) <= NAMES


def test_each_is_reported_somewhere_with_its_attributes_and_no_others():
    """Every instrument is used in code, and gives the attributes that the table names (those of a mapping are not seen)."""
    named = {
        name: value.metric for name, value in vars(metrics).items() if isinstance(value, Instrument | Gauge)
    }
    used: dict[str, set[str]] = {}
    for folder in ("shared", "media_host"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "metrics.py":
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Attribute)
                    and node.attr in named
                    and ast.unparse(node.value) == "metrics"
                ):
                    used.setdefault(node.attr, set())
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = node.func.value
                    if isinstance(owner, ast.Attribute) and owner.attr in named:
                        used.setdefault(owner.attr, set()).update(
                            {keyword.arg for keyword in node.keywords if keyword.arg}
                        )
    assert set(named) - set(used) == set()
    wrong = {name: given - set(named[name].attributes) for name, given in used.items()}
    assert {name: extra for name, extra in wrong.items() if extra} == {}


def test_they_arrive():
    with told() as seen:
        assert metrics.on()
        metrics.REFUSED.add(1, {"tenant": "acme"}, reason="media_hosts_full", how="busy")
        metrics.DURATION.add(12.5, tenant="acme")
        assert seen.values("patchcord.calls.refused") == [
            ({"tenant": "acme", "reason": "media_hosts_full", "how": "busy"}, 1)
        ]
        assert seen.values("patchcord.call.duration") == [({"tenant": "acme"}, 12.5)]
    assert not metrics.on()
    metrics.REFUSED.add()  # nobody is there any more


def test_the_table_has_a_line_for_each():
    lines = table().splitlines()
    assert len(lines) == 2 + len(metrics.METRICS)
    assert "| `patchcord.calls.refused` | counter, {call} |" in table()
