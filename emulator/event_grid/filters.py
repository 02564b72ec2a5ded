"""Event Grid's subscription filters: included types and advanced operators on nested keys (acs.md 5.5).

Filters are joined by AND, the values of one by OR. Text and keys compare without case. A key that the event does not have
matches no filter but the negative ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import ConfigurationError

type Json = Mapping[str, Any]

MISSING = object()
MAX_FILTERS = 25
MAX_VALUES = 25
MAX_VALUE_LENGTH = 512


@dataclass(frozen=True, slots=True)
class AdvancedFilter:
    """One advanced filter.

    Attributes:
        operator: `StringIn`, `NumberGreaterThan`, … in any case.
        key: `data.to.rawId`, `subject`, `eventType`; dots go one level down.
        values: text, numbers, one bool, or for the range operators pairs `[from, to]`.
    """

    operator: str
    key: str
    values: Sequence[Any] = ()


def _text(found: object) -> str | None:
    return found.casefold() if isinstance(found, str) else None


def _number(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _in_range(number: float, pair: object) -> bool:
    return isinstance(pair, Sequence) and len(pair) == 2 and float(pair[0]) <= number <= float(pair[1])


type Test = Callable[[Any, Any], bool]

STRING_TESTS: Mapping[str, Test] = {
    "in": lambda found, value: found == value,
    "contains": lambda found, value: value in found,
    "beginswith": lambda found, value: found.startswith(value),
    "endswith": lambda found, value: found.endswith(value),
}
NUMBER_TESTS: Mapping[str, Test] = {
    "in": lambda found, value: found == float(value),
    "lessthan": lambda found, value: found < float(value),
    "lessthanorequals": lambda found, value: found <= float(value),
    "greaterthan": lambda found, value: found > float(value),
    "greaterthanorequals": lambda found, value: found >= float(value),
    "inrange": _in_range,
}


def _items(found: object) -> list[object]:
    """What a key stands for: its one value, or the elements of an array (`enableAdvancedFilteringOnArrays`)."""
    return found if isinstance(found, list) else [found]


def _string_operator(name: str, found: object, values: Sequence[Any]) -> bool:
    negative = name.startswith("not")
    test = STRING_TESTS[name.removeprefix("not")]
    texts = [text for text in map(_text, _items(found)) if text is not None]
    return negative != any(test(text, str(value).casefold()) for text in texts for value in values)


def _number_operator(name: str, found: object, values: Sequence[Any]) -> bool:
    negative = name.startswith("not")
    test = NUMBER_TESTS[name.removeprefix("not")]
    numbers = [number for number in map(_number, _items(found)) if number is not None]
    return negative != any(test(number, value) for number in numbers for value in values)


def _bool_operator(_: str, found: object, values: Sequence[Any]) -> bool:
    return any(isinstance(item, bool) and item == value for item in _items(found) for value in values)


def _operators() -> Mapping[str, Callable[[object, Sequence[Any]], bool]]:
    def bind(
        function: Callable[[str, object, Sequence[Any]], bool], name: str
    ) -> Callable[[object, Sequence[Any]], bool]:
        return lambda found, values: function(name, found, values)

    table = {f"string{name}": bind(_string_operator, name) for name in STRING_TESTS}
    table |= {f"stringnot{name}": bind(_string_operator, f"not{name}") for name in STRING_TESTS}
    table |= {f"number{name}": bind(_number_operator, name) for name in NUMBER_TESTS}
    table |= {f"numbernot{name}": bind(_number_operator, f"not{name}") for name in ("in", "inrange")}
    table["boolequals"] = bind(_bool_operator, "")
    table["isnullorundefined"] = lambda found, _: found is MISSING or found is None
    table["isnotnull"] = lambda found, _: found is not MISSING and found is not None
    return table


OPERATORS = _operators()
CLOUD_EVENTS_KEYS = {"type": "eventType", "source": "topic", "time": "eventTime"}
"""What a subscription in the CloudEvents schema calls the fields of the Event Grid schema."""


def look_up(event: Json, key: str, *, arrays: bool = False) -> object:
    """The value behind a dotted key, keys compared without case; `MISSING` when there is none.

    Args:
        event: in the Event Grid schema.
        key: `data.to.rawId`; a CloudEvents name (`type`) works, too.
        arrays: go into arrays: the result is the list of what was found in their elements.
    """
    found: object = event
    for name in CLOUD_EVENTS_KEYS.get(key.casefold(), key).split("."):
        if arrays and isinstance(found, list):
            found = [item for item in (_child(element, name) for element in found) if item is not MISSING]
        else:
            found = _child(found, name)
    if isinstance(found, list) and not arrays:
        return [found]  # one value, of a kind that no operator compares with
    return found


def _child(found: object, name: str) -> object:
    if not isinstance(found, Mapping):
        return MISSING
    wanted = name.casefold()
    return next((value for known, value in found.items() if known.casefold() == wanted), MISSING)


def check_filters(filters: Sequence[AdvancedFilter], where: str) -> None:
    """See that Event Grid would take the filters: known operators, and its limits.

    Raises:
        ConfigurationError: names the filter under `where`.
    """
    if len(filters) > MAX_FILTERS or sum(len(item.values) for item in filters) > MAX_VALUES:
        raise ConfigurationError(
            where, f"at most {MAX_FILTERS} filters and {MAX_VALUES} values in all of them"
        )
    for index, item in enumerate(filters):
        if item.operator.casefold() not in OPERATORS:
            raise ConfigurationError(
                f"{where}[{index}].operator", "an Event Grid operator such as StringIn", item.operator
            )
        if any(isinstance(value, str) and len(value) > MAX_VALUE_LENGTH for value in item.values):
            raise ConfigurationError(
                f"{where}[{index}].values", f"at most {MAX_VALUE_LENGTH} characters each"
            )
        expected = _wrong_values(item.operator.casefold(), item.values)
        if expected:
            raise ConfigurationError(f"{where}[{index}].values", expected)


def _wrong_values(operator: str, values: Sequence[Any]) -> str:
    """What the values of an operator should be, or "" when they are."""

    def number(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    def pair(value: object) -> bool:
        return isinstance(value, list | tuple) and len(value) == 2 and all(map(number, value))

    if operator in ("isnullorundefined", "isnotnull"):
        return "" if not values else "no values"
    if not values:
        return "at least one value"
    if operator.endswith("inrange"):
        return "" if all(map(pair, values)) else "pairs of numbers: [[1, 5]]"
    if operator.startswith("number"):
        single = operator in ("numberin", "numbernotin") or len(values) == 1
        return "" if single and all(map(number, values)) else "numbers, and only one to compare with"
    if operator == "boolequals":
        return "" if len(values) == 1 and isinstance(values[0], bool) else "true or false"
    return "" if all(isinstance(value, str) for value in values) else "text"


def matches(
    event: Json,
    included_event_types: Sequence[str],
    filters: Sequence[AdvancedFilter],
    *,
    arrays: bool = False,
) -> bool:
    """Whether an event (Event Grid schema) passes; no included types means all types.

    Args:
        event: the event.
        included_event_types: full names, compared without case.
        filters: joined by AND.
        arrays: filters look into arrays (`enableAdvancedFilteringOnArrays`); otherwise an array matches nothing.
    """
    kind = str(event["eventType"]).casefold()
    if included_event_types and all(kind != known.casefold() for known in included_event_types):
        return False
    return all(
        OPERATORS[item.operator.casefold()](look_up(event, item.key, arrays=arrays), item.values)
        for item in filters
    )
