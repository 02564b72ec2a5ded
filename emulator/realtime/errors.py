"""The error that a client event is answered by; the connection goes on (realtime.md 11)."""

import re

import msgspec

UNKNOWN = re.compile(r"Object contains unknown field `([^`]*)`")
MISSING = re.compile(r"Object missing required field `([^`]*)`")


class ClientError(Exception):
    """A client event is refused.

    Args:
        code: such as `unknown_parameter`.
        message: for people.
        param: the place in the event.
    """

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


def refusal(error: msgspec.ValidationError, root: str = "") -> ClientError:
    """The service's error for a field that is wrong; `root` is the path of what was looked at (`session`)."""
    text, _, path = str(error).partition(" - at `")
    place = ".".join(
        filter(None, [root, path.rstrip("`").replace("[...]", "[0]").removeprefix("$").strip(".")])
    )
    if found := UNKNOWN.match(text):
        param = f"{place}.{found[1]}".lstrip(".")
        return ClientError("unknown_parameter", f"Unknown parameter: '{param}'.", param)
    if found := MISSING.match(text):
        param = f"{place}.{found[1]}".lstrip(".")
        return ClientError("missing_required_parameter", f"Missing required parameter: '{param}'.", param)
    if text.startswith("Invalid"):
        return ClientError("invalid_value", f"{text.replace('`', chr(39))}: '{place}'.", place)
    return ClientError("invalid_type", f"Invalid type for '{place}': {text.replace('`', chr(39))}.", place)
