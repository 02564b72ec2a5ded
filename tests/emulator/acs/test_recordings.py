"""Recordings of whole calls through Microsoft's client: state callbacks, files, events, errors."""

import asyncio
import io
import json
import wave

import numpy
import pytest
from azure.communication.callautomation import (
    AzureBlobContainerRecordingStorage,
    ChannelAffinity,
    PhoneNumberIdentifier,
    RecordingChannel,
    RecordingContent,
    RecordingFormat,
)
from azure.communication.callautomation import (
    CallAutomationClient as SyncClient,
)
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

from emulator.phone.audio import share_at
from emulator.python_sdk import AioEmulatorTransport, EmulatorTransport
from tests.support.app import ACCESS_KEY, App, Media, emulated_app, sine
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

FILE_EVENT = "Microsoft.Communication.RecordingFileStatusUpdated"
WAIT = {"wait_ms": 60_000}


class Recorded:
    """An app with a call, and a client that can download."""

    def __init__(self, app: App) -> None:
        self.app = app
        self.client = CallAutomationClient(
            app.emulator.endpoint,
            AzureKeyCredential(ACCESS_KEY),
            transport=AioEmulatorTransport(app.emulator.endpoint),
        )
        self.connection_id = ""
        self.server_call_id = ""

    async def call(self, *steps: object, play: bytes = b"") -> object:
        """A connected call in which the app plays `play`."""

        async def agent(media: Media) -> None:
            await media.speak(play)

        async def answer(data: dict) -> None:
            if "incomingCallContext" in data:
                await self.app.answer(data)

        self.app.on_call = answer
        self.app.on_media = agent if play else None
        await self.app.emulator.subscribe(
            self.app.subscription(name="files", included_event_types=[FILE_EVENT])
        )
        script = {"from": "+14255550100", "to": "+18005550000", "steps": [*steps, WAIT]}
        call = await self.app.emulator.dial(script)
        connected = await self.app.callback("CallConnected")
        self.connection_id, self.server_call_id = connected["callConnectionId"], connected["serverCallId"]
        await self.app.connected()
        return call

    async def start(self, **options: object) -> str:
        started = await self.client.start_recording(
            call_connection_id=self.connection_id,
            recording_state_callback_url=f"http://{self.app.base}/callbacks/rec",
            recording_content_type=RecordingContent.AUDIO,
            recording_format_type=RecordingFormat.WAV,
            **options,
        )
        return started.recording_id

    async def talk(self, seconds: float) -> None:
        """Let the call go on for so many frames of 20 ms."""
        media = self.app.media[-1]
        wanted = len(media.messages) + seconds * 50
        await media.until(lambda media: len(media.messages) >= wanted)

    def states(self) -> list[str]:
        return [
            event["data"]["state"]
            for event in self.app.callbacks
            if event["type"].endswith("RecordingStateChanged")
        ]

    async def until_states(self, *states: str) -> None:
        await self.app.until(lambda: self.states() == list(states))

    async def file(self) -> dict:
        """The data of the file's event."""
        await self.app.until(lambda: any(event["eventType"] == FILE_EVENT for event in self.app.events))
        return next(event["data"] for event in self.app.events if event["eventType"] == FILE_EVENT)

    async def bytes_of(self, url: str, **options: object) -> bytes:
        stream = await self.client.download_recording(url, **options)
        return b"".join([chunk async for chunk in stream.iter_bytes()])


@pytest.fixture
async def recorded():
    async with emulated_app() as app:
        recorded = Recorded(app)
        yield recorded
        await recorded.client.close()


def chunk(data: dict) -> dict:
    return data["recordingStorageInfo"]["recordingChunks"][0]


def channels_of(content: bytes) -> list[bytes]:
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (16000, 2)
        samples = numpy.frombuffer(file.readframes(file.getnframes()), "<i2")
        return [bytes(channel.tobytes()) for channel in samples.reshape(-1, file.getnchannels()).T]


async def test_a_mixed_recording_holds_both_sides(recorded: Recorded) -> None:
    await recorded.call({"tone": {"hz": 700, "seconds": 5}}, play=sine(440, 5000))
    recording = await recorded.start()
    properties = await recorded.client.get_recording_properties(recording)
    assert (properties.recording_id, properties.recording_state) == (recording, "active")
    await recorded.talk(1.0)
    await recorded.client.stop_recording(recording)
    await recorded.until_states("active", "inactive")
    data = await recorded.file()
    assert (data["recordingChannelType"], data["recordingFormatType"]) == ("Mixed", "Wav")
    assert data["recordingDurationMs"] >= 900
    (mixed,) = channels_of(await recorded.bytes_of(chunk(data)["contentLocation"]))
    assert len(mixed) == data["recordingDurationMs"] * 32
    assert share_at(mixed, 16000, 440) > 0.3
    assert share_at(mixed, 16000, 700) > 0.3


async def test_an_unmixed_recording_has_a_channel_for_each(recorded: Recorded) -> None:
    await recorded.call({"tone": {"hz": 700, "seconds": 5}}, play=sine(440, 5000))
    caller = PhoneNumberIdentifier("+14255550100")
    recording = await recorded.start(
        recording_channel_type=RecordingChannel.UNMIXED, channel_affinity=[ChannelAffinity(caller, 1)]
    )
    await recorded.talk(0.6)
    await recorded.client.stop_recording(recording)
    data = await recorded.file()
    app_side, caller_side = channels_of(await recorded.bytes_of(chunk(data)["contentLocation"]))
    assert share_at(app_side, 16000, 440) > 0.8
    assert share_at(caller_side, 16000, 700) > 0.8
    metadata = json.loads(await recorded.bytes_of(chunk(data)["metadataLocation"]))
    assert {"participantId": "4:+14255550100", "channel": 1} in metadata["participants"]
    assert metadata["recordingInfo"]["audioConfiguration"]["channels"] == 2


async def test_the_end_of_the_call_ends_the_recording(recorded: Recorded) -> None:
    call = await recorded.call()
    recording = await recorded.start()
    event = await recorded.app.callback("RecordingStateChanged")
    assert event["recordingId"] == recording
    assert event["callConnectionId"] == recorded.connection_id
    assert event["recordingKind"] == "azureCommunicationServices"
    call.hang_up()
    data = await recorded.file()
    assert data["sessionEndReason"] == "CallEnded"
    await recorded.until_states("active", "inactive")
    event = next(event for event in recorded.app.events if event["eventType"] == FILE_EVENT)
    assert event["subject"].startswith("/recording/call/")
    assert event["subject"].endswith(f"/serverCallId/{recorded.server_call_id}/recordingId/{recording}")
    with pytest.raises(ResourceNotFoundError) as caught:
        await recorded.client.get_recording_properties(recording)
    assert caught.value.error.code == "8522"


async def test_by_server_call_id_paused_from_the_start(recorded: Recorded) -> None:
    await recorded.call()
    started = await recorded.client.start_recording(
        server_call_id=recorded.server_call_id,
        recording_state_callback_url=f"http://{recorded.app.base}/callbacks/rec",
        pause_on_start=True,
    )
    assert started.recording_state == "inactive"
    await recorded.until_states("inactive")
    await recorded.client.resume_recording(started.recording_id)
    await recorded.until_states("inactive", "active")
    await recorded.client.pause_recording(started.recording_id)
    await recorded.until_states("inactive", "active", "inactive")
    properties = await recorded.client.get_recording_properties(started.recording_id)
    assert properties.recording_state == "inactive"
    with pytest.raises(HttpResponseError) as caught:
        await recorded.client.pause_recording(started.recording_id)
    assert (caught.value.status_code, caught.value.error.code) == (400, "8585")
    await recorded.client.stop_recording(started.recording_id)
    data = await recorded.file()
    metadata = json.loads(await recorded.bytes_of(chunk(data)["metadataLocation"]))
    assert [pause.keys() for pause in metadata["pauseResumeIntervals"]] == [{"startTime", "endTime"}] * 2


async def test_ranges_and_deletion(recorded: Recorded) -> None:
    await recorded.call({"tone": {"hz": 700, "seconds": 2}})
    recording = await recorded.start()
    await recorded.talk(0.3)
    await recorded.client.stop_recording(recording)
    parts = chunk(await recorded.file())
    url = parts["contentLocation"]
    whole = await recorded.bytes_of(url)
    assert whole[:4] == b"RIFF"
    assert await recorded.bytes_of(url, offset=44, length=100) == whole[44:144]
    assert await recorded.bytes_of(url, offset=len(whole) - 10) == whole[-10:]
    with pytest.raises(HttpResponseError) as caught:
        await recorded.bytes_of(url, offset=len(whole) + 10)
    assert caught.value.status_code == 416
    await recorded.client.delete_recording(parts["deleteLocation"])
    for gone in (recorded.bytes_of(url), recorded.client.delete_recording(parts["deleteLocation"])):
        with pytest.raises(ResourceNotFoundError):
            await gone


async def test_two_at_once_and_again_after_the_first(recorded: Recorded) -> None:
    await recorded.call()
    first = await recorded.start()
    with pytest.raises(HttpResponseError) as caught:
        await recorded.start()
    assert (caught.value.status_code, caught.value.error.code) == (400, "8559")
    await recorded.client.stop_recording(first)
    assert await recorded.start() != first


async def test_unknown_ones(recorded: Recorded) -> None:
    for action in ("get_recording_properties", "pause_recording", "resume_recording", "stop_recording"):
        with pytest.raises(ResourceNotFoundError) as caught:
            await getattr(recorded.client, action)("unknown")
        assert caught.value.error.code == "8522"
    for where in ({"call_connection_id": "unknown"}, {"server_call_id": "unknown"}):
        with pytest.raises(ResourceNotFoundError) as caught:
            await recorded.client.start_recording(**where)
        assert caught.value.error.code == "8522"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"recording_channel_type": "unmixed", "recording_format_type": "mp3"}, (400, "8523")),
        ({"recording_channel_type": "unmixed", "recording_content_type": "audioVideo"}, (400, "8523")),
        ({"recording_format_type": "flac"}, (400, "8523")),
        ({"recording_state_callback_url": "http://public.example/cb"}, (400, "8523")),
        ({"group_call_id": "g", "call_connection_id": None}, (400, "8523")),
    ],
)
async def test_wrong_requests(recorded: Recorded, options: dict, code: tuple) -> None:
    await recorded.call()
    with pytest.raises(HttpResponseError) as caught:
        await recorded.client.start_recording(
            **{"call_connection_id": recorded.connection_id, "recording_content_type": "audio", **options}
        )
    assert (caught.value.status_code, caught.value.error.code) == code


async def test_storage_of_ones_own_is_refused(recorded: Recorded) -> None:
    await recorded.call()
    with pytest.raises(HttpResponseError) as caught:
        await recorded.start(recording_storage=AzureBlobContainerRecordingStorage("https://a.example/c"))
    assert (caught.value.status_code, caught.value.error.code) == (405, "8520")


async def test_no_file_is_left_when_the_emulator_stops(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with emulated_app() as app:
        recorded = Recorded(app)
        await recorded.call({"tone": {"hz": 700, "seconds": 5}})
        await recorded.start()
        await recorded.until_states("active")
        assert len(list(tmp_path.iterdir())) == 1
        async with asyncio.timeout(patience(10)):
            await app.emulator.close()
        assert list(tmp_path.iterdir()) == []
        await recorded.client.close()


async def test_the_synchronous_client_from_a_connection_string(recorded: Recorded) -> None:
    await recorded.call({"tone": {"hz": 700, "seconds": 2}})
    emulator = recorded.app.emulator
    transport = EmulatorTransport(emulator.endpoint)
    with SyncClient.from_connection_string(emulator.connection_string, transport=transport) as client:
        started = await asyncio.to_thread(client.start_recording, server_call_id=recorded.server_call_id)
        await recorded.talk(0.2)
        await asyncio.to_thread(client.stop_recording, started.recording_id)
        parts = chunk(await recorded.file())
        stream = await asyncio.to_thread(client.download_recording, parts["contentLocation"])
        content = await asyncio.to_thread(lambda: b"".join(stream.iter_bytes()))
        assert content == await recorded.bytes_of(parts["contentLocation"])
        await asyncio.to_thread(client.delete_recording, parts["deleteLocation"])
    with pytest.raises(ResourceNotFoundError):
        await recorded.bytes_of(parts["contentLocation"])


async def test_old_files_make_room(recorded: Recorded, monkeypatch) -> None:
    monkeypatch.setattr("emulator.acs.recordings.KEPT_FILES", 1)
    await recorded.call({"tone": {"hz": 700, "seconds": 2}})
    for count in (1, 2):
        await recorded.client.stop_recording(await recorded.start())
        await recorded.app.until(
            lambda count=count: (
                sum(event["eventType"] == FILE_EVENT for event in recorded.app.events) == count
            )
        )
    old, new = (
        chunk(event["data"])["contentLocation"]
        for event in recorded.app.events
        if event["eventType"] == FILE_EVENT
    )
    assert await recorded.bytes_of(new)
    with pytest.raises(ResourceNotFoundError):
        await recorded.bytes_of(old)
