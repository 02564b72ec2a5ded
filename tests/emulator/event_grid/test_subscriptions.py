"""Subscriptions: both schemas, delivery headers, limits, secrets."""

import json

import pytest

from emulator.event_grid.subscriptions import Subscription
from shared.errors import ConfigurationError

EVENT = {
    "id": "e1", "topic": "/t", "subject": "/s", "eventType": "A.B", "eventTime": "2026-11-20T00:00:00Z",
    "data": {"a": 1}, "dataVersion": "1.0", "metadataVersion": "1",
}  # fmt: skip


def subscription(endpoint: str = "http://127.0.0.1:1/x?code=hidden", **more: object) -> Subscription:
    return Subscription(name="s1", endpoint=endpoint, **more)


def test_the_event_grid_schema_is_an_array_of_one() -> None:
    assert json.loads(subscription().render(EVENT)) == [EVENT]


def test_the_cloud_events_schema_is_a_single_event() -> None:
    event = json.loads(subscription(schema="cloudevents").render(EVENT))
    assert event == {
        "id": "e1", "source": "/t", "subject": "/s", "type": "A.B", "specversion": "1.0",
        "time": "2026-11-20T00:00:00Z", "data": {"a": 1},
    }  # fmt: skip


def test_delivery_headers() -> None:
    headers = subscription(headers={"api-id": "me"}).delivery_headers(EVENT, 2)
    assert headers["api-id"] == "me"
    assert headers["aeg-event-type"] == "Notification"
    assert headers["aeg-subscription-name"] == "S1"
    assert headers["aeg-delivery-count"] == "1"
    assert headers["aeg-output-event-id"] == "e1"


def test_cloud_events_carry_their_origin() -> None:
    headers = subscription(schema="cloudevents").delivery_headers(EVENT, 1)
    assert headers["Content-Type"].startswith("application/cloudevents+json")
    assert headers["Origin"] == "eventgrid.azure.net"


def test_addresses_and_headers_are_not_shown() -> None:
    shown = repr(subscription(headers={"api-secret": "hush"}))
    assert "hidden" not in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"endpoint": "ftp://x"}, "endpoint"),
        ({"schema": "custom"}, "schema"),
        ({"headers": {f"h{n}": "" for n in range(11)}}, "headers"),
        ({"headers": {"h": "x" * 4097}}, "headers"),
        ({"max_attempts": 31}, "max_attempts"),
        ({"max_events": 5001}, "max_events"),
        ({"preferred_batch_kb": 1025}, "preferred_batch_kb"),
        ({"headers": {"h": "two\nlines"}}, "headers"),
        (
            {
                "headers": {f"h{n}": "" for n in range(6)},
                "dynamic_headers": {f"d{n}": "id" for n in range(5)},
            },
            "headers",
        ),
    ],
)
def test_what_event_grid_would_not_take(changes: dict, part: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        subscription(**changes).check()
    assert caught.value.setting == f"subscriptions.s1.{part}"


def test_a_batch_is_an_array_in_both_schemas() -> None:
    other = {**EVENT, "id": "e2"}
    assert json.loads(subscription(max_events=5).render(EVENT, other)) == [EVENT, other]
    batch = subscription(schema="cloudevents", max_events=5)
    assert [event["id"] for event in json.loads(batch.render(EVENT, other))] == ["e1", "e2"]
    assert batch.delivery_headers(EVENT, 1)["Content-Type"].startswith("application/cloudevents-batch+json")


def test_dynamic_headers_come_from_the_event() -> None:
    event = {**EVENT, "data": {"from": {"rawId": "4:+1"}, "n": 5, "yes": True, "deep": {}, "odd": "a\nb"}}
    wanted = {
        "x-from": "data.from.rawId", "x-path": "$.data.n", "x-yes": "data.yes", "x-none": "data.none",
        "x-deep": "data.deep", "x-odd": "data.odd", "x-type": "eventType",
    }  # fmt: skip
    headers = subscription(dynamic_headers=wanted).delivery_headers(event, 1)
    found = {name: value for name, value in headers.items() if name.startswith("x-")}
    assert found == {"x-from": "4:+1", "x-path": "5", "x-yes": "true", "x-type": "A.B"}


def test_an_own_header_does_not_replace_event_grids() -> None:
    headers = subscription(headers={"aeg-event-type": "Mine"}).delivery_headers(EVENT, 1)
    assert headers["aeg-event-type"] == "Notification"


@pytest.mark.parametrize(
    ("begins", "ends", "wanted"), [("/S", "", True), ("", "/s", True), ("/x", "", False), ("", "x", False)]
)
def test_the_subject_can_be_filtered(begins: str, ends: str, wanted: bool) -> None:
    chosen = subscription(subject_begins_with=begins, subject_ends_with=ends)
    assert chosen.wants(EVENT) is wanted
