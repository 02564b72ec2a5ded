"""The table of operations: every method of Microsoft's Call Automation and identity clients, in the cases that differ.

What is expected here is acs.md's, row by row; the run must see exactly this. `fidelity` says how sure it is that the real service
does the same: `documented` (documentation, live recordings or the SDK itself), `inferred` (follows from them), `guessed`.
"""

from collections.abc import Callable

from tests.emulator.conformance.operations import GUESSED, INFERRED, Operation, Then

type Row = Callable[..., Operation]

CC = "/calling/callConnections"
ONE = CC + "/{id}"
REC = "/calling/recordings"
MISSING = {"status": 404, "result": "ResourceNotFoundError", "error": "8522", "fields": ()}
REFUSED = {"result": "HttpResponseError", "fields": ()}
PAIR = {"fidelity": GUESSED, "basis": "the sub-code is documented, its pairing with a code is not"}


def of(method: str, request: str, status: int, *keys: str, **common: object) -> Row:
    """Makes the rows of a method. `keys`: what the body holds. `r`: it has the headers of repeatable requests."""
    common["keys"] = tuple(sorted(keys))
    common["repeatability"] = bool(common.pop("r", False))

    def row(case: str = "", *callbacks: Then, more_keys: tuple[str, ...] = (), **more: object) -> Operation:
        values = {"status": status, **common, **more}
        values["keys"] = tuple(sorted((*values["keys"], *more_keys)))
        return Operation(method=method, case=case, request=request, callbacks=callbacks, **values)

    return row


# --- calls ---

CONNECTED = Then("CallConnected")
ROSTER = Then("ParticipantsUpdated", own=False)
DISCONNECTED = Then("CallDisconnected", 200, 7000, own=False)
PROPERTIES = {
    "result": "CallConnectionProperties",
    "fields": ("call_connection_id", "server_call_id", "correlation_id", "call_connection_state", "targets"),
}
CONTEXT = "operationContext"
NEW_CALL = ("callbackUri", CONTEXT, "targets")

create = of("create_call", f"POST {CC}", 201, *NEW_CALL, r=True, **PROPERTIES)
group = of("create_group_call", f"POST {CC}", 201, *NEW_CALL, "sourceCallerIdNumber", r=True, **PROPERTIES)
answer = of(
    "answer_call", f"POST {CC}:answer", 200, "callbackUri", "incomingCallContext", CONTEXT, r=True, **PROPERTIES
)  # fmt: skip
redirect = of("redirect_call", f"POST {CC}:redirect", 204, "incomingCallContext", "target", r=True)
reject = of("reject_call", f"POST {CC}:reject", 204, "callRejectReason", "incomingCallContext", r=True)
connect = of(
    "connect_call", f"POST {CC}:connect", 200, "callLocator", "callbackUri", CONTEXT, r=True, **PROPERTIES
)  # fmt: skip
properties = of("get_call_properties", f"GET {ONE}", 200, **PROPERTIES)
transfer = of(
    "transfer_call_to_participant", f"POST {ONE}:transferToParticipant", 202, CONTEXT, "targetParticipant",
    r=True, result="TransferCallResult", fields=("operation_context",),
)  # fmt: skip
SOURCE = {"more_keys": ("sourceCallerIdNumber",)}
WITH_MEDIA = {"more_keys": ("mediaStreamingOptions",)}

CALLS = (
    create("", CONNECTED, ROSTER, **SOURCE),
    create("busy", Then("CreateCallFailed", 486, 8539), **SOURCE, **PAIR),
    create("declined", Then("CreateCallFailed", 603, 8538), **SOURCE, **PAIR),
    create("unreachable", Then("CreateCallFailed", 480, 8544), **SOURCE, **PAIR),
    create("nobody picks up", Then("CreateCallFailed", 408, 8587), **SOURCE, fidelity=INFERRED, basis="as for an invitation"),
    create("phone without a caller id", status=400, error="8523", **REFUSED, fidelity=GUESSED, basis="which code it is"),
    group("", CONNECTED, ROSTER),
    answer("", CONNECTED, ROSTER),
    answer("with media", CONNECTED, ROSTER, Then("MediaStreamingStarted"), **WITH_MEDIA),
    answer("socket refused", CONNECTED, ROSTER, Then("MediaStreamingFailed", 400, 8581), **WITH_MEDIA),
    answer("context used up", **MISSING, fidelity=GUESSED, basis="a context is good for one answer"),
    redirect(),
    reject(),
    connect("by server call id", CONNECTED, ROSTER),
    connect("no such call", **MISSING, fidelity=GUESSED, basis="the service may send ConnectFailed"),
    properties(),
    properties("no such call", **MISSING),
    of("hang_up", f"DELETE {ONE}", 204)("leave", DISCONNECTED),
    of("hang_up", f"POST {ONE}:terminate", 204, r=True)("for everyone", DISCONNECTED),
    transfer("", Then("CallTransferAccepted"), DISCONNECTED, more_keys=("customCallingContext",)),
    transfer("declined", Then("CallTransferFailed", 603, 8538), **PAIR),
)  # fmt: skip

# --- participants ---

get = of(
    "get_participant",
    f"GET {ONE}/participants/{{rawId}}",
    200,
    result="CallParticipant",
    fields=("identifier",),
)
add = of(
    "add_participant", f"POST {ONE}/participants:add", 202, CONTEXT, "participantToAdd", "sourceCallerIdNumber",
    r=True, result="AddParticipantResult", fields=("invitation_id", "participant", "operation_context"),
)  # fmt: skip
cancel = of(
    "cancel_add_participant_operation", f"POST {ONE}/participants:cancelAddParticipant", 202, CONTEXT, "invitationId",
    r=True, result="CancelAddParticipantOperationResult", fields=("invitation_id", "operation_context"),
)  # fmt: skip
remove = of(
    "remove_participant", f"POST {ONE}/participants:remove", 202, CONTEXT, "participantToRemove",
    r=True, result="RemoveParticipantResult", fields=("operation_context",),
)  # fmt: skip
mute = of(
    "mute_participant", f"POST {ONE}/participants:mute", 200, CONTEXT, "targetParticipants",
    r=True, result="MuteParticipantResult", fields=("operation_context",),
)  # fmt: skip
move = of(
    "move_participants", f"POST {ONE}/participants:moveHere", 202, CONTEXT, "fromCall", "targetParticipants",
    r=True, result="MoveParticipantsResult", fields=("participants", "operation_context"),
)  # fmt: skip
TIMED = {"more_keys": ("invitationTimeoutInSeconds",)}

PARTICIPANTS = (
    of("list_participants", f"GET {ONE}/participants", 200, result="list[CallParticipant]")(),
    get(),
    get("not in the call", **MISSING),
    add("", Then("AddParticipantSucceeded"), ROSTER),
    add("declined", Then("AddParticipantFailed", 603, 8538), **PAIR),
    add("nobody picks up", Then("AddParticipantFailed", 408, 8587), **TIMED, **{**PAIR, "fidelity": INFERRED}),
    cancel("", Then("CancelAddParticipantSucceeded")),
    cancel("no such invitation", Then("CancelAddParticipantFailed", 404, 8522), fidelity=GUESSED, basis="the callback's codes"),
    mute("", ROSTER),
    mute("a phone", status=400, error="8523", **REFUSED, fidelity=GUESSED, basis="that it is refused is known, the code is not"),
    move("", Then("MoveParticipantSucceeded"), ROSTER, fidelity=INFERRED, basis="new, known from the SDK alone"),
    remove("", Then("RemoveParticipantSucceeded"), ROSTER),
    remove("not in the call", Then("RemoveParticipantFailed", 404, 8522), fidelity=GUESSED, basis="a callback and not a 404"),
)  # fmt: skip

# --- media ---

STARTED, COMPLETED = Then("PlayStarted"), Then("PlayCompleted")
TARGET = "targetParticipant"

PLAY = (f"POST {ONE}:play", 202, CONTEXT, "playOptions", "playSources", "playTo")
play = of("play_media", *PLAY)
to_all = of("play_media_to_all", *PLAY)
cancel_all = of("cancel_all_media_operations", f"POST {ONE}:cancelAllMediaOperations", 202)
recognize = of(
    "start_recognizing_media", f"POST {ONE}:recognize", 202, CONTEXT, "playPrompt", "recognizeInputType", "recognizeOptions"
)  # fmt: skip
start_keys = of(
    "start_continuous_dtmf_recognition", f"POST {ONE}:startContinuousDtmfRecognition", 200, CONTEXT, TARGET
)  # fmt: skip
stop_keys = of(
    "stop_continuous_dtmf_recognition", f"POST {ONE}:stopContinuousDtmfRecognition", 200, CONTEXT, TARGET
)
send_keys = of(
    "send_dtmf_tones", f"POST {ONE}:sendDtmfTones", 202, CONTEXT, TARGET, "tones",
    r=True, result="SendDtmfTonesResult", fields=("operation_context",),
)  # fmt: skip
hold = of("hold", f"POST {ONE}:hold", 200, CONTEXT, TARGET, "playSourceInfo")
start_media = of("start_media_streaming", f"POST {ONE}:startMediaStreaming", 202, CONTEXT)
stop_media = of("stop_media_streaming", f"POST {ONE}:stopMediaStreaming", 202, CONTEXT)
start_text = of("start_transcription", f"POST {ONE}:startTranscription", 202, CONTEXT)
update_text = of("update_transcription", f"POST {ONE}:updateTranscription", 202, CONTEXT, "locale")
stop_text = of("stop_transcription", f"POST {ONE}:stopTranscription", 202, CONTEXT)


def recognized(sub_code: int) -> Then:
    return Then("RecognizeCompleted", 200, sub_code)


MEDIA = (
    play("text", STARTED, COMPLETED),
    play("SSML", STARTED, COMPLETED),
    play("file, to one", STARTED, COMPLETED),
    play("file is missing", Then("PlayFailed", 400, 8536)),
    play("in a loop", STARTED),
    play("to a stranger", **MISSING),
    play("not established", status=400, error="8501", **REFUSED),
    to_all("", STARTED, COMPLETED),
    cancel_all("a play", Then("PlayCanceled", 400, 8508, own=False)),
    cancel_all("a recognition", Then("RecognizeCanceled", 400, 8508, own=False)),
    recognize("keys to a stop tone", recognized(8514)),
    recognize("as many keys as asked for", recognized(8531)),
    recognize("no key", Then("RecognizeFailed", 400, 8510)),
    recognize(
        "too few keys", Then("RecognizeFailed", 400, 8532), fidelity=GUESSED, basis="documented as failed and as completed"
    ),
    recognize("choice by key", recognized(8533)),
    recognize("choice by speech", recognized(8545)),
    recognize("open-ended speech", recognized(8569), fidelity=GUESSED, basis="the script's text stands in for dictation"),
    start_keys("", Then("ContinuousDtmfRecognitionToneReceived")),
    stop_keys("", Then("ContinuousDtmfRecognitionStopped")),
    send_keys("", Then("SendDtmfTonesCompleted")),
    hold("with music", ROSTER),
    hold("music is missing", ROSTER, Then("HoldFailed", 400, 8536), fidelity=GUESSED, basis="the callback's codes"),
    of("unhold", f"POST {ONE}:unhold", 200, CONTEXT, TARGET)("", ROSTER),
    start_media("", Then("MediaStreamingStarted")),
    start_media("not configured", status=405, error="8522", **REFUSED),
    stop_media("", Then("MediaStreamingStopped")),
    start_text("", Then("TranscriptionStarted"), more_keys=("locale",)),
    start_text("socket refused", Then("TranscriptionFailed", 400, 8581), fidelity=INFERRED, basis="as for media streaming"),
    update_text("", Then("TranscriptionUpdated")),
    stop_text("", Then("TranscriptionStopped")),
)  # fmt: skip

# --- recordings ---

STATE = Then("RecordingStateChanged", own=False)
RECORDING = {"result": "RecordingProperties", "fields": ("recording_id", "recording_state")}
ADDRESS = {"fidelity": INFERRED, "basis": "the address"}

start = of(
    "start_recording", f"POST {REC}", 200,
    "callConnectionId", "channelAffinity", "recordingChannelType", "recordingContentType", "recordingFormatType",
    "recordingStateCallbackUri", r=True, **RECORDING,
)  # fmt: skip
pause = of("pause_recording", f"POST {REC}/{{recordingId}}:pause", 202)
download = of("download_recording", "GET /v1/objects/{document}/content/audio", 200, result="bytes")

RECORDINGS = (
    start("", STATE),
    start("twice", status=400, error="8559", **REFUSED),
    of("get_recording_properties", f"GET {REC}/{{recordingId}}", 200, **RECORDING)(),
    pause("", STATE),
    pause("no such recording", **MISSING, fidelity=INFERRED, basis="as for an unknown call"),
    of("resume_recording", f"POST {REC}/{{recordingId}}:resume", 202)("", STATE),
    of("stop_recording", f"DELETE {REC}/{{recordingId}}", 204)("", STATE),
    download("", **ADDRESS),
    download("a part", status=206, **ADDRESS),
    of("delete_recording", "DELETE /v1/objects/{document}", 200)("", **ADDRESS),
)

# --- identities ---

token = of(
    "get_token", "POST /identities/{user}/:issueAccessToken", 200, "expiresInMinutes", "scopes", result="AccessToken"
)  # fmt: skip
with_token = of(
    "create_user_and_token", "POST /identities", 201, "createTokenWithScopes", "expiresInMinutes", result="tuple"
)  # fmt: skip

IDENTITIES = (
    of("create_user", "POST /identities", 201, result="CommunicationUserIdentifier", fields=("raw_id",))(),
    with_token(),
    token(),
    of("revoke_tokens", "POST /identities/{user}/:revokeAccessTokens", 204)(),
    of("delete_user", "DELETE /identities/{user}", 204)(),
)

GROUPS = {
    "Calls": CALLS,
    "Participants": PARTICIPANTS,
    "Media": MEDIA,
    "Recordings": RECORDINGS,
    "Identities": IDENTITIES,
}
OPERATIONS = {operation.key: operation for rows in GROUPS.values() for operation in rows}
