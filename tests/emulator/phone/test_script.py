"""Caller scripts: what they mean, and what is said about a wrong one."""

from pathlib import Path

import pytest

import emulator
from emulator.phone.script import (
    ExpectHangUp,
    HangUp,
    Interrupt,
    Listen,
    Press,
    Say,
    Tone,
    Wait,
    load_script,
    parse_script,
    step_name,
)
from shared.errors import ConfigurationError, InvalidInput

SHIPPED = sorted((Path(emulator.__file__).parent / "scripts").glob("*.yaml"))


def one(step: object) -> object:
    return parse_script({"steps": [step]}).steps[0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("listen", Listen()),
        ({"listen": None}, Listen()),
        ({"listen": {"within_s": 3, "quiet_ms": 700}}, Listen(within_s=3, quiet_ms=700)),
        ({"say": "hello"}, Say(text="hello")),
        ({"say": {"text": "hello", "within_s": 5}}, Say(text="hello", within_s=5)),
        ({"press": "12#"}, Press(keys="12#")),
        ({"interrupt": {"after_ms": 300, "say": "stop"}}, Interrupt(after_ms=300, say="stop")),
        ({"wait_ms": 200}, Wait(ms=200)),
        ({"tone": {"hz": 440, "seconds": 2}}, Tone(hz=440, seconds=2)),
        ("hang_up", HangUp()),
        ({"expect_hang_up": {"within_s": 30}}, ExpectHangUp(within_s=30)),
    ],
)
def test_a_step(written: object, meant: object) -> None:
    assert one(written) == meant


@pytest.mark.parametrize(
    ("written", "field"),
    [
        ("dance", "steps[0]"),
        ({"say": "a", "press": "1"}, "steps[0]"),
        ({"dance": 1}, "steps[0]"),
        (7, "steps[0]"),
        ({"say": ""}, "steps[0].say"),
        ({"say": 7}, "steps[0].say"),
        ({"press": 42719}, "steps[0].press"),
        ({"press": "12x"}, "steps[0].press"),
        ({"press": ""}, "steps[0].press"),
        ({"interrupt": "stop"}, "steps[0].interrupt"),
        ({"interrupt": {"after_ms": 3}}, "steps[0].interrupt"),
        ({"listen": {"loudly": True}}, "steps[0].listen"),
        ({"listen": {"within_s": 0}}, "steps[0].listen.within_s"),
        ({"tone": {"hz": 3, "seconds": 1}}, "steps[0].tone"),
        ({"wait_ms": "long"}, "steps[0].wait_ms"),
    ],
)
def test_a_wrong_step_is_named_by_its_place(written: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        one(written)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"steps": []}, "steps"),
        ({"steps": "listen"}, "steps"),
        ({"to": "5550000"}, "to"),
        ({"from": "+0123"}, "from"),
        ({"speed": 3}, "script"),
        ({"limit_s": "long"}, "limit_s"),
    ],
)
def test_a_wrong_field_is_named(changes: dict, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_script({"steps": ["listen"], **changes})
    assert caught.value.field == field


@pytest.mark.parametrize("value", [None, [], "listen"])
def test_a_script_is_a_mapping(value: object) -> None:
    with pytest.raises(InvalidInput):
        parse_script(value)


def test_what_will_be_said_is_known_before_the_call() -> None:
    steps = [{"say": "one"}, {"interrupt": {"say": "two"}}, {"say": "one"}, "listen"]
    assert parse_script({"steps": steps}).texts() == ("one", "two")


def test_keys_are_not_shown() -> None:
    script = parse_script({"steps": [{"press": "4271"}]})
    assert "4271" not in repr(script)


@pytest.mark.parametrize("name", ["listen", "hang_up", "expect_hang_up"])
def test_steps_know_their_names(name: str) -> None:
    assert step_name(parse_script({"steps": [name]}).steps[0]) == name


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_shipped_scripts_are_right(path: Path) -> None:
    assert load_script(path).steps


def test_the_demo_has_all_it_must_show() -> None:
    script = load_script(next(path for path in SHIPPED if path.stem == "demo"))
    kinds = {type(step) for step in script.steps}
    assert {Listen, Say, Press, Interrupt, ExpectHangUp} <= kinds


@pytest.mark.parametrize("text", ["steps: [dance]", "a: [", "\x00", "7"])
def test_a_wrong_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"wrong\.yaml"):
        load_script(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing"):
        load_script(tmp_path / "nothing.yaml")
