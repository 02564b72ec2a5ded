"""A realtime model on the Twilio line: mu-law from the caller to the model and back, without a conversion on the way."""

import io
import json
import wave

import pytest
import yaml

from cli import stack
from cli.demo import demo

pytestmark = pytest.mark.e2e

SCRIPT = """
voice: en-us+f3
steps:
  - interrupt: {after_ms: 600, say: where is my order}
  - listen
  - hang_up
"""


async def test_a_model_that_speaks_mu_law_gets_it_as_it_came(tmp_path, monkeypatch):
    """The model hears and is interrupted as on ACS; the recording tells that the session ran at 8 kHz."""
    derived = stack.derived_config

    def model_alone(*given):
        config = yaml.safe_load(derived(*given))
        # The embedded agent does not speak mu-law: with it to take over, all would be converted.
        config["agents"]["reception"] |= {"fallback": [], "recording": True}
        return yaml.safe_dump(config)

    monkeypatch.setattr(stack, "derived_config", model_alone)
    script, out = tmp_path / "script.yaml", io.StringIO()
    script.write_text(SCRIPT)
    assert await demo(tmp_path / "demo", script, out, "emulated-openai", line="twilio") == 0, out.getvalue()
    record = json.loads((tmp_path / "demo" / "call.json").read_text())
    heard = [turn["text"] for turn in record["transcript"] if turn["who"] == "caller"]
    assert heard == ["where is my order"], "the model's own recogniser has understood the mu-law"
    assert record["bargeIns"] >= 1 and not record["faults"]
    assert record["outcome"]["transferType"] == "CALLER_DISCONNECT"
    recording = tmp_path / "demo" / "stack" / "recordings" / record["recording"]["file"]
    with wave.open(str(recording)) as file:
        assert file.getframerate() == 8000
