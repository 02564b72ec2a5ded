"""Event Grid's filters on an IncomingCall event."""

import pytest

from emulator.event_grid.filters import AdvancedFilter, check_filters, matches
from shared.errors import ConfigurationError

EVENT = {
    "eventType": "Microsoft.Communication.IncomingCall",
    "subject": "/caller/4:+14255550100/recipient/4:+18005550000",
    "data": {
        "to": {"kind": "phoneNumber", "rawId": "4:+18005550000", "phoneNumber": {"value": "+18005550000"}},
        "n": 5,
        "yes": True,
        "nothing": None,
    },
}
TO = "data.to.rawId"


@pytest.mark.parametrize(
    ("operator", "key", "values", "passes"),
    [
        ("StringIn", TO, ["4:+1", "4:+18005550000"], True),
        ("StringIn", TO, ["4:+1"], False),
        ("StringIn", "data.to.kind", ["PHONENUMBER"], True),
        ("StringNotIn", TO, ["4:+1"], True),
        ("StringNotIn", TO, ["4:+18005550000"], False),
        ("StringBeginsWith", "data.to.PhoneNumber.Value", ["+1800"], True),
        ("StringBeginsWith", TO, ["+1800"], False),
        ("StringNotBeginsWith", TO, ["4:+1800"], False),
        ("StringEndsWith", TO, ["0000"], True),
        ("StringNotEndsWith", TO, ["0000"], False),
        ("StringContains", "subject", ["RECIPIENT"], True),
        ("StringNotContains", "subject", ["recipient"], False),
        ("stringin", "DATA.TO.KIND", ["phonenumber"], True),
        ("StringIn", "data.missing", ["a"], False),
        ("StringNotIn", "data.missing", ["a"], True),
        ("StringNotContains", "data.to.kind.deeper", ["a"], True),
        ("NumberIn", "data.n", [4, 5], True),
        ("NumberNotIn", "data.n", [5], False),
        ("NumberNotIn", "data.missing", [5], True),
        ("NumberLessThan", "data.n", [5], False),
        ("NumberLessThanOrEquals", "data.n", [5], True),
        ("NumberGreaterThan", "data.n", [4.5], True),
        ("NumberGreaterThanOrEquals", "data.n", [6], False),
        ("NumberInRange", "data.n", [[1, 2], [5, 9]], True),
        ("NumberNotInRange", "data.n", [[5, 9]], False),
        ("NumberIn", "data.yes", [1], False),
        ("BoolEquals", "data.yes", [True], True),
        ("BoolEquals", "data.yes", [False], False),
        ("BoolEquals", "data.missing", [False], False),
        ("IsNullOrUndefined", "data.missing", [], True),
        ("IsNullOrUndefined", "data.nothing", [], True),
        ("IsNullOrUndefined", "data.n", [], False),
        ("IsNotNull", "data.nothing", [], False),
        ("IsNotNull", "data.n", [], True),
    ],
)
def test_an_operator(operator: str, key: str, values: list, passes: bool) -> None:
    assert matches(EVENT, [], [AdvancedFilter(operator, key, values)]) is passes


@pytest.mark.parametrize(
    ("types", "passes"),
    [
        ([], True),
        (["microsoft.communication.incomingcall"], True),
        (["Microsoft.Communication.CallStarted"], False),
        (["Microsoft.Communication.CallStarted", "Microsoft.Communication.IncomingCall"], True),
    ],
)
def test_included_types(types: list[str], passes: bool) -> None:
    assert matches(EVENT, types, []) is passes


def test_filters_are_joined_by_and() -> None:
    right = AdvancedFilter("NumberIn", "data.n", [5])
    wrong = AdvancedFilter("NumberIn", "data.n", [6])
    assert matches(EVENT, [], [right, right])
    assert not matches(EVENT, [], [right, wrong])


@pytest.mark.parametrize(
    ("filters", "setting"),
    [
        ([AdvancedFilter("StringSounds", TO, ["a"])], "f[0].operator"),
        ([AdvancedFilter("StringIn", TO, ["a" * 513])], "f[0].values"),
        ([AdvancedFilter("StringIn", TO, ["a"] * 26)], "f"),
        ([AdvancedFilter("IsNotNull", TO)] * 26, "f"),
    ],
)
def test_what_event_grid_would_not_take(filters: list, setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_filters(filters, "f")
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        ("StringIn", [1]), ("StringIn", []), ("NumberIn", ["5"]), ("NumberLessThan", [1, 2]), ("NumberInRange", [1, 5]),
        ("NumberInRange", [[1, "5"]]), ("BoolEquals", ["yes"]), ("BoolEquals", [True, False]), ("IsNotNull", ["x"]),
        ("NumberIn", [True]),
    ],
)  # fmt: skip
def test_values_have_to_fit_the_operator(operator: str, values: list) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_filters([AdvancedFilter(operator, "data.n", values)], "f")
    assert caught.value.setting == "f[0].values"


CHUNKS = {
    **EVENT,
    "data": {"chunks": [{"index": 0, "end": "a"}, {"index": 1, "end": "b"}], "words": ["one", "two"]},
}


@pytest.mark.parametrize(
    ("operator", "key", "values", "with_arrays", "without"),
    [
        ("NumberIn", "data.chunks.index", [1], True, False),
        ("StringIn", "data.words", ["TWO"], True, False),
        ("StringNotIn", "data.words", ["two"], False, True),
        ("StringContains", "data.chunks.end", ["c"], False, False),
        ("IsNotNull", "data.words", [], True, True),
    ],
)
def test_arrays_are_looked_into_when_asked(operator, key, values, with_arrays, without) -> None:
    chosen = [AdvancedFilter(operator, key, values)]
    assert matches(CHUNKS, [], chosen, arrays=True) is with_arrays
    assert matches(CHUNKS, [], chosen) is without


def test_cloud_events_names_work_too() -> None:
    assert matches(EVENT, [], [AdvancedFilter("StringIn", "type", [EVENT["eventType"]])])
