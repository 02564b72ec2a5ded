import pytest

from media_host.tools.schema import Schema
from shared.errors import ConfigurationError

SCHEMA = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "pattern": "^[0-9]{5}$", "maxLength": 5},
        "kind": {"enum": ["lamp", "hook", 3]},
        "count": {"type": ["integer", "null"], "minimum": 1},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "address": {"$ref": "#/$defs/address"},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "free": {"type": "object", "additionalProperties": {"type": "string"}},
    },
    "required": ["number", "kind"],
    "additionalProperties": False,
    "$defs": {
        "address": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    },
}
GOOD = {"number": "42719", "kind": "lamp"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (GOOD, ""),
        ({**GOOD, "count": None, "tags": ["a"], "address": {"city": "Delft"}, "free": {"x": "y"}}, ""),
        ({}, "arguments: expected the fields number, kind"),
        ({"kind": 3}, "arguments: expected the field number"),
        (
            {**GOOD, "number": "SECRET"},
            "number: expected text that matches ^[0-9]{5}$; number: expected maxLength 5",
        ),
        ({**GOOD, "number": 42719}, "number: expected string"),
        ({**GOOD, "kind": "SECRET"}, "kind: expected one of lamp, hook, 3"),
        ({**GOOD, "count": "SECRET"}, "count: expected integer or null"),
        ({**GOOD, "count": 0}, "count: expected minimum 1"),
        ({**GOOD, "tags": ["a", 1]}, "tags.1: expected string"),
        ({**GOOD, "tags": ["SECRET", "SECRET"]}, "tags: expected what uniqueItems asks for"),
        ({**GOOD, "address": {}}, "address: expected the field city"),
        ({**GOOD, "address": {"city": 1}}, "address.city: expected string"),
        ({**GOOD, "either": []}, "either: expected what anyOf asks for"),
        ({**GOOD, "free": {"SECRET": 1}}, "free.*: expected string"),
        (
            {**GOOD, "SECRET": 1},
            "arguments: expected no field but number, kind, count, tags, address, either, free",
        ),
        ("SECRET", "arguments: expected object"),
    ],
)
def test_mistakes_name_the_field_and_what_was_expected_never_the_value(value, told):
    mistakes = Schema(SCHEMA, "here").mistakes(value)
    assert mistakes == told
    assert "SECRET" not in mistakes


def test_no_fields_at_all():
    assert (
        Schema({"additionalProperties": False}, "here").mistakes({"a": 1}) == "arguments: expected no fields"
    )


def test_at_most_three_mistakes_are_told():
    schema = Schema({"properties": {name: {"type": "string"} for name in "abcdef"}}, "here")
    assert schema.mistakes(dict.fromkeys("abcdef", 1)).count("expected") == 3


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        ({"type": "text"}, "here.type"),
        ({"properties": {"a": {"minimum": "1"}}}, "here.properties.a.minimum"),
        ({"required": "a"}, "here.required"),
        ({"properties": {"a": {"$ref": "#/$defs/nowhere"}}}, "here: $ref"),
        ({"properties": {"a": [{"$ref": "https://evil.example/schema.json"}]}}, "here"),
        ({"allOf": [{"$ref": "https://evil.example/schema.json"}]}, "here: $ref"),
    ],
)
def test_a_wrong_schema_is_named_at_start(schema, place):
    with pytest.raises(ConfigurationError) as caught:
        Schema(schema, "here")
    assert caught.value.setting.startswith(place)


def test_what_only_looks_like_a_reference():
    schema = {"properties": {"a": {"const": {"$ref": "https://x.example/"}}, "$ref": {"type": "string"}}}
    assert Schema(schema, "here").mistakes({"a": {"$ref": "https://x.example/"}}) == ""
