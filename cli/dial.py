"""`patchcord dial`: one call on a running emulator, told as it goes."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TextIO

from cli.microphone import Programs, converse, find_programs, typed_keys
from cli.remote_phone import RemoteCall, RemotePhone, read_script
from cli.run_files import find_running
from cli.story import tell
from emulator.faults import fault_argument
from shared.errors import InvalidInput, PatchcordError

STACK_RUN_FILE = Path(".patchcord/run.json")
LIVE_S = 3600.0
"""A caller with a microphone stays on the line so long (s) at most: also when this process was killed."""

type Json = dict[str, Any]


def script_of(arguments: argparse.Namespace) -> Json:
    """The caller's script that the options describe.

    Raises:
        PatchcordError: the script's file is none.
        InvalidInput: options that do not go together, or a wrong fault.
    """
    if arguments.script is not None:
        script = read_script(arguments.script)
        if not isinstance(script, dict):
            raise InvalidInput(str(arguments.script), "a mapping with from, to and steps")
        if arguments.keys or arguments.listen:
            raise InvalidInput("--script", "no --keys and --listen beside it: they are steps of a script")
    elif arguments.mic:
        if arguments.keys or arguments.listen:
            raise InvalidInput(
                "--mic", "no --keys and --listen beside it: type keys and Enter during the call"
            )
        stay = {"within_s": LIVE_S, "or_hang_up": True}
        script = {"limit_s": LIVE_S + 60, "steps": [{"expect_hang_up": stay}]}
    else:
        script = {"steps": _steps(arguments)}
    for name, value in (("from", arguments.caller), ("to", arguments.to), ("line", arguments.line)):
        if value is not None:
            script[name] = value
    faults = dict(script.get("faults") or {})
    for text in arguments.fault:
        faults |= fault_argument(text)
    if faults:
        script["faults"] = faults
    return script


def _steps(arguments: argparse.Namespace) -> list[Any]:
    doing: list[Any] = [{"say": text} for text in arguments.say]
    if arguments.wav is not None:
        doing.append({"play": str(arguments.wav.resolve())})
    if arguments.keys:
        doing.append({"press": arguments.keys})
    steps: list[Any] = []
    for step in doing:
        steps += ["listen", step] if arguments.listen else [step]
    return [*steps, {"expect_hang_up": {"within_s": arguments.stay, "or_hang_up": True}}]


async def dial(arguments: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """Make the call; returns 0 when it went as it should, 1 when not.

    Raises:
        PatchcordError: no emulator runs here, or it refuses the script.
    """
    script = script_of(arguments)
    programs = find_programs() if arguments.mic else None
    running = find_running(arguments.folder / "run.json", STACK_RUN_FILE)
    phone = RemotePhone(running.endpoint, running.control_key, running.ca_file)
    try:
        call = await phone.dial(script)
        if programs is None:
            await _follow(phone, call, out)
        else:
            await _talk(phone, call, programs, out)
        summary = await phone.summary(call)
        if arguments.out is not None:
            await _write(arguments.out, phone, call, summary, out)
    finally:
        await phone.close()
    if summary["answered_ms"] is not None:
        first = summary["first_audio_ms"]
        heard = "nothing was heard" if first is None else f"first audio after {first:.0f} ms"
        out.write(f"\nAnswered after {summary['answered_ms']:.0f} ms; {heard}.\n")
    if summary["failed"]:
        out.write(f"The call did not go as it should: {summary['failed']}\n")
    return 1 if summary["failed"] else 0


async def _follow(phone: RemotePhone, call: RemoteCall, out: TextIO) -> None:
    async for event in phone.story(call):
        text = tell(event, more=True)
        if text is not None:
            out.write(text + "\n")
            out.flush()


async def _talk(phone: RemotePhone, call: RemoteCall, programs: Programs, out: TextIO) -> None:
    """Speak until either side hangs up; Ctrl-C is how the caller does.

    Raises:
        PatchcordError: the microphone or the loudspeaker stopped.
    """

    def refuse() -> None:
        out.write("Not pressed: type 0-9, * and #, then Enter, while somebody is on the line.\n")
        out.flush()

    out.write("Speak when it is answered; 0-9, * and #, then Enter, press keys; Ctrl-C hangs up.\n")
    out.flush()
    followed = asyncio.create_task(_follow(phone, call, out))
    talking = asyncio.create_task(converse(phone, call, programs))
    tasks = (followed, talking)
    try:
        async with typed_keys(phone, call, refuse):
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError:
                if (task := asyncio.current_task()) is not None:
                    task.uncancel()
            if not followed.done():
                await phone.hang_up(call)
            await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _write(folder: Path, phone: RemotePhone, call: Any, summary: Any, out: TextIO) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "call.json").write_text(json.dumps(summary, indent=2) + "\n")
        for side in ("heard", "said"):
            wav = await phone.wav(call, "heard" if side == "heard" else "said")
            if wav is not None:
                (folder / f"{side}.wav").write_bytes(wav)
    except OSError as error:
        raise PatchcordError(f"{folder}: {error.strerror}") from None
    out.write(f"\nWritten to {folder}/: " + ", ".join(sorted(item.name for item in folder.iterdir())) + "\n")
