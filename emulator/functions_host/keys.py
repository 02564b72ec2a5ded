"""The host's keys: master, host, function and system keys in one private file, and who may pass with which.

The header `x-functions-key` is read first, and if it is there the query's `code` is not looked at (AuthenticationLevelHandler
of azure-functions-host). Keys are compared in constant time and never printed.
"""

import hmac
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from multidict import MultiMapping

from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

KEY_HEADER = "x-functions-key"
EVENT_GRID_KEY = "eventgrid_extension"


@dataclass(frozen=True, slots=True)
class HostKeys:
    """Keys by kind and name.

    Attributes:
        master: opens everything.
        host: opens every function of level FUNCTION; Azure calls the first one `default`.
        system: one for each extension's webhook, `eventgrid_extension` for Event Grid.
        functions: keys of single functions, by function and name.
    """

    master: str = field(repr=False)
    host: Mapping[str, str] = field(repr=False)
    system: Mapping[str, str] = field(repr=False)
    functions: Mapping[str, Mapping[str, str]] = field(repr=False, default_factory=dict)

    def allows(self, level: str, function: str, presented: str) -> bool:
        """Whether `presented` opens an HTTP function of the auth level `level` (ANONYMOUS, FUNCTION, ADMIN)."""
        if level.upper() == "ANONYMOUS":
            return True
        if level.upper() == "ADMIN":
            return self.allows_admin(presented)
        own = next((keys for name, keys in self.functions.items() if name.lower() == function.lower()), {})
        return _equals_any(presented, [self.master, *self.host.values(), *own.values()])

    def allows_admin(self, presented: str) -> bool:
        """Whether `presented` is the master key."""
        return _equals_any(presented, [self.master])

    def allows_webhook(self, extension: str, presented: str) -> bool:
        """Whether `presented` opens `/runtime/webhooks/{extension}`: its system key, or the master key."""
        system = self.system.get(f"{extension.lower()}_extension")
        return _equals_any(presented, [self.master, *([system] if system else [])])


def _equals_any(presented: str, keys: Iterable[str]) -> bool:
    given = presented.encode(errors="surrogateescape")
    # A list, not a generator: every key is compared, whichever fits.
    return any([hmac.compare_digest(given, key.encode()) for key in keys])


def presented_key(headers: MultiMapping[str], query: MultiMapping[str]) -> str:
    """The key that a request shows: the header's if there is one, else the query's `code`, else ""."""
    if KEY_HEADER in headers:
        return headers[KEY_HEADER]
    return query.get("code", "")


def new_keys() -> HostKeys:
    """Fresh random keys of 320 bits."""

    def fresh() -> str:
        return secrets.token_urlsafe(40)

    return HostKeys(fresh(), {"default": fresh()}, {EVENT_GRID_KEY: fresh()})


def read_keys(path: Path) -> HostKeys:
    """Read a keys file: `{"master": KEY, "host": {"default": KEY}, "system": {"eventgrid_extension": KEY}}`.

    Raises:
        ConfigurationError: it cannot be read or a key is missing; the message holds no key.
    """
    try:
        document: Any = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(path), f"a readable keys file ({type(error).__name__})") from None

    def table(value: Any, name: str) -> dict[str, str]:
        if not isinstance(value, dict) or not all(isinstance(key, str) and key for key in value.values()):
            raise ConfigurationError(f"{path}: {name}", "an object of names and keys")
        return dict(value)

    if not isinstance(document, dict):
        raise ConfigurationError(str(path), "an object")
    master = document.get("master")
    if not isinstance(master, str) or not master:
        raise ConfigurationError(f"{path}: master", "a key")
    functions = document.get("functions", {})
    if not isinstance(functions, dict):
        raise ConfigurationError(f"{path}: functions", "an object of functions")
    system = table(document.get("system"), "system")
    if EVENT_GRID_KEY not in system:
        raise ConfigurationError(f"{path}: system.{EVENT_GRID_KEY}", "a key")
    return HostKeys(
        master,
        table(document.get("host"), "host"),
        system,
        {name: table(value, f"functions.{name}") for name, value in functions.items()},
    )


def open_keys(path: Path) -> HostKeys:
    """Read the keys file, after creating it (mode 0600, atomically) if there is none.

    Raises:
        ConfigurationError: it cannot be read or made.
    """
    if not path.exists():
        try:
            _create(path, new_keys())
        except OSError as error:
            raise ConfigurationError(str(path), f"a file that can be made ({error.strerror})") from None
    elif path.stat().st_mode & 0o077:
        logger.warning("%s was readable by others; it is for its owner alone now", path)
        path.chmod(0o600)
    return read_keys(path)


def _create(path: Path, keys: HostKeys) -> None:
    """Write the file under another name first, so that nobody reads half of it; the first of two creators wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"master": keys.master, "host": dict(keys.host), "system": dict(keys.system), "functions": {}}
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w") as file:
            json.dump(document, file, indent=2)
        try:
            os.link(name, path)
        except FileExistsError:
            logger.debug("another process made %s first", path)
    finally:
        os.unlink(name)
