"""The demo call: everything that issue 2 promises of `make demo`, over real processes, and the same call on the Twilio line."""

import asyncio
import io
import json
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cli.demo import Line, demo

pytestmark = pytest.mark.e2e


async def made(folder: Path, line: Line) -> dict:
    """One demo call, looked at as the one who made it can; returns its record."""
    out = io.StringIO()
    code = await demo(folder, out=out, line=line, trace=True)
    story = out.getvalue()
    assert code == 0, story
    assert "Its trace: " in story and (folder / "trace.png").stat().st_size > 10_000
    record = json.loads((folder / "call.json").read_text())
    said = [turn["text"] for turn in record["transcript"] if turn["who"] == "agent"]
    heard = [turn["text"] for turn in record["transcript"] if turn["who"] == "caller"]
    assert "scripted demo agent, not a language model" in said[0]
    assert any("order" in text for text in heard), heard
    assert record["line"] == line
    assert record["keysPressed"] == 6
    assert "42719" not in json.dumps(record["timeline"])
    assert record["bargeIns"] >= 1
    assert any(turn.get("interrupted") for turn in record["transcript"])
    assert record["outcome"]["transferType"] == "SYSTEM"
    assert record["outcome"]["reason"] == "goodbye"
    assert (record["ended"]["reason"], record["ended"]["by"]) == ("agent_done", "agent")
    assert record["latencies"]["eventToAnswerMs"] > 0
    assert record["latencies"]["answerToFirstAudioMs"] > 0
    for word in ("ringing", "answered", "caller says", "caller keys", "barge-in", "agent said", "ended"):
        assert word in story
    for word in ("event → answer", "answer → first agent audio", "barge-in → silence"):
        assert word in story

    with wave.open(str(folder / "call.wav")) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (2, 24000, 2)
        length_ms = wav.getnframes() / 24
        sides = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    assert abs(length_ms - record["media"]["durationMs"]) <= 40
    assert all(np.abs(sides[:, side]).max() > 3000 for side in (0, 1)), "both sides are audible"
    with Image.open(folder / "call.png") as picture:
        assert picture.size[0] >= 1200
    return record


def words(record: dict) -> list[tuple[str, str]]:
    """Who said what; of a turn that was broken off only by whom, for how much of it was heard is chance."""
    return [(turn["who"], "…" if turn.get("interrupted") else turn["text"]) for turn in record["transcript"]]


def shape(value: object) -> object:
    """The names in a record, without their values; of what a call collects, the names are values."""
    if not isinstance(value, dict):
        return None
    return {name: shape(item) for name, item in value.items() if name not in ("timeline", "transcript")}


async def test_the_demo_call_goes_as_its_script_reads(tmp_path):
    acs, twilio = await asyncio.gather(made(tmp_path / "acs", "acs"), made(tmp_path / "twilio", "twilio"))
    assert acs["ended"] == {"reason": "agent_done", "by": "agent", "code": 200, "subCode": 7000}
    assert words(twilio) == words(acs)
    assert shape(twilio) == shape(acs)
    assert twilio["outcome"] == acs["outcome"]
    assert twilio["task"] == acs["task"] and twilio["route"] == acs["route"]
    assert twilio["correlationId"] == twilio["callTransferId"] != ""
