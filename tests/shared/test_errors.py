"""The error tree is what callers decide by."""

import inspect
import re
from pathlib import Path

import pytest

from shared import errors
from shared.errors import (
    CallGone,
    ConfigurationError,
    Conflict,
    EntityChanged,
    EntityExists,
    InvalidInput,
    LimitReached,
    PatchcordError,
    TokenRejected,
    Unauthenticated,
    Unavailable,
)

ALL = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, PatchcordError)]


@pytest.mark.parametrize("error", ALL, ids=lambda item: item.__name__)
def test_the_code_says_the_status(error):
    assert re.fullmatch(r"[45]\d\d-\d\d", error.code)
    assert error.code.startswith(str(error.status))


@pytest.mark.parametrize("error", ALL, ids=lambda item: item.__name__)
def test_only_limits_and_outages_are_worth_another_try(error):
    assert error.retryable == issubclass(error, LimitReached | Unavailable)


@pytest.mark.parametrize("error", ALL, ids=lambda item: item.__name__)
def test_the_table_in_the_module_names_it(error):
    line = next(line for line in errors.__doc__.splitlines() if re.search(rf"\b{error.__name__}\b", line))
    inherited = error.code == error.__mro__[1].__dict__.get("code", "")
    assert error.code in line or inherited or error in (PatchcordError, ConfigurationError)


def test_the_outages_can_be_told_apart():
    codes = [error.code for error in ALL if issubclass(error, Unavailable)]
    assert len(set(codes)) == len(codes) == 5


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InvalidInput("data.to.rawId", "a raw id"), "data.to.rawId: expected a raw id"),
        (ConfigurationError("SETTING", "a number"), "SETTING: expected a number"),
        (ConfigurationError("SETTING", "a number", "x y"), "SETTING: expected a number, found 'x y'"),
        (CallGone("the caller has hung up"), "the caller has hung up"),
    ],
)
def test_messages(error, text):
    assert error.message == str(error) == text


def test_what_callers_read():
    assert (InvalidInput("a.b", "c").field, InvalidInput("a.b", "c").expected) == ("a.b", "c")
    assert (ConfigurationError("S", "c").setting, ConfigurationError("S", "c").expected) == ("S", "c")


def test_nobody_can_probe_for_the_reason_of_a_refusal():
    refusals = [
        Unauthenticated(),
        Unauthenticated("unknown-id"),
        TokenRejected("expired"),
        TokenRejected("signature"),
    ]
    assert {error.message for error in refusals} == {"authentication failed"}
    assert [error.reason for error in refusals] == ["credentials", "unknown-id", "expired", "signature"]


def test_both_lost_races_are_conflicts():
    assert issubclass(EntityExists, Conflict)
    assert issubclass(EntityChanged, Conflict)
    assert not issubclass(EntityExists, EntityChanged)


def test_no_error_of_ours_is_defined_elsewhere_in_shared():
    """One tree: callers need to look in one place."""
    folder = Path(errors.__file__).parent
    found = [
        path.name
        for path in folder.rglob("*.py")
        if path.name != "errors.py"
        and re.search(r"(?m)^class \w+\(\w*(?:Error|Exception)\)", path.read_text())
    ]
    assert found == []
