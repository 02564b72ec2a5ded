"""Files that only their owner may read: an emulator's keys, and where to find the one that runs."""

import base64
import json
import os
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.errors import PatchcordError


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, replacing what is there; nobody else can read it at any moment."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    temporary.replace(path)


def emulator_keys(folder: Path) -> Mapping[str, str]:
    """The emulated resource's `access_key`, `control_key` and `resource_id`: made once, so that apps keep their settings.

    Raises:
        PatchcordError: the file was damaged.
    """
    path = folder / "keys.json"
    if not path.exists():
        keys = {
            "access_key": base64.b64encode(secrets.token_bytes(32)).decode(),
            "control_key": secrets.token_urlsafe(24),
            "resource_id": str(uuid.uuid4()),
        }
        write_private(path, json.dumps(keys))
    try:
        found: Mapping[str, str] = json.loads(path.read_text())
        return {name: found[name] for name in ("access_key", "control_key", "resource_id")}
    except (ValueError, KeyError, TypeError):
        raise PatchcordError(f"{path} is damaged; delete it to get new keys") from None


@dataclass(frozen=True, slots=True)
class Running:
    """An emulator that runs: its address, its control key (secret), and the certificate to trust, if it speaks https."""

    endpoint: str
    control_key: str
    ca_file: Path | None


def find_running(*candidates: Path) -> Running:
    """The emulator of the first run file that exists.

    Raises:
        PatchcordError: there is none.
    """
    for path in candidates:
        if path.exists():
            run = json.loads(path.read_text())
            ca_file = run.get("ca_file")
            return Running(run["emulator"], run["control_key"], Path(ca_file) if ca_file else None)
    raise PatchcordError("no emulator runs here: start one with `patchcord emulate` in another terminal")
