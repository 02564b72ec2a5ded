"""REST routes of recordings and of their files (acs.md 1.3, 1.6)."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from emulator.acs.calls import Call
from emulator.acs.errors import RestError, invalid, wrong_state
from emulator.acs.identifiers import read_identifier
from emulator.acs.recorder import MAX_CHANNELS, Channels
from emulator.acs.recordings import RecordingRequest, Recordings
from emulator.acs.rest_body import API_VERSION, Route, read_body, read_callback_uri, reply
from emulator.acs.services import CallState

if TYPE_CHECKING:
    from emulator.acs.conversation import Conversation
    from emulator.acs.exchange import Exchange

type Json = dict[str, Any]

RECORDINGS = "/calling/recordings"
ONE = RECORDINGS + "/{recording:[^:/]+}"
FILE = "/v1/objects/{document:[0-9A-Za-z-]+}"
CONTENT_TYPES = ("audio", "audiovideo")
FORMATS = ("wav", "mp3", "mp4")
CHUNK = 256 * 1024


class RecordingRoutes:
    """The routes.

    Args:
        exchange: knows the calls.
        recordings: knows the recordings.
    """

    def __init__(self, exchange: "Exchange", recordings: Recordings) -> None:
        self._exchange = exchange
        self._recordings = recordings

    def routes(self) -> list[Route]:
        """To be handed to `RestApi`."""
        return [
            Route("POST", RECORDINGS, "startRecording", self._start),
            Route("GET", ONE, "getRecording", self._get),
            Route("POST", f"{ONE}:pause", "pauseRecording", self._pause),
            Route("POST", f"{ONE}:resume", "resumeRecording", self._resume),
            Route("DELETE", ONE, "stopRecording", self._stop),
            Route("GET", f"{FILE}/content/audio", "downloadRecording", self._download),
            Route("GET", f"{FILE}/content/acsmetadata", "downloadMetadata", self._metadata),
            Route("DELETE", FILE, "deleteRecording", self._delete),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        body = await read_body(request)
        conversation, call = self._subject(body)
        checked = read_recording_request(body, request.query.get("api-version", API_VERSION))
        recording = self._recordings.start(conversation, call.id, call.faults, checked)
        return reply(200, recording.properties())

    def _subject(self, body: Json) -> tuple["Conversation", Call]:
        """What is to be recorded, and an app's connection to it.

        Raises:
            RestError: 404/8522 unknown; 400/8501 not connected yet; 400/8523 neither id is given.
        """
        connection_id, locator = body.get("callConnectionId"), body.get("callLocator")
        if isinstance(connection_id, str) and connection_id:
            call = self._exchange.call(connection_id)
            if call.conversation is None or call.state is CallState.CONNECTING:
                raise RestError(400, "8501", "The call is not established.")
            return call.conversation, call
        server_call_id = locator.get("serverCallId") if isinstance(locator, dict) else None
        if not isinstance(server_call_id, str) or not server_call_id:
            raise invalid("CallLocator")
        conversation = self._exchange.conversation(server_call_id)
        connection = next((leg for leg in conversation.legs if isinstance(leg, Call)), None)
        if connection is None:
            raise wrong_state("No app is connected to the call.")
        return conversation, connection

    def _id(self, request: web.Request) -> str:
        return request.match_info["recording"]

    async def _get(self, request: web.Request) -> web.Response:
        return reply(200, self._recordings.find(self._id(request)).properties())

    async def _pause(self, request: web.Request) -> web.Response:
        self._recordings.pause(self._id(request))
        return reply(202)

    async def _resume(self, request: web.Request) -> web.Response:
        self._recordings.resume(self._id(request))
        return reply(202)

    async def _stop(self, request: web.Request) -> web.Response:
        self._recordings.stop(self._id(request))
        return reply(204)

    # --- files ---

    async def _download(self, request: web.Request) -> web.StreamResponse:
        stored = self._recordings.file(request.match_info["document"])
        return web.FileResponse(stored.content, CHUNK, headers={"Content-Type": "audio/wav"})

    async def _metadata(self, request: web.Request) -> web.Response:
        return reply(200, self._recordings.file(request.match_info["document"]).metadata)

    async def _delete(self, request: web.Request) -> web.Response:
        self._recordings.delete(request.match_info["document"])
        return reply(200)


def read_recording_request(body: Json, api_version: str) -> RecordingRequest:
    """The options of a StartCallRecordingRequest.

    Raises:
        RestError: 400/8523 names the wrong field; 405/8520 for storage of one's own, which the emulator has not.
    """
    content = _choice(body, "recordingContentType", CONTENT_TYPES, "audiovideo")
    form = _choice(body, "recordingFormatType", FORMATS, "mp4" if content == "audiovideo" else "wav")
    channels: Channels = "mixed"
    if _choice(body, "recordingChannelType", ("mixed", "unmixed"), "mixed") == "unmixed":
        channels = "unmixed"
        if content != "audio" or form != "wav":
            raise invalid(
                "RecordingFormatType"
            )  # only WAV has a channel for each (from memory of the documentation)
    storage = body.get("externalStorage")
    if (
        isinstance(storage, dict)
        and str(storage.get("recordingStorageKind", "")).lower() == "azureblobstorage"
    ):
        raise RestError(405, "8520", "The emulator writes no recordings to storage of your own.")
    uri = body.get("recordingStateCallbackUri")
    paused = body.get("pauseOnStart")
    if paused is not None and not isinstance(paused, bool):
        raise invalid("PauseOnStart")
    return RecordingRequest(
        callback_uri=None if uri is None else read_callback_uri(uri, "RecordingStateCallbackUri"),
        channels=channels,
        places=_places(body) if channels == "unmixed" else {},
        paused=bool(paused),
        api_version=api_version,
    )


def _choice(body: Json, key: str, choices: tuple[str, ...], default: str) -> str:
    value = body.get(key)
    text = default if value is None else str(value).lower()
    if text not in choices:
        raise invalid(key[0].upper() + key[1:])
    return text


def _places(body: Json) -> dict[str, int]:
    """Fixed channels: `channelAffinity` names them, `audioChannelParticipantOrdering` takes those that are left, in order."""
    affinity = body.get("channelAffinity") or []
    ordering = body.get("audioChannelParticipantOrdering") or []
    if not isinstance(affinity, list):
        raise invalid("ChannelAffinity")
    if not isinstance(ordering, list):
        raise invalid("AudioChannelParticipantOrdering")
    places: dict[str, int] = {}
    for entry in affinity:
        channel = entry.get("channel") if isinstance(entry, dict) else None
        if not isinstance(channel, int) or not 0 <= channel < MAX_CHANNELS or channel in places.values():
            raise invalid("ChannelAffinity")
        places[str(read_identifier(entry.get("participant"), "ChannelAffinity")["rawId"])] = channel
    for value in ordering:
        who = str(read_identifier(value, "AudioChannelParticipantOrdering")["rawId"])
        free = [channel for channel in range(MAX_CHANNELS) if channel not in places.values()]
        if who not in places:
            if not free:
                raise invalid("AudioChannelParticipantOrdering")
            places[who] = free[0]
    return places
