"""`python -m emulator.realtime` and what it does not start with; that it starts is shown by the demo's tests."""

import pytest

from emulator.realtime.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "colour=red"], "faults.colour"),
        (["--fault", "speed"], "KNOB=VALUE"),
        (["--script", "/no/such/script.yaml"], "script.yaml"),
    ],
)
def test_a_mistake_is_one_line(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr("sys.argv", ["emulator.realtime", *arguments])
    assert main() == 1
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
