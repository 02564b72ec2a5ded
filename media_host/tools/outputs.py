"""Outcome variables: what an agent hands over when it gives the call away, checked against its `outputs`."""

from collections.abc import Mapping
from typing import Any

import msgspec

from media_host.tools.schema import Schema
from media_host.tools.tool import WrongArguments

MAX_BYTES = 4096
"""All variables together, as JSON (bytes)."""

ANY_STRINGS: Mapping[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


class Outputs:
    """The outcome variables of one agent.

    Args:
        declared: the agent's `outputs`; empty takes any strings.
        place: where it stands, for messages.

    Raises:
        ConfigurationError: `declared` is not a valid schema.
    """

    def __init__(self, declared: Mapping[str, Any], place: str) -> None:
        self.schema = Schema(declared or ANY_STRINGS, place)

    def checked(self, variables: Mapping[str, object]) -> dict[str, str]:
        """The variables as text: numbers and true/false as JSON writes them, null as "".

        Raises:
            WrongArguments: they do not fit the schema, are too long, or hold lists or objects.
        """
        if mistakes := self.schema.mistakes(variables):
            raise WrongArguments(mistakes)
        checked = {}
        for name, value in variables.items():
            match value:
                case str():
                    checked[name] = value
                case None:
                    checked[name] = ""
                case bool() | int() | float():
                    checked[name] = msgspec.json.encode(value).decode()
                case _:
                    raise WrongArguments("variables: expected text, numbers, true or false")
        if len(msgspec.json.encode(checked)) > MAX_BYTES:
            raise WrongArguments(f"variables: expected at most {MAX_BYTES} bytes in all")
        return checked
