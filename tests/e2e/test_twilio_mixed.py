"""Calls of both lines at once on one media host: each hears its own tone back, whole, and nobody else's.

Four of each, through everything there is. `python -m bench.mixed` puts twenty of each on a media host and counts every frame.
"""

import asyncio
import io
import wave

import numpy as np
import pytest

from cli.twilio_account import ACCOUNT
from tests.support.echo_model import EchoModel
from tests.support.stack import running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

CALLS = 4
SECONDS = 4
CONFIG = """
agents:
  mirror: {{kind: realtime, service: openai, endpoint: {url}, auth: none, model: echo, recording: true}}
routes:
  - {{name: all, to: ["+18005550000"], agent: mirror}}
twilio:
  default: {{account_sid: {account}, auth_token: "env:TWILIO_AUTH_TOKEN", agent: mirror}}
"""
TONES = [400 + 170 * number for number in range(2 * CALLS)]


def read(source) -> tuple[np.ndarray, int]:
    """A WAV file's samples, a column for each channel, and its rate (Hz)."""
    with wave.open(source) as wav:
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
        return samples.reshape(-1, wav.getnchannels()).astype(float), wav.getframerate()


def only(tone: int, samples: np.ndarray, rate: int) -> None:
    """Nothing but this caller's tone is in it; where a late frame has left a hole, its power spreads to both sides."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    bins = np.fft.rfftfreq(len(samples), 1 / rate)
    shares = {hz: float(power[np.abs(bins - hz) < 15].sum() / power.sum()) for hz in TONES}
    assert shares.pop(tone) > 0.8
    assert max(shares.values()) < 0.01, "another caller's tone"


async def test_both_lines_at_once(tmp_path):
    async with EchoModel() as model:
        config = tmp_path / "patchcord.yaml"
        config.write_text(CONFIG.format(url=model.endpoint, account=ACCOUNT))
        async with running_stack(tmp_path / "stack", config=config) as stack:
            calls = [
                await stack.emulator.dial(
                    {
                        "line": ("acs", "twilio")[number % 2],
                        "from": f"+142555501{number:02}",
                        "steps": [{"tone": {"hz": hz, "seconds": SECONDS, "within_s": 60}}, "hang_up"],
                    }
                )
                for number, hz in enumerate(TONES)
            ]
            await asyncio.gather(*(asyncio.wait_for(call.ended(), patience(60)) for call in calls))
            for call, hz in zip(calls, TONES, strict=True):
                summary, record = call.summary(), await settled(stack, call.correlation_id)
                assert summary["failed"] is None and record["line"] == call.line
                assert record["ended"]["reason"] == "caller_hung_up"
                media = summary["media"]
                assert media["framesDropped"] == media["overflowMs"] == 0
                # What was said came back, from when the agent was there, until the caller left.
                assert summary["heard_ms"] >= SECONDS * 500, summary
                heard, rate = read(io.BytesIO(call.heard_wav()))
                only(hz, heard[:, 0], rate)
                sides, rate = read(str(stack.recordings / record["recording"]["file"]))
                assert abs(len(sides) / rate * 1000 - record["media"]["durationMs"]) <= 40
                for side in (0, 1):
                    only(hz, sides[:, side], rate)
