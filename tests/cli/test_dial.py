"""`patchcord dial`: options become a caller's script."""

import json
from pathlib import Path

import pytest

from cli.__main__ import parser
from cli.dial import script_of
from cli.run_files import Running, emulator_keys, find_running, write_private
from cli.trace import show_trace
from emulator.phone.script import parse_script
from shared.errors import InvalidInput, PatchcordError

END = {"expect_hang_up": {"within_s": 5.0, "or_hang_up": True}}


def script(*options: str) -> dict:
    return script_of(parser().parse_args(["dial", *options]))


@pytest.mark.parametrize(
    ("options", "steps"),
    [
        ([], [END]),
        (["--say", "hello", "--say", "bye"], [{"say": "hello"}, {"say": "bye"}, END]),
        (
            ["--listen", "--say", "hello", "--keys", "1#"],
            ["listen", {"say": "hello"}, "listen", {"press": "1#"}, END],
        ),
        (["--stay", "9"], [{"expect_hang_up": {"within_s": 9.0, "or_hang_up": True}}]),
    ],
)
def test_options_become_steps(options: list[str], steps: list) -> None:
    found = script(*options)
    assert found == {"steps": steps}
    parse_script(found)


def test_who_and_what_goes_wrong() -> None:
    found = script(
        "--from", "anonymous", "--to", "8:acs:me", "--fault", "odd_frames=3", "--fault", "media_fault=slow"
    )
    assert (found["from"], found["to"]) == ("anonymous", "8:acs:me")
    assert found["faults"] == {"odd_frames": 3, "media_fault": "slow"}


def test_a_wav_file_is_named_absolutely(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert script("--wav", "a.wav")["steps"][0] == {"play": str(tmp_path / "a.wav")}


def test_a_script_keeps_its_own(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "to: '+18005550001'\nfaults: {odd_frames: 1}\nsteps: [{play: x.wav}, {play: {file: y.wav}}]\n"
    )
    found = script("--script", str(path), "--from", "+14255550111", "--fault", "unknown_kinds=2")
    assert (found["from"], found["to"]) == ("+14255550111", "+18005550001")
    assert found["faults"] == {"odd_frames": 1, "unknown_kinds": 2}
    assert found["steps"] == [{"play": str(tmp_path / "x.wav")}, {"play": {"file": str(tmp_path / "y.wav")}}]
    with pytest.raises(InvalidInput):
        script("--script", str(path), "--keys", "1")


@pytest.mark.parametrize("text", [None, "[", "7"])
def test_a_script_that_is_none(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "s.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(PatchcordError):
        script("--script", str(path))


@pytest.mark.parametrize("options", [["--say", "x", "--wav", "y"], ["--script", "x", "--say", "y"]])
def test_one_thing_at_a_time(options: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        script(*options)
    assert "not allowed with" in capsys.readouterr().err


def test_the_running_emulator_is_found(tmp_path: Path) -> None:
    other, mine = tmp_path / "other.json", tmp_path / "mine.json"
    with pytest.raises(PatchcordError, match="patchcord emulate"):
        find_running(other, mine)
    write_private(
        mine, json.dumps({"emulator": "https://127.0.0.1:1", "control_key": "k", "ca_file": "/ca.pem"})
    )
    assert find_running(other, mine) == Running("https://127.0.0.1:1", "k", Path("/ca.pem"))
    assert mine.stat().st_mode & 0o777 == 0o600


def test_keys_stay_the_same(tmp_path: Path) -> None:
    keys = emulator_keys(tmp_path / "e")
    assert emulator_keys(tmp_path / "e") == keys
    path = tmp_path / "e" / "keys.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{}")
    with pytest.raises(PatchcordError, match="damaged"):
        emulator_keys(tmp_path / "e")


def test_a_trace_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(PatchcordError, match="no call"):
        show_trace(tmp_path)
    with pytest.raises(PatchcordError, match="No such file"):
        show_trace(tmp_path / "x.jsonl")
