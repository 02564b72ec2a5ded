"""What callers sound like on the Twilio line, in mu-law at 8 kHz: clean, noisy, clipped, keys heard as tones, interruptions.

The recordings are made here: a synthetic caller, to which noise is added 10 dB below the speech, or which is overdriven.
"""

import asyncio

import numpy as np
import pytest

from emulator.phone.audio import wav
from media_host.speech.synthesiser import Synthesiser
from tests.support.stack import running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

RATE = 8000
ASKS, BYE = "what are your opening hours", "goodbye"
DIALOGUE = """
name: quality
start: menu
no_match: lost
no_input: lost
listen: {no_input_ms: 20000}
intents:
  hours: ["what are your opening hours", "[your] opening hours"]
  again: ["tell me again", "please repeat that"]
  goodbye: ["goodbye | good bye", "bye bye"]
states:
  menu:
    say: What would you like to know?
    go: {hours: hours, again: story, goodbye: bye}
    keys: {"5": keyed, "2": bye}
  hours: {say: From nine to six., next: more}
  more: {say: "Anything else?", go: {hours: hours, goodbye: bye}}
  keyed: {say: You pressed five., end: {outcome: SYSTEM, reason: five}}
  story:
    say: >-
      Once upon a time there was an order desk in a small town by the sea, and every morning at nine the people who worked
      there opened the shutters, made coffee, and waited for the telephone to ring, which it did all day long.
    go: {again: story, goodbye: bye}
  bye: {say: Goodbye., end: {outcome: SYSTEM, reason: goodbye}}
  lost: {say: I did not understand., end: {outcome: AGENT, reason: lost}}
"""
CONFIG = """
agents:
  reception: {kind: embedded, dialogue: quality.yaml}
routes: [{name: reception, to: ["+18005550000"], agent: reception}]
twilio:
  default: {account_sid: AC00000000000000000000000000000001, auth_token: "env:TWILIO_AUTH_TOKEN", agent: reception}
"""
LISTEN = {"listen": {"within_s": 40}}
OVER = {"expect_hang_up": {"within_s": 60}}


def noisy(speech):
    """White noise 10 dB below the speech, from half a second before it to a second after it."""
    spoken = speech[np.abs(speech) > 200].astype(float)
    level = np.sqrt(np.mean(spoken**2)) / 10 ** (10 / 20)
    padded = np.pad(speech, (RATE // 2, RATE)).astype(float)
    noise = np.random.default_rng(1).normal(0, level, padded.size)
    return np.clip(padded + noise, -32768, 32767)


def clipped(speech):
    """Overdriven by 18 dB."""
    return np.clip(speech.astype(float) * 8, -32768, 32767)


def tones(keys, row=770, column=1336):
    """The two tones of key 5 (ITU-T Q.23), 200 ms each time, as a telephone sends them in the audio."""
    at = np.arange(RATE // 5) / RATE
    tone = 8000 * (np.sin(2 * np.pi * row * at) + np.sin(2 * np.pi * column * at))
    return np.concatenate([np.pad(tone, (0, RATE // 10)) for _ in range(keys)])


async def recordings(folder):
    """WAV files by name."""
    voice = Synthesiser()
    await voice.start()
    try:
        said = {text: await voice.say(text, "en-us+f3", RATE) for text in (ASKS, BYE)}
    finally:
        await voice.close()
    sounds = {"tones": tones(3)}
    for name, how in (("clean", lambda speech: speech), ("noisy", noisy), ("clipped", clipped)):
        sounds |= {f"{name}-{text}": how(np.frombuffer(pcm, "<i2")) for text, pcm in said.items()}
    files = {}
    for name, samples in sounds.items():
        files[name] = folder / f"{name}.wav"
        files[name].write_bytes(wav(samples.astype("<i2").tobytes(), RATE))
    return {name: {"play": {"file": str(file)}} for name, file in files.items()}


async def call(stack, *steps):
    """A whole call; returns its summary and its record."""
    dialled = await stack.emulator.dial({"line": "twilio", "steps": [*steps]})
    async with asyncio.timeout(patience(90)):
        await dialled.ended()
    summary = dialled.summary()
    assert summary["failed"] is None, summary
    return summary, await settled(stack, dialled.correlation_id)


async def is_understood(stack, play, quality):
    steps = [LISTEN, play[f"{quality}-{ASKS}"], LISTEN, play[f"{quality}-{BYE}"], OVER]
    summary, record = await call(stack, *steps)
    heard = [turn["text"] for turn in record["transcript"] if turn["who"] == "caller"]
    assert record["outcome"]["reason"] == "goodbye", heard
    assert "opening hours" in heard[0] and record["bargeIns"] == 0
    assert summary["media"]["underruns"] == 0 and summary["twilio"]["notices"] == []


async def tones_are_no_keys(stack, play):
    """Twilio takes keys out of the audio and tells them; what sounds like one in the audio is none."""
    _, record = await call(stack, LISTEN, play["tones"], {"wait_ms": {"ms": 1500}}, {"press": "2"}, OVER)
    assert (record["outcome"]["reason"], record["keysPressed"]) == ("goodbye", 1)


async def may_interrupt_three_times(stack):
    again = {"interrupt": {"after_ms": 1500, "say": "tell me again", "within_s": 40}}
    bye = {"interrupt": {"after_ms": 1500, "say": BYE, "within_s": 40}}
    summary, record = await call(stack, LISTEN, {"say": "tell me again"}, again, again, bye, OVER)
    assert record["outcome"]["reason"] == "goodbye"
    told = [turn for turn in record["transcript"] if turn["text"].startswith("Once upon a time")]
    assert [bool(turn.get("interrupted")) for turn in told] == [True] * 3, record["transcript"]
    assert record["bargeIns"] == 3
    assert summary["media"]["stops"] >= 3


async def test_callers_of_every_quality(tmp_path):
    (tmp_path / "quality.yaml").write_text(DIALOGUE)
    config = tmp_path / "patchcord.yaml"
    config.write_text(CONFIG)
    play = await recordings(tmp_path)
    async with running_stack(tmp_path / "stack", config=config) as stack:
        await asyncio.gather(
            *(is_understood(stack, play, quality) for quality in ("clean", "noisy", "clipped")),
            tones_are_no_keys(stack, play),
            may_interrupt_three_times(stack),
        )
