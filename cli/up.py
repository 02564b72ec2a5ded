"""`patchcord up`: everything running until Ctrl-C."""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from cli.metrics.asked import collecting
from cli.stack import Stack, StackOptions

if TYPE_CHECKING:
    from cli.metrics.collector import Collector


async def up(
    functions_port: int,
    media_port: int,
    acs_port: int,
    run_file: Path,
    out: TextIO = sys.stdout,
    agent: str = "",
    *,
    metrics_port: int | None = None,
) -> int:
    """Run the stack in the foreground; returns 0 after Ctrl-C when everything has stopped.

    Args:
        functions_port: of the function app.
        media_port: of the media host.
        acs_port: of the emulator.
        run_file: for `patchcord call`.
        out: gets what is said.
        agent: see `StackOptions`.
        metrics_port: of the page with metrics and traces; None for no such page.
    """
    async with collecting(metrics_port is not None, metrics_port or 0) as collector:
        return await _up(functions_port, media_port, acs_port, run_file, out, agent, collector)


async def _up(
    functions_port: int,
    media_port: int,
    acs_port: int,
    run_file: Path,
    out: TextIO,
    agent: str,
    collector: "Collector | None",
) -> int:
    options = StackOptions(
        run_file.parent / "up",
        functions_port=functions_port,
        media_port=media_port,
        acs_port=acs_port,
        agent=agent,
        env=collector.env if collector else {},
    )
    out.write("Starting …\n")
    out.flush()
    async with Stack(options) as stack:
        stack.write_run_file(run_file)
        started = Path(sys.argv[0])
        command = (
            started if started.name == "patchcord" else "patchcord"
        )  # as it was called, so that it can be pasted
        script = "order_and_human.yaml" if agent else "demo.yaml"
        shown = f"  metrics and traces       {collector.endpoint}/\n" if collector else ""
        out.write(
            f"""
  ACS, Twilio, phone       {stack.emulator.endpoint}   (emulated, with Event Grid)
  function app             {stack.functions_base}
  media host               {stack.media_base}
  logs                     {stack.logs}/
  recordings               {stack.recordings}/
{f"  agent                    {agent}, as in {stack.config}\n" if agent else ""}{shown}
Call it from another terminal:   {command} call emulator/scripts/{script}
The same on a Twilio number:     {command} call --line twilio emulator/scripts/{script}
Read the records:                GET {stack.functions_base}/api/calls, credentials in {run_file} (readable by you only)
Ctrl-C stops everything.
"""
        )
        out.flush()
        try:
            await _until_a_child_ends(stack, out)
        except asyncio.CancelledError:
            out.write("\nStopping …\n")
            out.flush()
        finally:
            run_file.unlink(missing_ok=True)
    out.write("Stopped.\n")
    return 0


async def _until_a_child_ends(stack: Stack, out: TextIO) -> None:
    """Watch the children; a media host or function app that dies is started again, and said so."""
    while True:
        await asyncio.sleep(1)
        if stack.functions is not None and not stack.functions.running:
            out.write(f"The function app has ended (see {stack.functions.log}); starting it again.\n")
            await stack.start_functions()
        if stack.model is not None and not stack.model.running:
            out.write(f"The emulated model has ended (see {stack.model.log}); starting it again.\n")
            await stack.start_model()
        for host in [host for host in stack.media_hosts if not host.running]:
            out.write(f"{host.name} has ended (see {host.log}); starting another.\n")
            stack.media_hosts.remove(host)
            await stack.add_media_host()
        out.flush()
