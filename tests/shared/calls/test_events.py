import pytest

from shared.calls.events import (
    CallEvent,
    EventKind,
    from_entity,
    pack,
    rfc3339,
    row_key,
    to_entity,
    unpack,
)
from shared.store.entities import Entity


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"text": "naïve 😀", "n": 1, "x": 1.5, "yes": True, "none": None, "list": [1, {"a": "b"}]},
        {"text": "😀" * 40_000},
    ],
)
def test_an_event_survives_the_store(data):
    event = CallEvent("id-1", EventKind.AGENT_SAID, 12.345, data)
    row = to_entity("call", event)
    assert (row.partition, row.row) == ("call", "id-1")
    assert from_entity(row) == event
    # 32,000 UTF-16 units is what a store takes.
    assert all(len(str(value).encode("utf-16-le")) <= 64_000 for value in row.values.values())


def test_a_kind_of_a_later_version_changes_no_state():
    row = Entity("call", "id-1", pack({"id": "id-1", "kind": "teleported", "at": 1.0, "data": {}}))
    assert from_entity(row).kind is EventKind.CALLBACK


def test_pack_and_unpack_check_the_type():
    assert unpack(pack([1, 2]), list[int]) == [1, 2]
    with pytest.raises(ValueError):
        unpack(pack("text"), int)


@pytest.mark.parametrize("text", ["a", "7d0f6c39-1a52-4e0e-9b1f-2f8f3a7f5d21", "acs-1.2_3:4", "x" * 128])
def test_harmless_ids_stay_as_they_are(text):
    assert row_key(text) == text


@pytest.mark.parametrize("text", ["", "a/b", "a\\b", "a#b", "a?b", "a\x00b", "é", "x" * 129, "\ud800"])
def test_other_ids_become_a_hash(text):
    key = row_key(text)
    assert len(key) == 64
    assert key == row_key(text) != row_key(text + "1")


def test_times_are_rfc_3339_in_utc():
    assert rfc3339(1_800_000_000.9251) == "2027-01-15T08:00:00.925Z"
    assert rfc3339(1_800_000_000.0) == "2027-01-15T08:00:00.000Z"
