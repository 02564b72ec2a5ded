"""Event subscriptions as people write them: a YAML file, the `filter` block of an ARM template, or the command line."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from emulator.event_grid.filters import AdvancedFilter
from emulator.event_grid.subscriptions import Subscription
from shared.errors import ConfigurationError, InvalidInput

FILTER = re.compile(r"(?P<key>[\w.-]+)\s+(?P<operator>\w+)\s*(?P<values>.*)", re.DOTALL)


def load_subscriptions(path: Path) -> list[Subscription]:
    """The subscriptions of a YAML file: a list of `Subscription`s, or a mapping with `subscriptions`.

    Raises:
        ConfigurationError: names the file and the wrong place.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(str(path), "a file of subscriptions", error.strerror) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigurationError(str(path), "YAML") from None
    if isinstance(value, dict):
        value = value.get("subscriptions")
    if not isinstance(value, list) or not value:
        raise ConfigurationError(path.name, "a list of subscriptions")
    try:
        found = [parse_subscription(item, f"subscriptions[{index}]") for index, item in enumerate(value)]
        names = [item.name for item in found]
        if len(set(names)) < len(names):
            raise InvalidInput("subscriptions", "a name of its own for each")
    except InvalidInput as error:
        raise ConfigurationError(f"{path.name}: {error.field}", error.expected) from None
    return found


def parse_subscription(value: object, where: str = "subscription") -> Subscription:
    """A subscription from YAML or JSON data: the fields of `Subscription`, or Azure's `filter` block in their place.

    Raises:
        InvalidInput: names the wrong place below `where`; never shows a value, which may be secret.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(where, "a mapping with name and endpoint")
    fields = dict(value)
    if "filter" in fields:
        fields |= _arm_filter(fields.pop("filter"), f"{where}.filter")
    known = set(Subscription.__dataclass_fields__)
    for name in fields:
        if name not in known:
            raise InvalidInput(f"{where}.{name}", "one of " + ", ".join(sorted(known)))
    try:
        subscription: Subscription = msgspec.convert(fields, Subscription)
        subscription.check()
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `$")
        raise InvalidInput(where + path.rstrip("`"), text) from None
    except ConfigurationError as error:
        part = error.setting.partition(f"subscriptions.{fields['name']}")[2]
        raise InvalidInput(where + part, error.expected) from None
    return subscription


def _arm_filter(value: object, where: str) -> dict[str, Any]:
    """Azure's `filter` (acs.md 5.5), as in a Bicep file, with our names."""
    if not isinstance(value, Mapping):
        raise InvalidInput(where, "a mapping as in an ARM template")
    names = {
        "includedEventTypes": "included_event_types",
        "subjectBeginsWith": "subject_begins_with",
        "subjectEndsWith": "subject_ends_with",
        "enableAdvancedFilteringOnArrays": "filter_arrays",
    }
    fields = {ours: value[theirs] for theirs, ours in names.items() if theirs in value}
    filters = value.get("advancedFilters", [])
    if not isinstance(filters, list) or not all(isinstance(item, Mapping) for item in filters):
        raise InvalidInput(f"{where}.advancedFilters", "a list of filters")
    fields["filters"] = [
        {
            "operator": item.get("operatorType"),
            "key": item.get("key"),
            "values": item["values"] if "values" in item else [item["value"]] if "value" in item else [],
        }
        for item in filters
    ]
    return fields


def parse_filter(text: str) -> AdvancedFilter:
    """A filter from the command line: `data.to.rawId StringIn 4:+18005550000, 8:acs:me`; the values are a YAML list.

    Raises:
        InvalidInput: it does not have this shape.
    """
    match = FILTER.fullmatch(text.strip())
    if match is None:
        raise InvalidInput(
            "--filter", "KEY OPERATOR VALUE, …, for example: data.to.kind StringIn phoneNumber"
        )
    try:
        values: list[Any] = yaml.safe_load(f"[{match['values']}]")
    except yaml.YAMLError:
        raise InvalidInput("--filter", "values in YAML, separated by commas") from None
    if match["operator"].casefold().startswith("string"):
        values = [str(part).strip().strip("\"'") for part in match["values"].split(",")]
    return AdvancedFilter(match["operator"], match["key"], tuple(values))


def command_line_subscriptions(
    endpoints: Sequence[str],
    *,
    schema: str = "eventgrid",
    event_types: Sequence[str] = (),
    filters: Sequence[str] = (),
    headers: Sequence[str] = (),
    dynamic_headers: Sequence[str] = (),
) -> list[Subscription]:
    """Subscriptions from options of a command: one for each endpoint, named `cli-1`, `cli-2` and so on.

    Args:
        endpoints: addresses.
        schema: of all.
        event_types: of all; `IncomingCall` stands for `Microsoft.Communication.IncomingCall`.
        filters: of all, see `parse_filter`.
        headers: `name=value`.
        dynamic_headers: `name=data.from.rawId`.

    Raises:
        InvalidInput: names the wrong option.
    """

    def pairs(option: str, items: Sequence[str]) -> dict[str, str]:
        split = [item.partition("=") for item in items]
        if not all(mark and name for name, mark, _ in split):
            raise InvalidInput(option, "NAME=VALUE")
        return {name: value for name, _, value in split}

    types = [kind if "." in kind else f"Microsoft.Communication.{kind}" for kind in event_types]
    parsed = [parse_filter(text) for text in filters]
    return [
        parse_subscription(
            {
                "name": f"cli-{number}",
                "endpoint": endpoint,
                "schema": schema,
                "included_event_types": types,
                "filters": [{"operator": f.operator, "key": f.key, "values": list(f.values)} for f in parsed],
                "headers": pairs("--header", headers),
                "dynamic_headers": pairs("--dynamic-header", dynamic_headers),
            },
            "--subscribe",
        )
        for number, endpoint in enumerate(endpoints, 1)
    ]
