"""`python -m emulator.functions_host`: run a function app without Azure and without func."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from emulator.functions_host.engine import LoadFailed
from emulator.functions_host.keys import open_keys
from emulator.functions_host.server import Options, serve
from emulator.functions_host.settings import apply_local_settings, read_host_file
from shared.errors import ConfigurationError
from shared.settings import is_loopback
from shared.telemetry import configure_logging, redact

logger = logging.getLogger(__name__)

EXAMPLES = """examples:
  python -m emulator.functions_host
      run the app in this folder on http://127.0.0.1:7071 with local.settings.json, if there is one
  python -m emulator.functions_host --app ../my-app --port 0
      another app, on a free port; the ready line on standard output says which
  python -m emulator.functions_host --settings test.settings.json --keys out/keys.json
      other settings and another keys file (made, for its owner alone, if it is not there)

  curl -X POST http://127.0.0.1:7071/admin/functions/sweep -H "x-functions-key: $(jq -r .master KEYS)" -d '{"input": ""}'
      fire a timer by hand

Ctrl-C or SIGTERM ends it: no new requests, those in flight may finish within --grace seconds.
docs/functions-host.md says which rules of the real host it keeps, and how to run the app with `func start`."""


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError("a port from 0 to 65535")


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m emulator.functions_host",
        description="Run an Azure Functions app (Python v2 model) on this machine, with Microsoft's own worker library.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--app", type=Path, default=Path(), help="folder with function_app.py and host.json (default: .)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to bind (default: %(default)s)")
    parser.add_argument(
        "--port", type=_port, help="port to bind, 0 for a free one (default: Host.LocalHttpPort or 7071)"
    )
    parser.add_argument("--settings", type=Path, help="default: APP/local.settings.json, if it is there")
    parser.add_argument("--keys", type=Path, help="keys file (default: APP/.patchcord/functions-keys.json)")
    parser.add_argument(
        "--grace", type=float, default=8.0, help="seconds for requests after a signal (default: 8)"
    )
    parser.add_argument(
        "--log-level",
        default="INFO",
        type=str.upper,
        choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        help="default: INFO",
    )
    return parser.parse_args(argv)


def _run(given: argparse.Namespace) -> int:
    app = given.app.resolve()
    settings = given.settings or app / "local.settings.json"
    port = None
    if given.settings or settings.exists():
        port = apply_local_settings(settings.resolve(), os.environ)
    host_file = read_host_file(app / "host.json")
    if not (app / "function_app.py").exists() and "PYTHON_SCRIPT_FILE_NAME" not in os.environ:
        raise ConfigurationError("--app", "a folder with function_app.py", str(app))
    keys = open_keys((given.keys or app / ".patchcord" / "functions-keys.json").resolve())
    if not is_loopback(given.host):
        logger.warning("%s is not this machine's loopback: others can reach the app", given.host)
    given_port = given.port if given.port is not None else port
    options = Options(app, given.host, 7071 if given_port is None else given_port, given.grace)
    os.chdir(app)  # as Azure's worker: relative paths of the app start in its folder
    engine = asyncio.run(serve(options, keys, host_file))
    if not engine.stop(within_s=1.0):
        logger.warning("a synchronous function did not end; its thread is abandoned")
        logging.shutdown()
        os._exit(1)  # the interpreter would wait for the thread for ever
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the host; returns the exit code: 1 if the app or a setting is wrong."""
    given = _arguments(argv)
    configure_logging(given.log_level)
    if given.log_level != "DEBUG":
        logging.getLogger("azure.functions").setLevel(
            logging.WARNING
        )  # the worker's line for every invocation
    try:
        return _run(given)
    except LoadFailed as error:
        print(redact(f"Worker failed to load functions.\n{error}"), file=sys.stderr)
        if error.trace:
            print(redact(error.trace), file=sys.stderr)
    except ConfigurationError as error:
        print(redact(str(error)), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
