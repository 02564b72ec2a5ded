"""`python -m emulator --config FILE`: the emulator as a process of its own, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import msgspec
import yaml

from emulator import loop
from emulator.config import EmulatorConfig
from emulator.service import Emulator
from shared.errors import ConfigurationError, PatchcordError
from shared.telemetry import configure_logging


def _path(wanted: type, value: object) -> Path:
    """A folder's name as a Path: the one type of the configuration that YAML does not have."""
    if wanted is not Path or not isinstance(value, str):
        raise ValueError("Expected the name of a folder")
    return Path(value)


def load_config(path: Path) -> EmulatorConfig:
    """The configuration in a YAML file with the fields of `EmulatorConfig`; `subscriptions` as in `Subscription`.

    Raises:
        ConfigurationError: names the file and the wrong place.
    """
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(str(path), "a configuration file", error.strerror) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigurationError(str(path), "YAML") from None
    if not isinstance(value, dict):
        raise ConfigurationError(str(path), "a mapping")
    known = set(EmulatorConfig.__dataclass_fields__)
    for name in value:
        if name not in known:
            raise ConfigurationError(f"{path.name}: {name}", "one of " + ", ".join(sorted(known)))
    try:
        config = msgspec.convert({"host": "127.0.0.1", "port": 0, **value}, EmulatorConfig, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigurationError(path.name, str(error)) from None
    config.check()
    return config


async def run(config: EmulatorConfig) -> None:
    """Run until SIGTERM or SIGINT; prints one line when ready."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Emulator(config) as emulator:
        sys.stdout.write(f"emulator ready: {emulator.endpoint}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> int:
    """Read the command line and run; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m emulator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML file, see EmulatorConfig")
    options = parser.parse_args()
    configure_logging()
    try:
        loop.run(run(load_config(options.config)))
    except PatchcordError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
