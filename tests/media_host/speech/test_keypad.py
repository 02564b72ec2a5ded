import numpy as np
import pytest

from media_host.speech.keypad import COUNT, RATE, is_key
from media_host.speech.synthesiser import Synthesiser
from media_host.speech.vad import Onset, VoiceActivity

LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
AT = np.arange(RATE) / RATE


class Always:
    """A detector that takes everything loud for speech."""

    def is_speech(self, frame):
        return True


def tone(low, high, twist_db=0.0, noise_db=None):
    samples = np.sin(2 * np.pi * low * AT) + 10 ** (twist_db / 20) * np.sin(2 * np.pi * high * AT + 1)
    if noise_db is not None:
        level = np.sqrt(np.mean(samples**2)) / 10 ** (noise_db / 20)
        samples = samples + np.random.default_rng(1).normal(0, level, samples.size)
    return (4000 * samples).astype("<i2")


def frames(samples, step=COUNT):
    return [samples[at : at + COUNT] for at in range(0, len(samples) - COUNT + 1, step)]


def share(samples):
    """How many of the frames are keys."""
    found = [is_key(frame.astype(np.float32)) for frame in frames(samples)]
    return sum(found) / len(found)


@pytest.mark.parametrize("low", LOW)
@pytest.mark.parametrize("high", HIGH)
def test_every_key_as_telephones_send_it(low, high):
    for twist_db in (-8, 0, 4):
        for off in (-0.015, 0, 0.015):
            assert share(tone(low * (1 + off), high * (1 + off), twist_db, noise_db=15)) == 1


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE),
        tone(770, 770),  # one tone
        tone(1336, 1336),
        tone(440, 480),  # ringing
        tone(350, 440),  # the dial tone
        tone(620, 1336),
        tone(770, 1100),
        np.random.default_rng(1).normal(0, 3000, RATE),
    ],
)
def test_what_is_no_key(samples):
    assert share(samples) == 0


async def test_speech_is_no_key():
    voice = Synthesiser()
    await voice.start()
    try:
        for name in ("en-us+f3", "en-us+m3"):
            text = "no you ooze who knew moo, one two three four five six seven eight nine zero"
            assert share(np.frombuffer(await voice.say(text, name, RATE), "<i2")) == 0
    finally:
        await voice.close()


def test_no_speech_begins_with_keys_and_speech_after_them_does():
    keys = np.concatenate([np.pad(tone(770, 1336)[:1600], (0, 800)) for _ in range(5)])
    said = np.random.default_rng(1).normal(0, 4000, RATE // 2).astype("<i2")  # to this detector
    activity = VoiceActivity(RATE, Always())
    assert [activity.feed(frame.tobytes()) for frame in frames(keys)] == [None] * (len(keys) // COUNT)
    assert any(isinstance(activity.feed(frame.tobytes()), Onset) for frame in frames(said))
