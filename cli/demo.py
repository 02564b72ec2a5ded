"""`patchcord demo`: one call from end to end, and what it leaves to look at and listen to."""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TextIO

import msgspec

from cli.gateway_client import GatewayClient
from cli.metrics.asked import collecting, draw_call_trace
from cli.picture import draw_call
from cli.processes import ROOT
from cli.stack import Stack, StackOptions
from cli.story import Storyteller
from emulator.phone.script import load_script

SCRIPTS = ROOT / "emulator" / "scripts"

type Json = Mapping[str, Any]
type Line = Literal["acs", "twilio"]


async def demo(
    folder: Path,
    script: Path | None = None,
    out: TextIO = sys.stdout,
    agent: str = "",
    line: Line = "acs",
    *,
    trace: bool = False,
) -> int:
    """Start everything, make the call that `script` describes, and write call.wav, call.json and call.png.

    Args:
        folder: for everything that is written.
        script: the caller's; None takes the one for the agent.
        out: gets the story.
        agent: see `StackOptions`.
        line: `twilio` calls a number of the emulated Twilio account instead of one of the ACS resource.
        trace: write trace.png too: the call's spans from both processes.

    Returns:
        The exit code: 0 when the call went as scripted and its record is complete.
    """
    script = script or SCRIPTS / ("order_and_human.yaml" if agent else "demo.yaml")
    caller = msgspec.structs.replace(load_script(script), line=line)
    service = "Twilio" if line == "twilio" else "ACS, Event Grid"
    out.write(f"Starting {service} and a phone (emulated), the function app and the media host …\n")
    out.flush()
    shutil.rmtree(folder, ignore_errors=True)
    async with (
        collecting(trace) as collector,
        Stack(StackOptions(folder / "stack", agent=agent, env=collector.env if collector else {})) as stack,
    ):
        out.write(f"Ready. The script is {script.name}; times are seconds since the caller dialled.\n\n")
        out.flush()
        client = stack.client()
        try:
            call = await stack.emulator.dial(caller)
            storyteller = Storyteller(out, lambda: client.follow(call.correlation_id), steps=bool(agent))
            await storyteller.follow(call.story())
            record = await client.settled(call.correlation_id, 15)
            storyteller.tell_record(record)
        finally:
            await client.close()
        summary = call.summary()
        if collector is not None:
            drawn = await draw_call_trace(collector, str(record["callId"]), folder / "trace.png")
            what = f"Its trace: {shown(folder / 'trace.png')}" if drawn else "Its trace has not come."
            out.write(f"\n{what}\n")
    return report(record, summary, stack.recordings, folder, out)


def report(record: Json, summary: Json, recordings: Path, folder: Path, out: TextIO) -> int:
    """Write the three files into `folder`, print outcome and latencies; returns the exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "call.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    written = [folder / "call.json"]
    if record.get("recording"):
        wav = folder / "call.wav"
        shutil.copyfile(recordings / str(record["recording"]["file"]), wav)
        draw_call(dict(record), wav, folder / "call.png")
        written = [wav, *written, folder / "call.png"]
    out.write("\n" + "\n".join(outcome_lines(record)) + "\n\n")
    out.write("Latencies (ms)\n")
    out.writelines(f"  {name:<28} {value}\n" for name, value in latency_rows(record, summary))
    out.write("\nWritten\n")
    out.writelines(f"  {shown(path)}\n" for path in written)
    failed = summary.get("failed") or (
        None if record["state"] == "ended" else f"the call is {record['state']}"
    )
    if failed:
        out.write(f"\nThe call did not go as scripted: {failed}\n")
    return 1 if failed else 0


def shown(path: Path) -> str:
    """A path as people read it: relative to the current folder where it can be."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def outcome_lines(record: Json) -> list[str]:
    """Why the call ended, and with what outcome."""
    ended = record.get("ended") or {}
    lines = [
        f"Ended    {ended.get('reason', record['state'])}"
        + (f" by the {ended['by']}" if ended.get("by") else "")
    ]
    outcome = record.get("outcome")
    if outcome:
        lines.append(f"Outcome  {outcome['transferType']} ({outcome.get('reason', '')})")
        for title in ("referenceVariables", "transferVariables"):
            pairs = ", ".join(f"{key}={value}" for key, value in (outcome.get(title) or {}).items())
            if pairs:
                lines.append(f"         {title}: {pairs}")
    return lines


def latency_rows(record: Json, summary: Json) -> list[tuple[str, str]]:
    """The three latencies: event to answer, answer to first agent audio, barge-in to silence."""
    measured = record.get("latencies") or {}

    def text(value: object) -> str:
        return "—" if value is None else f"{float(str(value)):.0f}"

    heard = ", ".join(text(value) for value in summary.get("barge_in_ms", []))
    return [
        ("event → answer", text(measured.get("eventToAnswerMs"))),
        ("answer → first agent audio", text(measured.get("answerToFirstAudioMs"))),
        ("barge-in → silence", heard or "—"),
    ]


async def call_running(
    run_file: Path, script: Path, folder: Path, out: TextIO = sys.stdout, line: Line = "acs"
) -> int:
    """`patchcord call`: make a call on the stack that `patchcord up` runs in another terminal, on either line."""
    from cli.remote_phone import RemotePhone, read_script  # only this command talks to the control API

    run = json.loads(run_file.read_text())
    client = GatewayClient(run["functions"], run["credentials"])
    phone = RemotePhone(run["emulator"], run["control_key"])
    try:
        body = read_script(script)
        if line == "twilio" and isinstance(body, dict):
            body["line"] = line
        call = await phone.dial(body, str(script))
        steps = bool(run.get("agent"))
        storyteller = Storyteller(out, lambda: client.follow(call.correlation_id), steps=steps)
        await storyteller.follow(phone.story(call))
        record = await client.settled(call.correlation_id, 15)
        storyteller.tell_record(record)
        summary = await phone.summary(call)
    finally:
        await phone.close()
        await client.close()
    return report(record, summary, Path(run["recordings"]), folder, out)
