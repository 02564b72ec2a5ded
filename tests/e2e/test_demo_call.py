"""The demo call: everything that issue 2 promises of `make demo`, over real processes."""

import io
import json
import wave

import numpy as np
import pytest
from PIL import Image

from cli.demo import demo

pytestmark = pytest.mark.e2e


async def test_the_demo_call_goes_as_its_script_reads(tmp_path):
    out = io.StringIO()
    code = await demo(tmp_path / "demo", out=out)
    story = out.getvalue()
    assert code == 0, story
    record = json.loads((tmp_path / "demo" / "call.json").read_text())
    said = [turn["text"] for turn in record["transcript"] if turn["who"] == "agent"]
    heard = [turn["text"] for turn in record["transcript"] if turn["who"] == "caller"]
    assert "scripted demo agent, not a language model" in said[0]
    assert any("order" in text for text in heard), heard
    assert record["keysPressed"] == 6
    assert "42719" not in json.dumps(record["timeline"])
    assert record["bargeIns"] >= 1
    assert any(turn.get("interrupted") for turn in record["transcript"])
    assert record["outcome"]["transferType"] == "SYSTEM"
    assert record["outcome"]["reason"] == "goodbye"
    assert record["ended"] == {"reason": "agent_done", "by": "agent", "code": 200, "subCode": 7000}
    assert record["latencies"]["eventToAnswerMs"] > 0
    assert record["latencies"]["answerToFirstAudioMs"] > 0
    for line in ("ringing", "answered", "caller says", "caller keys", "barge-in", "agent said", "ended"):
        assert line in story
    for line in ("event → answer", "answer → first agent audio", "barge-in → silence"):
        assert line in story

    with wave.open(str(tmp_path / "demo" / "call.wav")) as wav:
        assert (wav.getnchannels(), wav.getframerate(), wav.getsampwidth()) == (2, 24000, 2)
        length_ms = wav.getnframes() / 24
        sides = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").reshape(-1, 2)
    assert abs(length_ms - record["media"]["durationMs"]) <= 40
    assert all(np.abs(sides[:, side]).max() > 3000 for side in (0, 1)), "both sides are audible"
    with Image.open(tmp_path / "demo" / "call.png") as picture:
        assert picture.size[0] >= 1200
