"""Scripts of telephones that can be called."""

import pytest

from emulator.phone.callee import parse_callee
from emulator.phone.script import ExpectHangUp
from shared.errors import InvalidInput


def test_a_whole_script() -> None:
    callee = parse_callee(
        {"at": "+14255550111", "on_ring": "busy", "after_ms": 5, "voice": "en-gb", "steps": ["hang_up"]}
    )
    assert (callee.at, callee.on_ring, callee.after_ms) == ("+14255550111", "busy", 5)
    assert callee.script.voice == "en-gb"


def test_without_steps_the_person_stays_until_the_call_ends() -> None:
    callee = parse_callee({"at": "8:acs:x_y"})
    assert (callee.on_ring, callee.after_ms) == ("pick_up", 100)
    assert isinstance(callee.script.steps[0], ExpectHangUp)


@pytest.mark.parametrize(
    ("script", "field"),
    [
        ("a number", "phone"),
        ({}, "at"),
        ({"at": "somebody"}, "at"),
        ({"at": "+14255550111", "on_ring": "sleep"}, "on_ring"),
        ({"at": "+14255550111", "after_ms": -1}, "after_ms"),
        ({"at": "+14255550111", "after_ms": True}, "after_ms"),
        ({"at": "+14255550111", "to": "+14255550112"}, "to"),
        ({"at": "+14255550111", "gives_up_ms": 5}, "gives_up_ms"),
        ({"at": "+14255550111", "steps": ["dance"]}, "steps[0]"),
    ],
)
def test_what_is_wrong_is_named(script: object, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_callee(script)
    assert caught.value.field == field
