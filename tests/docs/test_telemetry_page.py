"""The table of metrics in docs/telemetry.md is the one of the code."""

from cli.processes import ROOT
from shared.telemetry.__main__ import table


def test_the_table_is_the_codes():
    page = (ROOT / "docs" / "telemetry.md").read_text()
    assert page.partition("<!-- metrics -->\n")[2].partition("<!-- end -->")[0] == table()
