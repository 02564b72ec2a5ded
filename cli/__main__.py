"""The `patchcord` command."""

import argparse
import asyncio
import signal
import sys
import textwrap
from pathlib import Path

from cli import credentials, emulator_commands, numbers
from cli.doctor import arguments as doctor_arguments
from shared.errors import PatchcordError
from shared.telemetry import configure_logging

RUN_FILE = Path(".patchcord/run.json")
SCENARIOS = ("transfer", "ivr", "outbound")
LINES = ("acs", "twilio")
AGENTS = ("emulated-openai", "emulated-voicelive")


def parser() -> argparse.ArgumentParser:
    """The command line; each command says what it does and gives an example."""
    root = argparse.ArgumentParser(
        prog="patchcord",
        description="An AI voice agent on a phone number: try it, run it, call it, all on this machine.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=textwrap.dedent("""\
            examples:
              patchcord demo                          one call from end to end; look into out/demo
              patchcord demo --agent emulated-openai  the same with an emulated realtime model, and a person
              patchcord demo --line twilio            the same call to a number that lives at Twilio
              patchcord demo --scenario transfer      another system lends us its caller, and gets the caller back
              patchcord demo --trace                  the same, with a picture of its trace through both processes
              patchcord up --metrics                  as the next one, with a page of metrics and traces
              patchcord up                            everything running until Ctrl-C
              patchcord call emulator/scripts/human.yaml    a scripted caller on what `up` runs
              patchcord emulate --subscribe URL       the ACS emulator alone, for an app of yours in any language
              patchcord dial --to +18005550000        call that app, and see how it goes
              patchcord trace FILE                    what went over the wires of a call
              patchcord numbers size --per-second 1   how many temporary numbers call transfers need
              patchcord doctor                        every link of the chain: what is broken, and how to mend it
              patchcord credentials create default --store sqlite:patchcord.db    an API id and secret for a tenant
        """),
    )
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser(
        "demo", help="make one scripted call and leave its recording, record and picture"
    )
    demo.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help="default: out/demo, with a scenario out/demo-NAME, on Twilio out/demo-twilio",
    )
    demo.add_argument(
        "--scenario",
        choices=SCENARIOS,
        default="",
        help="a story of several calls, and the requests beside them",
    )
    demo.add_argument(
        "--script",
        type=Path,
        metavar="FILE",
        help="default: the one for the agent, emulator/scripts/demo.yaml",
    )

    demo.add_argument(
        "--agent", choices=AGENTS, default="", help="who answers, instead of the scripted agent"
    )

    demo.add_argument("--trace", action="store_true", help="leave a picture of the call's trace, too")

    demo.add_argument(
        "--line",
        choices=LINES,
        default="acs",
        help="whose number is called; default: %(default)s",
    )

    up = commands.add_parser("up", help="run everything, print the addresses; Ctrl-C stops it")
    up.add_argument("--functions-port", type=int, default=7071, metavar="PORT", help="default: %(default)s")
    up.add_argument("--media-port", type=int, default=8080, metavar="PORT", help="default: %(default)s")
    up.add_argument("--acs-port", type=int, default=8600, metavar="PORT", help="default: %(default)s")

    up.add_argument("--metrics", action="store_true", help="a page with metrics and the latest calls' traces")
    up.add_argument("--metrics-port", type=int, default=8700, metavar="PORT", help="default: %(default)s")

    up.add_argument("--agent", choices=AGENTS, default="", help="who answers, instead of the scripted agent")

    call = commands.add_parser("call", help="make a scripted call on what `patchcord up` runs")
    call.add_argument(
        "script", type=Path, metavar="SCRIPT", help="a caller's script (emulator/scripts/*.yaml)"
    )
    call.add_argument(
        "--out", type=Path, default=Path("out/call"), metavar="FOLDER", help="default: %(default)s"
    )
    call.add_argument(
        "--line", choices=LINES, default="acs", help="whose number is called; default: %(default)s"
    )

    emulator_commands.add_to(commands)

    numbers.add_to(commands)

    credentials.add_to(commands)

    doctor_arguments.add_to(commands)
    return root


async def run(arguments: argparse.Namespace) -> int:
    """Run the chosen command; commands are imported only when chosen."""
    match arguments.command:
        case "demo":
            if arguments.scenario:
                from cli.scenarios.play import play

                return await play(arguments.scenario, arguments.out or Path(f"out/demo-{arguments.scenario}"))
            from cli.demo import demo

            folder = Path("out/demo" if arguments.line == "acs" else f"out/demo-{arguments.line}")
            return await demo(
                arguments.out or folder,
                arguments.script,
                agent=arguments.agent,
                line=arguments.line,
                trace=arguments.trace,
            )
        case "up":
            from cli.up import up

            ports = (arguments.functions_port, arguments.media_port, arguments.acs_port)
            page = arguments.metrics_port if arguments.metrics else None
            return await up(*ports, RUN_FILE, agent=arguments.agent, metrics_port=page)
        case "call":
            from cli.demo import call_running

            if not RUN_FILE.exists():
                raise PatchcordError(
                    "nothing is running here: start it with `patchcord up` in another terminal"
                )
            return await call_running(RUN_FILE, arguments.script, arguments.out, line=arguments.line)
        case "numbers":
            return await numbers.numbers(arguments)
        case "doctor":
            from cli.doctor.command import doctor

            return await doctor(arguments)
        case "emulate" | "dial" | "trace":
            return await emulator_commands.run(arguments)
        case _:
            return await credentials.credentials(arguments)


async def _until_interrupted(arguments: argparse.Namespace) -> int:
    task = asyncio.ensure_future(run(arguments))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 130


def main() -> int:
    """Entry point: parse, run, and turn expected errors into one clear line."""
    configure_logging("WARNING")
    arguments = parser().parse_args()
    try:
        if arguments.command == "emulate":
            import cli.emulate  # noqa: F401  # all modules are to be there before `run` takes them out of the collector
            from emulator.loop import run as run_emulator

            return run_emulator(_until_interrupted(arguments))
        return asyncio.run(_until_interrupted(arguments))
    except (PatchcordError, OSError) as error:  # OSError: a port that is taken, a file that is not there
        print(f"patchcord: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
