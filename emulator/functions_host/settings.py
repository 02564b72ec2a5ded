"""host.json and local.settings.json, as far as they matter here."""

import json
import re
from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ConfigurationError

DEFAULT_TIMEOUT_S = 1800.0  # every plan but Consumption (ScriptJobHostOptionsSetup.cs)


def _load(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(str(path), "a file with that name") from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(str(path), f"readable JSON ({error})") from None
    if not isinstance(document, dict):
        raise ConfigurationError(str(path), "a JSON object")
    return document


def _section(document: dict[str, Any], path: Path, *names: str) -> dict[str, Any]:
    """A nested object; {} where a name is missing.

    Raises:
        ConfigurationError: something else stands there.
    """
    for depth, name in enumerate(names):
        document = document.get(name, {})
        if not isinstance(document, dict):
            raise ConfigurationError(f"{path}: {'.'.join(names[: depth + 1])}", "an object")
    return document


@dataclass(frozen=True, slots=True)
class HostFile:
    """What this host reads of host.json.

    Attributes:
        route_prefix: `extensions.http.routePrefix`, "api" unless set; "" for none.
        timeout_s: `functionTimeout` (s); None for unbounded (`-1`).
    """

    route_prefix: str
    timeout_s: float | None


def parse_duration(text: str) -> float | None:
    """A .NET time span such as `00:05:00` or `1.00:00:00` in seconds; None if it is none."""
    match = re.fullmatch(r"(?:(\d{1,4})\.)?(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,7})?)?", text.strip())
    if not match:
        return None
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups()[:4])
    if hours > 23 or minutes > 59 or seconds > 59:
        return None
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + float(match[5] or 0)


def read_host_file(path: Path) -> HostFile:
    """Read host.json.

    Raises:
        ConfigurationError: it is missing, is no host.json of version 2.0, or a value is wrong.
    """
    document = _load(path)
    if document.get("version") != "2.0":
        raise ConfigurationError(f"{path}: version", '"2.0"', str(document.get("version")))
    prefix = _section(document, path, "extensions", "http").get("routePrefix", "api")
    if not isinstance(prefix, str) or not re.fullmatch(r"[A-Za-z0-9._~/-]*", prefix):
        raise ConfigurationError(
            f"{path}: extensions.http.routePrefix", "a path without parameters", str(prefix)
        )
    timeout = document.get("functionTimeout")
    if timeout is None:
        return HostFile(prefix, DEFAULT_TIMEOUT_S)
    if str(timeout) == "-1":
        return HostFile(prefix, None)
    seconds = parse_duration(str(timeout))
    if seconds is None or seconds < 1:
        raise ConfigurationError(
            f"{path}: functionTimeout", "hh:mm:ss of at least a second, or -1", str(timeout)
        )
    return HostFile(prefix, seconds)


def apply_local_settings(path: Path, environment: MutableMapping[str, str]) -> int | None:
    """Put `Values` into `environment` where a name is not set yet; returns `Host.LocalHttpPort` if it is there.

    Raises:
        ConfigurationError: the file cannot be read, is encrypted, or a value is no string. The message holds no value.
    """
    document = _load(path)
    if document.get("IsEncrypted") is True:
        raise ConfigurationError(
            f"{path}: IsEncrypted", "false (`func settings decrypt` writes it in plain text)"
        )
    values = _section(document, path, "Values")
    for name, value in values.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: Values.{name}", "a string")
        environment.setdefault(name, value)
    port = _section(document, path, "Host").get("LocalHttpPort")
    if port is not None and (not isinstance(port, int) or not 0 <= port <= 65535):
        raise ConfigurationError(f"{path}: Host.LocalHttpPort", "a port", str(port))
    return port
