"""Play and recognise through Microsoft's Python clients, sync and aio: what is heard, and what comes back."""

import asyncio

import pytest
from azure.communication.callautomation import (
    DtmfTone,
    FileSource,
    RecognitionChoice,
    RecognizeInputType,
    SsmlSource,
    TextSource,
)

from emulator.phone.audio import share_at, tone, wav
from media_host.speech.synthesiser import Synthesiser
from tests.support.files import files
from tests.support.media_calls import WAIT, codes, heard, heard_ms, talking
from tests.support.timing import patience

pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"),
]

BOTH = pytest.mark.parametrize("flavour", ["aio", "sync"])
TEXT = TextSource(text="hello there", voice_name="en-US-NancyNeural")
LONG = TextSource(text="la la la")


@BOTH
async def test_a_file_is_heard_by_all(flavour: str) -> None:
    async with files(a=(200, wav(tone(440, 0.4, 8000), 8000))) as (base, _), talking(flavour) as (app, call):
        await app("play_media", FileSource(f"{base}/a"), operation_context="file")
        completed = await app.callback("PlayCompleted")
        assert codes(completed) == (200, 0)
        assert completed["operationContext"] == "file"
        assert (await app.callback("PlayStarted"))["operationContext"] == "file"
        pcm, rate = heard(call)
        assert share_at(pcm, rate, 440) > 0.9
        assert 380 <= heard_ms(call) <= 440
        assert app.app.emulator.operations["play", 202] == 1


@BOTH
@pytest.mark.parametrize("source", [TEXT, SsmlSource(ssml_text="<speak>hello <break time='40ms'/></speak>")])
async def test_text_and_ssml_are_heard_by_one(flavour: str, source: object) -> None:
    async with talking(flavour) as (app, call):
        await app("play_media", source, [app.caller])
        await app.callback("PlayCompleted")
        pcm, rate = heard(call)
        assert share_at(pcm, rate, 600) > 0.9
        assert heard_ms(call) == pytest.approx(300, abs=21)


@pytest.mark.skipif(not Synthesiser.installed(), reason="needs espeak-ng")
async def test_text_is_really_spoken() -> None:
    async with talking(voice=None) as (app, call):
        await app("play_media", TextSource(text="Welcome to Contoso."))
        await app.callback("PlayCompleted", seconds=15)
        assert heard_ms(call) > 600
        assert any(event["kind"] == "agent_audio" for event in call.events)


async def test_several_sources_play_one_after_the_other() -> None:
    async with files(a=(200, wav(tone(900, 0.3, 16000), 16000))) as (base, _), talking() as (app, call):
        await app("play_media", [TEXT, FileSource(f"{base}/a")])
        await app.callback("PlayCompleted")
        pcm, rate = heard(call)
        half = len(pcm) // 4 * 2
        assert share_at(pcm[:half], rate, 600) > 0.8
        assert share_at(pcm[half:], rate, 900) > 0.8


@BOTH
async def test_a_loop_plays_until_everything_is_cancelled(flavour: str) -> None:
    async with talking(flavour) as (app, call):
        await app("play_media", LONG, loop=True, operation_context="music")
        await app.callback("PlayStarted")
        async with asyncio.timeout(patience(5)):
            while heard_ms(call) < 700:  # more than twice its length
                await asyncio.sleep(0.02)
        await app("cancel_all_media_operations")
        canceled = await app.callback("PlayCanceled")
        assert (codes(canceled), canceled["operationContext"]) == ((400, 8508), "music")
        await call.first("agent_silent")
        assert app.kinds("Play") == ["PlayStarted", "PlayCanceled"]


@pytest.mark.parametrize(("name", "sub_code"), [("missing", 8536), ("page", 8535), ("stereo", 8535)])
async def test_a_file_that_cannot_be_played(name: str, sub_code: int) -> None:
    contents = {
        "page": (200, b"<html>"),
        "stereo": (200, wav(bytes(64), 16000).replace(b"\1\0\1\0", b"\1\0\2\0")),
    }
    async with files(**contents) as (base, _), talking() as (app, call):
        await app("play_media", [TEXT, FileSource(f"{base}/{name}")], operation_context="bad")
        failed = await app.callback("PlayFailed")
        assert (codes(failed), failed["operationContext"]) == ((400, sub_code), "bad")
        assert failed["failedPlaySourceIndex"] == 1
        assert heard_ms(call) == 0


async def test_plays_wait_for_each_other() -> None:
    async with talking() as (app, call):
        for number in range(3):
            await app("play_media", TEXT, operation_context=str(number))
        await app.callback("PlayCompleted", 2)
        assert [data["operationContext"] for data in app.callbacks("PlayCompleted")] == ["0", "1", "2"]
        assert heard_ms(call) == pytest.approx(900, abs=40)


@BOTH
async def test_an_interrupting_play_comes_first(flavour: str) -> None:
    async with talking(flavour) as (app, _):
        await app("play_media", LONG, loop=True, operation_context="music")
        await app("play_media", LONG, operation_context="waiting")
        await app.callback("PlayStarted")
        await app("play_media", TEXT, interrupt_call_media_operation=True, operation_context="news")
        completed = await app.callback("PlayCompleted")
        assert completed["operationContext"] == "news"
        canceled = {data["operationContext"] for data in app.callbacks("PlayCanceled")}
        assert canceled == {"music", "waiting"}


async def test_callbacks_of_a_play_may_go_elsewhere() -> None:
    async with talking() as (app, _):
        await app("play_media", TEXT, operation_callback_url=f"http://{app.app.base}/callbacks/elsewhere")
        await app.callback("PlayCompleted")


@BOTH
async def test_keys_up_to_the_stop_tone(flavour: str) -> None:
    async with talking(flavour, ["listen", {"press": "42#"}, WAIT]) as (app, _):
        await app(
            "start_recognizing_media",
            RecognizeInputType.DTMF,
            app.caller,
            play_prompt=TEXT,
            dtmf_max_tones_to_collect=6,
            dtmf_stop_tones=[DtmfTone.POUND],
            dtmf_inter_tone_timeout=2,
            operation_context="pin",
        )
        completed = await app.callback("RecognizeCompleted")
        assert codes(completed) == (200, 8514)
        assert completed["recognitionType"] == "dtmf"
        assert completed["dtmfResult"] == {"tones": ["four", "two", "pound"]}
        assert completed["operationContext"] == "pin"


async def test_keys_up_to_their_number_break_off_the_prompt() -> None:
    async with talking(steps=[{"wait_ms": 300}, {"press": "123"}, WAIT]) as (app, call):
        await app(
            "start_recognizing_media",
            RecognizeInputType.DTMF,
            app.caller,
            play_prompt=[LONG] * 10,
            interrupt_prompt=True,
            dtmf_max_tones_to_collect=3,
        )
        completed = await app.callback("RecognizeCompleted")
        assert codes(completed) == (200, 8531)
        assert completed["dtmfResult"]["tones"] == ["one", "two", "three"]
        await call.first("agent_silent")
        assert heard_ms(call) < 2500


@pytest.mark.parametrize(("steps", "sub_code"), [([WAIT], 8510), ([{"press": "4"}, WAIT], 8532)])
async def test_time_runs_out(steps: list, sub_code: int) -> None:
    async with talking(steps=[{"wait_ms": 200}, *steps]) as (app, _):
        await app(
            "start_recognizing_media",
            RecognizeInputType.DTMF,
            app.caller,
            initial_silence_timeout=1,
            dtmf_inter_tone_timeout=1,
            dtmf_max_tones_to_collect=4,
        )
        failed = await app.callback("RecognizeFailed")
        assert codes(failed) == (400, sub_code)


CHOICES = [
    RecognitionChoice(label="Confirm", phrases=["confirm", "yes"], tone=DtmfTone.ONE),
    RecognitionChoice(label="Cancel", phrases=["cancel", "no"], tone=DtmfTone.TWO),
]


@BOTH
async def test_a_choice_by_key(flavour: str) -> None:
    async with talking(flavour, ["listen", {"press": "2"}, WAIT]) as (app, _):
        await app(
            "start_recognizing_media",
            RecognizeInputType.CHOICES,
            app.caller,
            choices=CHOICES,
            play_prompt=TEXT,
        )
        completed = await app.callback("RecognizeCompleted")
        assert (codes(completed), completed["recognitionType"]) == ((200, 8533), "choices")
        assert completed["choiceResult"] == {"label": "Cancel"}


@pytest.mark.skipif(not Synthesiser.installed(), reason="needs espeak-ng")
@pytest.mark.parametrize(
    ("said", "kind", "sub_code"),
    [("cancel", "RecognizeCompleted", 8545), ("banana milkshake please", "RecognizeFailed", None)],
)
async def test_a_choice_by_real_speech(said: str, kind: str, sub_code: int | None) -> None:
    async with talking(steps=[{"wait_ms": 200}, {"say": said}, WAIT], voice=None) as (app, _):
        await app(
            "start_recognizing_media",
            RecognizeInputType.CHOICES,
            app.caller,
            choices=CHOICES,
            initial_silence_timeout=10,
        )
        ended = await app.callback(kind, seconds=20)
        if sub_code is None:
            assert codes(ended)[1] in (8547, 8563)
        else:
            assert codes(ended) == (200, sub_code)
            assert ended["choiceResult"]["label"] == "Cancel"
            assert ended["choiceResult"]["recognizedPhrase"] == "cancel"
            assert 0.5 <= ended["choiceResult"]["confidence"] <= 1


@BOTH
@pytest.mark.parametrize("kind", [RecognizeInputType.SPEECH, RecognizeInputType.SPEECH_OR_DTMF])
async def test_open_ended_speech_is_the_scripts_text(flavour: str, kind: str) -> None:
    async with talking(flavour, [{"wait_ms": 500}, {"say": "my card is lost"}, WAIT]) as (app, _):
        await app("start_recognizing_media", kind, app.caller, end_silence_timeout=1)
        completed = await app.callback("RecognizeCompleted")
        assert (codes(completed), completed["recognitionType"]) == ((200, 8569), "speech")
        assert completed["speechResult"]["speech"] == "my card is lost"


async def test_a_sound_without_words_is_not_recognised() -> None:
    async with talking(steps=[{"wait_ms": 300}, {"tone": {"hz": 300, "seconds": 0.4}}, WAIT]) as (app, _):
        await app("start_recognizing_media", RecognizeInputType.SPEECH, app.caller)
        assert codes(await app.callback("RecognizeFailed")) == (400, 8563)


async def test_a_prompt_that_cannot_be_played() -> None:
    async with talking() as (app, _):
        await app(
            "start_recognizing_media",
            RecognizeInputType.DTMF,
            app.caller,
            play_prompt=FileSource("http://127.0.0.1:1/prompt.wav"),
        )
        failed = await app.callback("RecognizeFailed")
        assert codes(failed) == (500, 8511)
        assert failed["failedPlaySourceIndex"] == 0


@BOTH
async def test_a_recognition_is_cancelled(flavour: str) -> None:
    async with talking(flavour, [{"press": "1"}, WAIT]) as (app, _):
        await app("start_recognizing_media", RecognizeInputType.DTMF, app.caller, operation_context="first")
        await app(
            "start_recognizing_media",
            RecognizeInputType.DTMF,
            app.caller,
            operation_context="second",
            interrupt_call_media_operation=True,
        )
        canceled = await app.callback("RecognizeCanceled")
        assert (codes(canceled), canceled["operationContext"]) == ((400, 8508), "first")
        await app("cancel_all_media_operations")
        assert (await app.callback("RecognizeCanceled", 1))["operationContext"] == "second"
        await app("play_media", TEXT)
        await app.callback("PlayCompleted")


async def test_the_end_of_the_call_ends_what_is_going_on() -> None:
    async with talking() as (app, call):
        await app("play_media", LONG, loop=True)
        await app.callback("PlayStarted")
        call.hang_up()
        await app.callback("CallDisconnected")
        assert app.kinds("Play", "CallD") == ["PlayStarted", "PlayCanceled", "CallDisconnected"]


async def test_a_caller_who_hangs_up_ends_a_recognition() -> None:
    async with talking() as (app, call):
        await app("start_recognizing_media", RecognizeInputType.DTMF, app.caller)
        call.hang_up()
        await app.callback("CallDisconnected")
        assert len(app.kinds("Recognize")) == 1


async def test_a_mistake_of_our_own_ends_the_play_all_the_same() -> None:
    class Broken:
        async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
            raise RuntimeError("out of breath")

    async with talking(voice=Broken()) as (app, _):
        await app("play_media", TEXT)
        assert codes(await app.callback("PlayFailed")) == (500, 9999)
