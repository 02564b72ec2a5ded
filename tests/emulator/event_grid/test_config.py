"""Subscriptions from a file, from an ARM template's filter, and from the command line."""

from pathlib import Path

import pytest
import yaml

from emulator.event_grid.config import command_line_subscriptions, load_subscriptions, parse_filter
from emulator.event_grid.filters import AdvancedFilter
from shared.errors import ConfigurationError, InvalidInput

ENDPOINT = "http://127.0.0.1:8080/events?code=hidden"
FILE = """
subscriptions:
  - name: calls
    endpoint: http://127.0.0.1:8080/events
    schema: cloudevents
    included_event_types: [Microsoft.Communication.IncomingCall]
    filters:
      - {operator: StringIn, key: data.to.rawId, values: ["4:+18005550000"]}
    headers: {api-secret: hush}
    dynamic_headers: {x-caller: data.from.rawId}
    max_events: 10
  - name: from-bicep
    endpoint: http://127.0.0.1:8080/events
    filter:
      includedEventTypes: [Microsoft.Communication.RecordingFileStatusUpdated]
      subjectBeginsWith: /recording
      enableAdvancedFilteringOnArrays: true
      advancedFilters:
        - {operatorType: StringIn, key: data.recordingStorageInfo.recordingChunks.endReason, values: [SessionEnded]}
        - {operatorType: BoolEquals, key: data.x, value: true}
        - {operatorType: IsNotNull, key: data.y}
"""


def write(path: Path, value: object) -> Path:
    path.write_text(value if isinstance(value, str) else yaml.safe_dump(value))
    return path


def test_a_file(tmp_path: Path) -> None:
    calls, bicep = load_subscriptions(write(tmp_path / "s.yaml", FILE))
    assert (calls.schema, calls.max_events, calls.dynamic_headers) == (
        "cloudevents",
        10,
        {"x-caller": "data.from.rawId"},
    )
    assert calls.filters[0] == AdvancedFilter("StringIn", "data.to.rawId", ["4:+18005550000"])
    assert bicep.included_event_types == ["Microsoft.Communication.RecordingFileStatusUpdated"]
    assert (bicep.filter_arrays, bicep.subject_begins_with) == (True, "/recording")
    assert [item.values for item in bicep.filters] == [["SessionEnded"], [True], []]


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ([{"name": "a", "endpoint": "nowhere:hush"}], "s.yaml: subscriptions[0].endpoint"),
        ([{"name": "a", "endpoint": ENDPOINT, "speed": 1}], "s.yaml: subscriptions[0].speed"),
        ([{"name": "a"}], "s.yaml: subscriptions[0]"),
        ([{"name": "a", "endpoint": ENDPOINT, "max_events": "hush"}], "s.yaml: subscriptions[0].max_events"),
        ([{"name": "a", "endpoint": ENDPOINT, "filters": [{"operator": "Sounds", "key": "x", "values": []}]}],
         "s.yaml: subscriptions[0].filters[0].operator"),
        ([{"name": "a", "endpoint": ENDPOINT, "filter": []}], "s.yaml: subscriptions[0].filter"),
        ([{"name": "a", "endpoint": ENDPOINT, "filter": {"advancedFilters": 1}}],
         "s.yaml: subscriptions[0].filter.advancedFilters"),
        ([{"name": "a", "endpoint": ENDPOINT}, {"name": "a", "endpoint": ENDPOINT}], "s.yaml: subscriptions"),
        (["x"], "s.yaml: subscriptions[0]"), ([], "s.yaml"), ({"subscriptions": {}}, "s.yaml"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_and_no_value_shown(tmp_path: Path, value: object, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_subscriptions(write(tmp_path / "s.yaml", value))
    assert caught.value.setting == where
    assert "hush" not in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "["])
def test_no_file_and_no_yaml(tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "s.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigurationError):
        load_subscriptions(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data.to.rawId StringIn 4:+18005550000, 8:acs:me", ("StringIn", ("4:+18005550000", "8:acs:me"))),
        ("data.n NumberInRange [1, 5], [7, 9]", ("NumberInRange", ([1, 5], [7, 9]))),
        ("data.yes BoolEquals true", ("BoolEquals", (True,))),
        ("data.customContext IsNotNull", ("IsNotNull", ())),
    ],
)
def test_a_filter_in_one_line(text: str, expected: tuple) -> None:
    found = parse_filter(text)
    assert (found.operator, found.values) == expected


@pytest.mark.parametrize("text", ["", "data.n", "data.n NumberIn [", "two words"])
def test_a_wrong_filter_in_one_line(text: str) -> None:
    with pytest.raises(InvalidInput):
        command_line_subscriptions([ENDPOINT], filters=[text])


def test_the_command_line() -> None:
    [one, two] = command_line_subscriptions(
        [ENDPOINT, ENDPOINT],
        event_types=["IncomingCall", "My.Event"],
        filters=["data.to.kind StringIn phoneNumber"],
        headers=["api-id=me", "api-secret=a=b"],
        dynamic_headers=["x-caller=data.from.rawId"],
    )
    assert (one.name, two.name) == ("cli-1", "cli-2")
    assert one.included_event_types == ["Microsoft.Communication.IncomingCall", "My.Event"]
    assert one.headers == {"api-id": "me", "api-secret": "a=b"}
    with pytest.raises(InvalidInput, match="--header"):
        command_line_subscriptions([ENDPOINT], headers=["nothing"])
    with pytest.raises(InvalidInput, match=r"--subscribe\.endpoint"):
        command_line_subscriptions(["nowhere"])
