"""Transcription through Microsoft's clients: the callbacks, and the app's WebSocket on which the caller's words come."""

import pytest
from azure.communication.callautomation import StreamingTransportType, TranscriptionOptions
from azure.core.exceptions import HttpResponseError

from tests.support.app import App
from tests.support.media_calls import WAIT, codes, talking

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc.*:DeprecationWarning")

SAY = [{"wait_ms": 1000}, {"say": "My card is lost."}, {"wait_ms": 1200}, {"say": "Hello?"}, WAIT]
BOTH = pytest.mark.parametrize("flavour", ["aio", "sync"])


def options(start: bool = False, intermediate: bool = False, port: int | None = None):
    def make(app: App) -> dict:
        base = app.base if port is None else f"127.0.0.1:{port}"
        return {
            "transcription": TranscriptionOptions(
                transport_url=f"ws://{base}/media/transcript",
                transport_type=StreamingTransportType.WEBSOCKET,
                locale="en-US",
                start_transcription=start,
                enable_intermediate_results=intermediate,
            )
        }

    return make


def status(data: dict) -> tuple[str, str]:
    update = data["transcriptionUpdate"]
    return update["transcriptionStatus"], update["transcriptionStatusDetails"]


async def test_what_the_caller_says_comes_in_words() -> None:
    async with talking(steps=SAY, answer=options(start=True)) as (app, call):
        assert status(await app.callback("TranscriptionStarted")) == (
            "transcriptionStarted",
            "subscriptionStarted",
        )
        [socket] = app.app.media
        await socket.until(lambda media: len(media.messages) == 3)
        first, second, third = socket.messages
        assert first["kind"] == "TranscriptionMetadata"
        metadata = first["transcriptionMetadata"]
        assert (metadata["locale"], metadata["callConnectionId"]) == ("en-US", app.id)
        assert metadata["correlationId"] == call.correlation_id
        assert socket.headers["x-ms-call-connection-id"] == app.id
        assert socket.headers["Authorization"].startswith("Bearer ")
        said = [message["transcriptionData"] for message in (second, third)]
        assert [data["text"] for data in said] == ["My card is lost.", "Hello?"]
        assert {data["resultStatus"] for data in said} == {"Final"}
        assert {data["participantRawID"] for data in said} == {"4:+14255550100"}
        assert [word["text"] for word in said[0]["words"]] == ["my", "card", "is", "lost"]
        assert said[0]["offset"] + said[0]["duration"] <= said[1]["offset"]
        properties = await app("get_call_properties")
        assert properties.transcription_subscription.state == "active"
        [answered] = app.app.answers
        assert answered.transcription_subscription.id == properties.transcription_subscription.id
        assert answered.transcription_subscription.state == "inactive"
        call.hang_up()
        await app.callback("CallDisconnected")
        assert app.kinds("Transcription", "CallD") == [
            "TranscriptionStarted", "TranscriptionStopped", "CallDisconnected",
        ]  # fmt: skip
        await socket.until(lambda media: media.close_code is not None)
        assert socket.close_code == 1000


async def test_intermediate_results_when_asked_for() -> None:
    async with talking(steps=[*SAY[:2], WAIT], answer=options(True, True)) as (app, _):
        await app.callback("TranscriptionStarted")
        [socket] = app.app.media
        await socket.until(lambda media: len(media.messages) == 3)
        said = [message["transcriptionData"] for message in socket.messages[1:]]
        assert [(data["text"], data["resultStatus"]) for data in said] == [
            ("My card", "Intermediate"),
            ("My card is lost.", "Final"),
        ]


@BOTH
async def test_started_changed_and_stopped_by_the_app(flavour: str) -> None:
    async with talking(flavour, answer=options()) as (app, _):
        assert (await app("get_call_properties")).transcription_subscription.state == "inactive"
        for early in ("stop_transcription", "update_transcription"):
            arguments = {"locale": "de-DE"} if early == "update_transcription" else {}
            with pytest.raises(HttpResponseError) as caught:
                await app(early, **arguments)
            assert caught.value.error.code == "8585"
        await app("start_transcription", locale="en-GB", operation_context="on")
        started = await app.callback("TranscriptionStarted")
        assert (started["operationContext"], codes(started)) == ("on", (200, 0))
        assert app.app.media[0].messages[0]["transcriptionMetadata"]["locale"] == "en-GB"
        with pytest.raises(HttpResponseError) as caught:
            await app("start_transcription")
        assert caught.value.error.code == "8585"
        await app("update_transcription", locale="de-DE", operation_context="german")
        updated = await app.callback("TranscriptionUpdated")
        assert status(updated) == ("transcriptionUpdated", "transcriptionLocaleUpdated")
        assert (await app("get_call_properties")).transcription_subscription.locale == "de-DE"
        await app("stop_transcription", operation_context="off")
        stopped = await app.callback("TranscriptionStopped")
        assert (stopped["operationContext"], status(stopped)) == (
            "off", ("transcriptionStopped", "subscriptionStopped"),
        )  # fmt: skip
        await app("start_transcription")
        await app.callback("TranscriptionStarted", 1)


async def test_a_call_without_transcription_options() -> None:
    async with talking() as (app, _):
        with pytest.raises(HttpResponseError) as caught:
            await app("start_transcription")
        assert (caught.value.status_code, caught.value.error.code) == (405, "8522")


async def test_an_app_that_does_not_listen() -> None:
    async with talking(answer=options(start=True, port=1)) as (app, _):
        failed = await app.callback("TranscriptionFailed")
        assert codes(failed) == (400, 8581)
        assert status(failed) == ("transcriptionFailed", "streamConnectionUnsuccessful")
        assert (await app("get_call_properties")).call_connection_state == "connected"


@pytest.mark.parametrize("abruptly", [True, False])
async def test_an_app_that_closes_the_connection(abruptly: bool) -> None:
    async with talking(answer=options(start=True)) as (app, _):
        await app.callback("TranscriptionStarted")
        [socket] = app.app.media
        if abruptly:
            socket.abort()
            failed = await app.callback("TranscriptionFailed")
            assert status(failed) == ("transcriptionFailed", "streamConnectionInterrupted")
        else:
            await socket.socket.close()
            await app.callback("TranscriptionStopped")
        await app("start_transcription")
        again = await app.callback("TranscriptionStarted", 1)
        details = "streamConnectionReestablished" if abruptly else "subscriptionStarted"
        assert status(again) == ("transcriptionStarted", details)


async def test_wrong_options_are_refused() -> None:
    def wrong(app: App) -> dict:
        made = options()(app)
        made["transcription"].locale = ""
        return made

    async def answer(data: dict) -> None:
        with pytest.raises(HttpResponseError) as caught:
            await app.app.answer(data, **wrong(app.app))
        assert caught.value.error.code == "8523"
        await app.app.answer(data)

    async with talking() as (app, _):
        app.app.on_call = answer
        again = await app.app.emulator.dial({"steps": [WAIT]})
        await app.app.until(lambda: len(app.app.answers) == 2)
        again.hang_up()
