"""The command line of the emulator: `patchcord emulate`, `dial` and `trace`."""

import argparse
import textwrap
from pathlib import Path
from typing import Any

FOLDER = Path(".patchcord/emulator")


def _command(commands: Any, name: str, *, help: str, about: str, examples: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=textwrap.dedent(about).strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n" + textwrap.indent(textwrap.dedent(examples).strip("\n"), "  "),
    )
    return parser


def add_to(commands: Any) -> None:
    """Add the three commands to the `patchcord` command line."""
    _add_emulate(commands)
    _add_dial(commands)
    trace = _command(
        commands,
        "trace",
        help="show the wire trace of a call",
        about="""\
            Show what went over the wires of a call: REST requests, events, callbacks, the media connection.
            `patchcord emulate` writes one file for each call; secrets are left out when it is written.""",
        examples="""
            patchcord trace .patchcord/emulator/traces             the newest call
            patchcord trace .patchcord/emulator/traces/call-ID.jsonl --bodies
        """,
    )
    trace.add_argument("file", type=Path, metavar="FILE", help="a trace, or a folder: its newest call")
    trace.add_argument("--bodies", action="store_true", help="show requests and answers, too")


def _add_emulate(commands: Any) -> None:
    emulate = _command(
        commands,
        "emulate",
        help="run the ACS emulator for an app of yours, in any language; Ctrl-C stops it",
        about="""\
            Run an emulated Azure Communication Services resource on this machine: Call Automation, Event Grid and
            telephones. Point your app at it with the environment file that it writes, and call it with `patchcord dial`.
            It prints what happens in each call. docs/emulator.md says what is faithful, guessed and missing.""",
        examples="""
            patchcord emulate --subscribe http://127.0.0.1:8080/api/events
            patchcord emulate --subscriptions subscriptions.yaml --time-scale 0.01
            patchcord emulate --twilio +18005550000=http://127.0.0.1:8080/voice
            patchcord emulate --subscribe http://127.0.0.1:8080/api/events --event-type IncomingCall \\
                --filter 'data.to.rawId StringIn 4:+18005550000' --header api-key=mine
            patchcord emulate --subscribe http://127.0.0.1:8080/api/events \\
                --fault duplicate_events=2 --fault 'rest_status={answer: [429]}'
        """,
    )
    emulate.add_argument(
        "--port", type=int, default=8600, metavar="PORT", help="default: %(default)s; 0 takes a free one"
    )
    emulate.add_argument(
        "--http",
        action="store_true",
        help="plain http: apps that take a connection string need https, the default",
    )
    emulate.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        metavar="FOLDER",
        help="keys, certificate, traces, run file; default: %(default)s",
    )
    emulate.add_argument(
        "--env-file",
        type=Path,
        metavar="FILE",
        help="where your app's environment goes (0600); default: FOLDER/app.env",
    )
    emulate.add_argument(
        "--show-secrets", action="store_true", help="print the connection string and the control key, too"
    )
    emulate.add_argument(
        "--number",
        action="append",
        default=[],
        metavar="NUMBER",
        help="a phone number of the resource: calls of apps to it come back as IncomingCall (repeatable)",
    )
    emulate.add_argument(
        "--phone",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a telephone that your app can call, as a script (repeatable)",
    )
    emulate.add_argument(
        "--twilio",
        action="append",
        default=[],
        metavar="NUMBER=URL",
        help="a number of a Twilio account, and the address that is asked for TwiML (repeatable)",
    )
    grid = emulate.add_argument_group("Event Grid")
    grid.add_argument("--subscriptions", type=Path, metavar="FILE", help="event subscriptions in YAML")
    grid.add_argument(
        "--subscribe",
        action="append",
        default=[],
        metavar="URL",
        help="deliver events to this webhook (repeatable)",
    )
    grid.add_argument(
        "--schema", choices=("eventgrid", "cloudevents"), default="eventgrid", help="default: %(default)s"
    )
    grid.add_argument(
        "--event-type",
        action="append",
        default=[],
        metavar="TYPE",
        help="only this type (repeatable): IncomingCall",
    )
    grid.add_argument(
        "--filter",
        action="append",
        default=[],
        metavar="FILTER",
        help="'KEY OPERATOR VALUE, …' (repeatable, all must hold)",
    )
    grid.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="with each delivery; never printed (repeatable)",
    )
    grid.add_argument(
        "--dynamic-header",
        action="append",
        default=[],
        metavar="NAME=KEY",
        help="a header from the event: x-caller=data.from.rawId",
    )
    grid.add_argument(
        "--time-scale",
        type=float,
        default=1.0,
        metavar="FACTOR",
        help="of the retry schedule (10 s, 30 s, 1 min, …); default: %(default)s",
    )
    grid.add_argument("--dead-letter", type=Path, metavar="FOLDER", help="where events go that were given up")
    emulate.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KNOB=VALUE",
        help="let something go wrong in every call (repeatable; docs/emulator.md lists the knobs)",
    )


def _add_dial(commands: Any) -> None:
    dial = _command(
        commands,
        "dial",
        help="call your app on a running emulator",
        about="""\
            Make one call on the emulator that `patchcord emulate` (or `patchcord up`) runs from this folder, and print
            how it goes. Ends with 0 when the call went as it should, with 1 when not.""",
        examples="""
            patchcord dial --from +14255550100 --to +18005550000
            patchcord dial --to +18005550000 --listen --say "where is my order" --keys "42719#"
            patchcord dial --to +18005550000 --wav question.wav --out out/call
            patchcord dial --script emulator/scripts/human.yaml
            patchcord dial --to +18005550000 --mic
            patchcord dial --line twilio --to +18005550000 --say hello
            patchcord dial --to +18005550000 --say hello --fault media_fault=abort --fault media_fault_after_ms=2000
        """,
    )
    dial.add_argument("--from", dest="caller", metavar="ADDRESS", help="default: +14255550100")
    dial.add_argument("--to", metavar="ADDRESS", help="default: +18005550000")
    dial.add_argument(
        "--line",
        choices=("acs", "twilio"),
        help="whose number is called (Twilio: on what `patchcord up` runs, or `emulate --twilio`); default: acs",
    )
    what = dial.add_mutually_exclusive_group()
    what.add_argument("--say", action="append", default=[], metavar="TEXT", help="say this (repeatable)")
    what.add_argument("--wav", type=Path, metavar="FILE", help="play this WAV file (16 bit PCM)")
    what.add_argument("--script", type=Path, metavar="FILE", help="do what a caller's script says (YAML)")
    what.add_argument(
        "--mic",
        action="store_true",
        help="speak yourself: microphone and loudspeaker, through arecord/aplay, parec/pacat or rec/play",
    )
    dial.add_argument("--keys", metavar="KEYS", help="press these keys after that")
    dial.add_argument(
        "--listen",
        action="store_true",
        help="wait until the app has spoken before each text, file and row of keys",
    )
    dial.add_argument(
        "--stay",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="hang up when the app has not done so by then; default: %(default)s",
    )
    dial.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write heard.wav, said.wav and call.json there"
    )
    dial.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KNOB=VALUE",
        help="let something go wrong (repeatable)",
    )
    dial.add_argument(
        "--folder",
        type=Path,
        default=FOLDER,
        metavar="FOLDER",
        help="of `patchcord emulate`; default: %(default)s",
    )


async def run(arguments: argparse.Namespace) -> int:
    """Run one of the three commands; each is imported only when it is chosen."""
    match arguments.command:
        case "emulate":
            from cli.emulate import emulate

            return await emulate(arguments)
        case "dial":
            from cli.dial import dial

            return await dial(arguments)
        case _:
            from cli.trace import show_trace

            return show_trace(arguments.file, bodies=arguments.bodies)
