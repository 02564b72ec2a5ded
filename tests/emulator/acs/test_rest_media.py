"""REST routes of the media operations: what they refuse."""

import pytest
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    DtmfTone,
    PhoneNumberIdentifier,
    RecognizeInputType,
    TextSource,
    TranscriptionOptions,
)
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from tests.emulator.acs.test_rest import send
from tests.support.app import App
from tests.support.media_calls import talking

pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"),
]

TEXT = TextSource(text="hello there", voice_name="en-US-NancyNeural")
LONG = TextSource(text="la la la")


@pytest.mark.parametrize(
    ("first", "then", "status", "code"),
    [
        (("play_media", [LONG]), ("play_media", [TEXT, [PhoneNumberIdentifier("+14255550100")]]), 412, "8583"),
        (("dtmf", []), ("dtmf", []), 400, "8500"),
        (("dtmf", []), ("play_media", [TEXT]), 412, "8583"),
    ],
)  # fmt: skip
async def test_what_does_not_go_together(first: tuple, then: tuple, status: int, code: str) -> None:
    async with talking() as (app, _):

        async def do(method: str, arguments: list) -> None:
            if method == "dtmf":
                await app("start_recognizing_media", RecognizeInputType.DTMF, app.caller)
            else:
                await app(method, *arguments)

        await do(*first)
        with pytest.raises(HttpResponseError) as caught:
            await do(*then)
        assert (caught.value.status_code, caught.value.error.code) == (status, code)


async def test_nobody_to_play_to() -> None:
    async with talking() as (app, _):
        for who in (PhoneNumberIdentifier("+19995550000"), CommunicationUserIdentifier("8:acs:x_y")):
            with pytest.raises(ResourceNotFoundError) as caught:
                await app("play_media", TEXT, [who])
            assert caught.value.error.code == "8522"
        with pytest.raises(HttpResponseError) as refused:
            await app("play_media", TextSource(text=" "))
        assert refused.value.error.code == "8582"


async def test_too_many_tones_and_none() -> None:
    async with talking() as (app, _):
        for tones in ([], [DtmfTone.ONE] * 19):
            with pytest.raises(HttpResponseError) as caught:
                await app("send_dtmf_tones", tones, app.caller)
            assert caught.value.error.code == "8523"


async def test_operations_on_an_unknown_call() -> None:
    async with talking() as (app, _):
        app.id = "nope"
        for method, arguments in (
            ("play_media", [TEXT]),
            ("cancel_all_media_operations", []),
            ("start_recognizing_media", [RecognizeInputType.DTMF, app.caller]),
            ("start_continuous_dtmf_recognition", [app.caller]),
            ("stop_continuous_dtmf_recognition", [app.caller]),
            ("send_dtmf_tones", [[DtmfTone.ONE], app.caller]),
            ("start_transcription", []),
            ("stop_transcription", []),
        ):
            with pytest.raises(ResourceNotFoundError) as caught:
                await app(method, *arguments)
            assert caught.value.error.code == "8522"


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("play", {}),
        ("play", {"playSources": [{"kind": "text", "text": {"text": "hi"}}], "playTo": {}}),
        ("play", {"playSources": [{"kind": "text", "text": {"text": "hi"}}], "playTo": [{}]}),
        ("play", {"playSources": [{"kind": "text", "text": {"text": "hi"}}], "playOptions": []}),
        ("recognize", {"recognizeInputType": "dtmf"}),
        ("recognize", {"recognizeInputType": "dtmf", "recognizeOptions": {"targetParticipant": {}}}),
        ("startContinuousDtmfRecognition", {}),
        ("sendDtmfTones", {"tones": ["eleven"]}),
        ("startTranscription", {"locale": 5}),
        ("updateTranscription", {}),
    ],
)
async def test_wrong_bodies(operation: str, body: dict) -> None:
    async with talking(answer=transcribed) as (app, _):
        path = f"/calling/callConnections/{app.id}:{operation}?api-version=2026-03-12"
        status, answer = await send(app.app, "POST", path, body)
        assert (status, answer["error"]["code"]) == (400, "8523")


def transcribed(app: App) -> dict:
    options = TranscriptionOptions(
        transport_url=f"ws://{app.base}/media/t",
        transport_type="websocket",
        locale="en-US",
        start_transcription=False,
    )
    return {"transcription": options}
