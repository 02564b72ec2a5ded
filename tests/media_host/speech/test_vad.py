import base64

import numpy
import pytest

from media_host.g711 import decode, encode
from media_host.speech.synthesiser import Synthesiser
from media_host.speech.vad import Onset, Utterance, VoiceActivity, detector_rate, pocketsphinx_detector

RATE = 24000
rng = numpy.random.default_rng(7)


class Loud:
    """A detector that takes everything over the gate for speech."""

    def is_speech(self, frame):
        assert len(frame) == 320
        return True


def tone(ms, level=0.2, hz=300, rate=RATE):
    t = numpy.arange(rate * ms // 1000) / rate
    return (numpy.sin(2 * numpy.pi * hz * t) * level * 32767).astype("<i2").tobytes()


def silence(ms, rate=RATE):
    return bytes(rate * ms // 1000 * 2)


def noise(ms, level):
    return (rng.normal(0, level * 32767, RATE * ms // 1000)).clip(-32768, 32767).astype("<i2").tobytes()


def feed(vad, pcm, rate=RATE):
    size = rate // 50 * 2
    return [
        (at // size * 20, found)
        for at in range(0, len(pcm), size)
        if (found := vad.feed(pcm[at : at + size])) is not None
    ]


def kinds(found):
    return [type(item).__name__ for _, item in found]


@pytest.mark.parametrize("rate", [16000, 24000])
def test_an_utterance_has_its_lead_in_and_ends_after_the_hang(rate):
    vad = VoiceActivity(rate, Loud())
    found = feed(vad, silence(500, rate) + tone(1000, rate=rate) + silence(800, rate), rate)
    assert kinds(found) == ["Onset", "Utterance"]
    (onset_at, onset), (end_at, utterance) = found
    assert (onset_at, onset.ago_ms) == (600, 120)
    assert end_at == 500 + 1000 + 500 - 20
    assert len(utterance.pcm) // (rate // 1000 * 2) == 300 - 120 + 1000 + 500
    assert not utterance.capped


def test_mu_law_is_heard_as_what_it_stands_for():
    pcm = silence(500, 8000) + tone(1000, rate=8000) + silence(800, 8000)
    found = []
    for vad, audio, size in (
        (VoiceActivity(8000, Loud()), pcm, 320),
        (VoiceActivity(8000, Loud(), decode=decode), encode(pcm), 160),
    ):
        pieces = [base64.b64encode(audio[at : at + size]) for at in range(0, len(audio), size)]
        found.append([(n, type(got)) for n, piece in enumerate(pieces) if (got := vad.feed_base64(piece))])
    assert found[0] == found[1] and len(found[0]) == 2


@pytest.mark.parametrize(("hang_ms", "utterances"), [(300, 2), (500, 1)])
def test_the_hang_decides_whether_a_pause_ends_it(hang_ms, utterances):
    vad = VoiceActivity(RATE, Loud())
    vad.hang_ms = hang_ms
    found = feed(vad, tone(400) + silence(400) + tone(400) + silence(600))
    assert kinds(found).count("Utterance") == utterances


def test_a_click_is_no_speech():
    assert feed(VoiceActivity(RATE, Loud()), silence(300) + tone(80) + silence(1000)) == []


def test_speech_without_end_is_cut():
    vad = VoiceActivity(RATE, Loud())
    vad.max_ms = 2000
    words = (tone(300) + silence(100)) * 10
    found = feed(vad, words)
    assert kinds(found)[:2] == ["Onset", "Utterance"]
    assert found[1][1].capped
    assert len(found[1][1].pcm) == 2000 * 48


def test_quiet_sound_is_not_even_looked_at():
    class Never:
        def is_speech(self, frame):
            raise AssertionError("asked about a quiet frame")

    assert feed(VoiceActivity(RATE, Never()), tone(1000, level=0.003) + silence(200)) == []


def test_a_steady_noise_becomes_the_floor_and_speech_over_it_is_heard():
    vad = VoiceActivity(RATE, Loud())
    assert kinds(feed(vad, tone(14_000, level=0.02)))[-1] == "Utterance"  # taken for speech until it is known
    assert not vad.speaking
    assert feed(vad, tone(3000, level=0.02)) == []
    assert kinds(feed(vad, tone(500, level=0.2) + tone(1000, level=0.02))) == ["Onset", "Utterance"]


def test_a_key_drops_what_was_heard_of_its_tone_and_what_follows():
    vad = VoiceActivity(RATE, Loud())
    feed(vad, tone(200))
    assert vad.speaking
    vad.key_pressed()
    assert not vad.speaking
    assert feed(vad, tone(240)) == []
    assert kinds(feed(vad, tone(200))) == ["Onset"]


def test_a_reset_does_not_open_the_guard_of_a_key():
    vad = VoiceActivity(RATE, Loud())
    vad.key_pressed()
    vad.reset()
    assert feed(vad, tone(240)) == []


@pytest.mark.parametrize("pieces", [[480], [960 * 7], [1, 958, 3, 2878], [100]])
def test_pieces_of_any_length_are_the_same_audio(pieces):
    pcm = silence(200) + tone(400) + silence(700)
    vad, found, at, index = VoiceActivity(RATE, Loud()), [], 0, 0
    while at < len(pcm):
        size = pieces[index % len(pieces)]
        item = vad.feed(pcm[at : at + size])
        if item is not None:
            found.append(item)
        at, index = at + size, index + 1
    assert [type(item) for item in found] == [Onset, Utterance]
    assert len(found[1].pcm) == (300 - 120 - 100 + 100 + 400 + 500) * 48


def test_base64_is_read_and_nonsense_is_silence():
    vad = VoiceActivity(RATE, Loud())
    frame = base64.b64encode(tone(20))
    assert [vad.feed_base64(frame) for _ in range(6)][-1] == Onset(120)
    assert vad.feed_base64(b"A") is None


def test_rates_that_cannot_be():
    with pytest.raises(ValueError, match="44100"):
        detector_rate(44100)


class TestRealDetector:
    @pytest.mark.parametrize(
        ("name", "pcm", "onsets"),
        [
            ("digital silence", silence(10_000), 0),
            ("white noise -50 dBFS", noise(10_000, 0.003), 0),
            ("white noise -36 dBFS", noise(10_000, 0.016), 0),
            ("DTMF 5, 200 ms, with its key guarded", None, 0),
        ],
    )
    def test_no_speech_in(self, name, pcm, onsets):
        vad = VoiceActivity(RATE, pocketsphinx_detector())
        if pcm is None:
            pair = numpy.frombuffer(tone(200, 0.1, 770), "<i2") + numpy.frombuffer(
                tone(200, 0.1, 1336), "<i2"
            )
            found = feed(
                vad, silence(400) + pair.tobytes()[:5760]
            )  # the key is reported 120 ms into its tone
            vad.key_pressed()
            found = [item for item in found if isinstance(item[1], Utterance)]
            found += feed(vad, pair.tobytes()[5760:] + silence(1000))
        else:
            found = feed(vad, pcm)
        assert len(found) == onsets, name

    async def test_synthetic_speech_is_found_whole(self):
        phrases = ["where is my order", "yes", "goodbye", "stop that is enough", "talk to a human"]
        async with Synthesiser() as synthesiser:
            for voice in ("en-us", "en-us+f3"):
                for phrase in phrases:
                    vad = VoiceActivity(RATE, pocketsphinx_detector())
                    pcm = await synthesiser.say(phrase, voice)
                    found = feed(vad, silence(400) + pcm + silence(1000))
                    assert kinds(found) == ["Onset", "Utterance"], (voice, phrase)
                    assert found[0][0] <= 400 + 320, (voice, phrase)
