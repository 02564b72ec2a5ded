"""Twenty calls at once, each with its own tone, and a host that is told to stop in the middle of them."""

import asyncio
import io
import signal
import time
import wave

import numpy as np
import pytest

from cli.stack import answers
from tests.support.echo_model import EchoModel
from tests.support.stack import running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

CALLS = 20
SECONDS = 6
CONFIG = """
agents:
  mirror: {{kind: realtime, service: openai, endpoint: {url}, auth: none, model: echo, recording: true}}
routes:
  - {{name: all, to: ["*"], agent: mirror}}
"""
TONES = [300 + 50 * number for number in range(CALLS)]


def loudness(samples: np.ndarray, rate: int) -> dict[int, float]:
    """The share of each caller's tone in the power of `samples`."""
    spectrum = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    bins = np.fft.rfftfreq(len(samples), 1 / rate)
    total = spectrum.sum() or 1.0
    return {tone: float(spectrum[np.abs(bins - tone) < 15].sum() / total) for tone in TONES}


def read(source) -> tuple[np.ndarray, int]:
    with wave.open(source) as wav:
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
        return samples.reshape(-1, wav.getnchannels()), wav.getframerate()


async def test_nobody_hears_another_and_all_finish_after_sigterm(tmp_path):
    async with EchoModel() as model:
        config = tmp_path / "patchcord.yaml"
        config.write_text(CONFIG.format(url=model.endpoint))
        async with running_stack(tmp_path / "stack", config=config) as stack:
            calls = [
                await stack.emulator.dial(
                    {
                        "from": f"+142555501{number:02}",
                        "steps": [{"tone": {"hz": tone, "seconds": SECONDS, "within_s": 60}}, "hang_up"],
                    }
                )
                for number, tone in enumerate(TONES)
            ]
            await asyncio.gather(
                *(asyncio.wait_for(call.first("agent_audio"), patience(20)) for call in calls)
            )
            host = stack.media_hosts[0]
            ready = f"http://127.0.0.1:{stack.media_port}/readyz"
            assert await answers(ready)
            host.signal(signal.SIGTERM)
            begun = time.monotonic()
            while await answers(ready):
                assert time.monotonic() - begun < patience(1)
                await asyncio.sleep(0.02)
            assert host.running, "it drains: twenty calls are still going on"
            await asyncio.gather(*(asyncio.wait_for(call.ended(), patience(40)) for call in calls))
            records = await asyncio.gather(*(settled(stack, call.correlation_id) for call in calls))
            assert await asyncio.wait_for(host.wait(), patience(15)) == 0

            for call, record, tone in zip(calls, records, TONES, strict=True):
                summary = call.summary()
                assert summary["failed"] is None
                assert record["ended"]["reason"] == "caller_hung_up"
                heard, rate = read(io.BytesIO(call.heard_wav()))
                shares = loudness(heard[:, 0], rate)
                assert shares.pop(tone) > 0.9
                assert max(shares.values()) < 0.01, "another caller's tone"
                sides, rate = read(str(stack.recordings / record["recording"]["file"]))
                length_ms = len(sides) / rate * 1000
                assert abs(length_ms - record["media"]["durationMs"]) <= 40
                # Line and audio do not begin and end in the same instant: twenty calls do it at once.
                assert abs(length_ms - summary["media"]["framesSent"] * 20) <= patience(200)
                for side in (0, 1):
                    shares = loudness(sides[:, side], rate)
                    assert shares.pop(tone) > 0.9
                    assert max(shares.values()) < 0.01
