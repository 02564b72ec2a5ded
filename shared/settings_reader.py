"""Environment variables, read one by one: with a default, checked, and named when wrong."""

import re
from collections.abc import Mapping

from shared.errors import ConfigurationError


class Reader:
    """Reads variables of one mapping, and notes in `names` which were asked for."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.names: set[str] = set()

    def text(self, name: str, default: str | None = None, *, expected: str = "a value") -> str:
        """The value without white space around it, or `default`.

        Raises:
            ConfigurationError: it is missing, and there is no default; `expected` says what should be there.
        """
        self.names.add(name)
        value = self._env.get(name, "").strip()
        if value:
            return value
        if default is None:
            raise ConfigurationError(name, expected)
        return default

    def choice(self, name: str, default: str, options: tuple[str, ...]) -> str:
        """One of `options`, in small letters.

        Raises:
            ConfigurationError: another value.
        """
        value = self.text(name, default).lower()
        if value not in options:
            raise ConfigurationError(name, "one of " + ", ".join(options), value)
        return value

    def flag(self, name: str, default: bool) -> bool:
        """1, true, yes or on; 0, false, no or off.

        Raises:
            ConfigurationError: another value.
        """
        value = self.text(name, "true" if default else "false").lower()
        if value in ("1", "true", "yes", "on"):
            return True
        if value in ("0", "false", "no", "off"):
            return False
        raise ConfigurationError(name, "true or false", value)

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number from `low` to `high`.

        Raises:
            ConfigurationError: another value.
        """
        value = self.text(name, str(default))
        if re.fullmatch(r"-?[0-9]{1,12}", value) and low <= int(value) <= high:
            return int(value)
        raise ConfigurationError(name, f"a whole number from {low} to {high}", value)

    def matching(self, name: str, default: str, pattern: str, expected: str) -> str:
        """A value that is like the regular expression `pattern` from end to end.

        Raises:
            ConfigurationError: another value; `expected` says what should be there.
        """
        value = self.text(name, default)
        if re.fullmatch(pattern, value):
            return value
        raise ConfigurationError(name, expected, value)
