"""`patchcord emulate`: the ACS emulator for any app, with a log that tells each call as a story."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from cli.app_environment import AppEnvironment
from cli.live_log import LiveLog
from cli.remote_phone import read_script
from cli.run_files import emulator_keys, write_private
from cli.twilio_account import app_account
from emulator.config import EmulatorConfig
from emulator.event_grid.config import command_line_subscriptions, load_subscriptions
from emulator.event_grid.subscriptions import Subscription
from emulator.event_grid.validation import SubscriptionRefused
from emulator.faults import Faults, fault_argument
from emulator.service import Emulator
from shared.errors import InvalidInput, PatchcordError

ASK_AGAIN_S = 1.0


def subscriptions_of(arguments: argparse.Namespace) -> list[Subscription]:
    """The event subscriptions that the options name.

    Raises:
        ConfigurationError: the file is wrong.
        InvalidInput: an option is wrong.
    """
    found = load_subscriptions(arguments.subscriptions) if arguments.subscriptions else []
    return found + command_line_subscriptions(
        arguments.subscribe,
        schema=arguments.schema,
        event_types=arguments.event_type,
        filters=arguments.filter,
        headers=arguments.header,
        dynamic_headers=arguments.dynamic_header,
    )


def faults_of(texts: Sequence[str]) -> Faults:
    """The faults that `--fault` options name.

    Raises:
        InvalidInput: names the wrong one.
    """
    faults = Faults()
    for text in texts:
        faults.set(fault_argument(text))
    return faults


async def emulate(arguments: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """Run until Ctrl-C; returns 0.

    Raises:
        PatchcordError: an option is wrong, or the port is taken.
    """
    folder: Path = arguments.folder
    subscriptions = subscriptions_of(arguments)
    keys = emulator_keys(folder)
    emulator = Emulator(
        EmulatorConfig(
            host="127.0.0.1",
            port=arguments.port,
            access_key=keys["access_key"],
            control_key=keys["control_key"],
            resource_id=keys["resource_id"],
            numbers=arguments.number,
            time_scale=arguments.time_scale,
            dead_letter=arguments.dead_letter,
            tls_folder=None if arguments.http else folder / "tls",
            trace_folder=folder / "traces",
            twilio=app_account(arguments.twilio, keys),
        ),
        faults=faults_of(arguments.fault),
    )
    live = LiveLog(out)
    emulator.watchers.append(live.watch)
    run_file = folder / "run.json"
    try:
        await _start(emulator)
        if emulator.trace is not None:
            emulator.trace.listeners.append(live.wire)
        for path in arguments.phone:
            await _add_phone(emulator, path)
        write_private(run_file, json.dumps(_run(emulator)))
        _greet(emulator, arguments, out)
        async with asyncio.TaskGroup() as tasks:
            for subscription in subscriptions:
                tasks.create_task(_subscribe(emulator, subscription, live))
            if not subscriptions and emulator.twilio is None:
                live.say(
                    "Nobody is subscribed to incoming calls yet: use --subscribe URL, or POST /emulator/subscriptions."
                )
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        out.write("\nStopping …\n")
        out.flush()
    finally:
        run_file.unlink(missing_ok=True)
        await emulator.close()
        await live.close()
    out.write("Stopped.\n")
    return 0


async def _start(emulator: Emulator) -> None:
    try:
        await emulator.start()
    except OSError as error:
        where = f"127.0.0.1:{emulator.config.port}"
        raise PatchcordError(f"cannot listen on {where} ({error.strerror}); choose another --port") from None


async def _add_phone(emulator: Emulator, path: Path) -> None:
    try:
        await emulator.add_phone(read_script(path))
    except InvalidInput as error:
        raise PatchcordError(f"{path}: {error.message}") from None


def _run(emulator: Emulator) -> dict[str, Any]:
    """What `patchcord dial` needs to find this emulator."""
    return {
        "pid": os.getpid(),
        "emulator": emulator.endpoint,
        "control_key": emulator.config.control_key,
        "ca_file": str(emulator.authority.ca_file.resolve()) if emulator.authority else None,
    }


async def _subscribe(emulator: Emulator, subscription: Subscription, live: LiveLog) -> None:
    """Shake hands until the app is there, and say how it stands."""
    told = ""
    while True:
        try:
            await emulator.subscribe(subscription)
        except SubscriptionRefused as refused:
            if str(refused) != told:
                told = str(refused)
                live.say(f"Event Grid  {told}; asking again every second")
            await asyncio.sleep(ASK_AGAIN_S)
        else:
            live.say(f"Event Grid  subscription {subscription.name}: events are delivered from now on")
            return


def _greet(emulator: Emulator, arguments: argparse.Namespace, out: TextIO) -> None:
    """Say where everything is; secrets go into a file unless they are asked for."""
    environment = AppEnvironment(
        connection_string=emulator.connection_string,
        endpoint=emulator.endpoint,
        resource_id=emulator.config.resource_id,
        issuer=emulator.issuer,
        jwks_url=emulator.jwks_url,
        ca_file=emulator.authority.ca_file if emulator.authority else None,
        bundle_file=emulator.authority.bundle_file if emulator.authority else None,
        twilio=emulator.config.twilio,
    )
    env_file: Path = arguments.env_file or arguments.folder / "app.env"
    write_private(env_file, environment.file())
    rows = [
        ("endpoint", emulator.endpoint),
        ("signing keys", emulator.jwks_url),
        ("resource id", emulator.config.resource_id),
        ("control API", f"{emulator.endpoint}/emulator/openapi.json"),
        ("wire traces", f"{arguments.folder / 'traces'}/   (patchcord trace …)"),
        ("environment", f"{env_file}   (holds the connection string; only you can read it)"),
    ]
    if emulator.config.twilio is not None:
        rows.append(("Twilio account", emulator.config.twilio.account_sid))
    if emulator.authority is not None:
        rows.insert(3, ("CA file", str(emulator.authority.ca_file)))
    if arguments.show_secrets:
        rows.append(("connection string", emulator.connection_string))
        rows.append(("control key", emulator.config.control_key))
    out.write("The ACS emulator runs; Ctrl-C stops it.\n\n")
    out.writelines(f"  {name:<18} {value}\n" for name, value in rows)
    out.write(f"\nStart your app with its environment:\n\n{environment.instructions(env_file)}\n")
    out.write(
        "\nCall it from another terminal:\n\n  patchcord dial --from +14255550100 --to +18005550000 --say hello\n\n"
    )
    out.flush()
