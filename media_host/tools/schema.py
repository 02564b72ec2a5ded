"""JSON Schema (Draft 2020-12) for arguments and outcome variables: compiled once, mistakes told without any value."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from shared.errors import ConfigurationError

MAX_TOLD = 3
"""Mistakes that are told at once."""


class Schema:
    """A compiled schema.

    Args:
        schema: the JSON Schema; references lead to places within it only.
        place: where it stands, for messages (`tools.lookup.parameters`).

    Raises:
        ConfigurationError: it is not a valid schema.
    """

    def __init__(self, schema: Mapping[str, Any], place: str) -> None:
        self.source = schema
        try:
            _check(_Written(schema))
        except SchemaError as error:
            where = "".join(f".{part}" for part in error.absolute_path)
            raise ConfigurationError(
                f"{place}{where}", f"JSON Schema, Draft 2020-12 ({error.validator})"
            ) from (error)
        resource = DRAFT202012.create_resource(dict(schema))
        # An empty registry: without it the library would fetch what a reference names.
        registry: Registry[Any] = Registry()
        resolver = registry.with_resource("", resource).resolver()
        for reference in _references(schema):
            try:
                resolver.lookup(reference)
            except Unresolvable as error:
                raise ConfigurationError(
                    f"{place}: $ref", "a reference within the schema", reference
                ) from error
        self._validator = Draft202012Validator(schema, registry=registry)

    @property
    def properties(self) -> frozenset[str]:
        """Names of the fields that it describes."""
        return frozenset(self.source.get("properties", ()))

    @property
    def required(self) -> frozenset[str]:
        """Names of the fields that must be there."""
        return frozenset(self.source.get("required", ()))

    def mistakes(self, value: object) -> str:
        """What is wrong with `value`: field and what was expected there, never what was found; "" if nothing is."""
        told = dict.fromkeys(_told(error) for error in self._validator.iter_errors(value))
        return "; ".join(islice(told, MAX_TOLD))


class _Written:
    """A schema, the same as any other that is written the same."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = schema
        self._text = repr(schema)

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Written) and self._text == other._text


@lru_cache(maxsize=256)
def _check(written: _Written) -> None:
    """Raise SchemaError unless it is a schema: takes some 3 ms, and the built-in tools' are made again and again."""
    Draft202012Validator.check_schema(written.schema)


def _references(part: object) -> Iterator[str]:
    """Every `$ref` and `$dynamicRef` in a schema. A property of such a name holds a schema, never a string."""
    if isinstance(part, Mapping):
        for key, value in part.items():
            if key in ("$ref", "$dynamicRef") and isinstance(value, str):
                yield value
            elif key not in ("const", "enum", "default", "examples"):
                yield from _references(value)
    elif isinstance(part, list):
        for item in part:
            yield from _references(item)


def _told(error: ValidationError) -> str:
    # A name that does not stand in the schema was made up by the agent: it may be anything.
    named = set(error.absolute_schema_path)
    steps = [str(step) if isinstance(step, int) or step in named else "*" for step in error.absolute_path]
    rule, wanted = str(error.validator), cast(Any, error.validator_value)
    match rule:
        case "required" if isinstance(error.instance, Mapping):
            missing = [str(name) for name in wanted if name not in error.instance]
            expected = f"the field{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        case "type":
            expected = " or ".join([wanted] if isinstance(wanted, str) else wanted)
        case "enum":
            expected = "one of " + ", ".join(str(item) for item in wanted)
        case "pattern":
            expected = f"text that matches {wanted}"
        case "additionalProperties" | "unevaluatedProperties" if wanted is False:
            known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
            expected = "no field but " + ", ".join(known) if known else "no fields"
        case _ if isinstance(wanted, str | int | float) and not isinstance(wanted, bool):
            expected = f"{rule} {wanted}"
        case _:
            expected = f"what {rule} asks for"
    return f"{'.'.join(steps) or 'arguments'}: expected {expected}"
