"""`python -m emulator.realtime`: the emulated models in a process of their own, until SIGTERM or Ctrl-C.

Its key is in EMULATED_MODEL_KEY; without one everybody on this machine is let in.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

from emulator.faults import fault_argument
from emulator.realtime.faults import ModelFaults, parse_model_faults
from emulator.realtime.script import SCRIPTS, load_script
from emulator.realtime.server import EmulatedModel
from shared.errors import PatchcordError
from shared.telemetry import configure_logging

KEY = "EMULATED_MODEL_KEY"


async def serve(script: Path, port: int, key: str, faults: ModelFaults) -> None:
    """Serve until a signal comes."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with EmulatedModel(load_script(script), key=key, faults=faults, port=port) as model:
        print(model.endpoint, flush=True)
        await stop.wait()


def main() -> int:
    """Entry point; expected errors become one line."""
    parser = argparse.ArgumentParser(prog="python -m emulator.realtime", description=__doc__)
    parser.add_argument(
        "--script", type=Path, default=SCRIPTS / "order_desk.yaml", help="default: %(default)s"
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="KNOB=VALUE", help="see emulator/realtime/faults.py"
    )
    arguments = parser.parse_args()
    configure_logging("WARNING")
    try:
        knobs: dict[str, object] = {}
        for text in arguments.fault:
            knobs |= fault_argument(text)
        key = os.environ.get(KEY, "")
        asyncio.run(serve(arguments.script, arguments.port, key, parse_model_faults(knobs)))
    except (PatchcordError, OSError) as error:
        print(f"emulator.realtime: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
