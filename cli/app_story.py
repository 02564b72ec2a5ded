"""What an app does and is told, in words: from the records of the wire trace."""

from collections.abc import Mapping
from typing import Any

from cli.story import line

type Json = Mapping[str, Any]

OPERATIONS: Mapping[str, str] = {
    "answer": "answers",
    "reject": "rejects",
    "redirect": "redirects",
    "terminate": "ends the call for everybody",
    "play": "plays",
    "recognize": "asks",
    "cancelAllMediaOperations": "cancels what it plays and asks",
    "transferToParticipant": "transfers",
    "participants:add": "invites",
    "participants:remove": "removes",
    "participants:mute": "mutes",
    "startMediaStreaming": "starts media streaming",
    "stopMediaStreaming": "stops media streaming",
    "sendDtmfTones": "sends keys",
    "hold": "puts on hold",
    "unhold": "takes back from hold",
}
"""What an app does, by the end of the path of its request."""


def _asked(record: Json) -> str:
    """What the app wants, in words: the operation, and what it is about."""
    path = str(record["where"]).partition("?")[0]
    name = path.rpartition("/")[2].partition(":")[2] if ":" in path.rpartition("/")[2] else ""
    name = f"participants:{name}" if "/participants:" in path else name
    text = "hangs up" if record["method"] == "DELETE" and not name else OPERATIONS.get(name, name or path)
    body = record.get("request")
    request = body if isinstance(body, dict) else {}
    about = [_source(item) for item in request.get("playSources") or [request.get("playPrompt")] if item]
    for field in ("targetParticipant", "target", "participantToAdd"):
        who = request.get(field)
        if isinstance(who, dict) and who.get("rawId"):
            about.append(f"to {str(who['rawId']).removeprefix('4:')}")
    return " ".join([text, *filter(None, about)])


def _source(source: object) -> str:
    """What is played: the text in quotes, or the name of the file."""
    if not isinstance(source, dict):
        return ""
    text, file, ssml = (source.get(kind) or {} for kind in ("text", "file", "ssml"))
    if text.get("text"):
        return f"“{text['text']}”"
    return str(file.get("uri", "")).rpartition("/")[2] or ("SSML" if ssml else "")


def told_of_app(record: Json, seconds: float) -> str | None:
    """The line for a record of the wire trace: what the app asked for, and what it was told; None for the rest.

    Args:
        record: of `emulator.trace`, redacted.
        seconds: since the call began.
    """
    outcome = record.get("status", record.get("error", ""))
    match record.get("what"):
        case "rest" if record["method"] != "GET":
            failed = f": {outcome}" if not isinstance(outcome, int) or outcome >= 300 else ""
            return line(seconds, "the app", _asked(record) + failed)
        case "callback":
            events = record.get("request")
            names = [
                str(event.get("type", "?")).removeprefix("Microsoft.Communication.") + _code(event)
                for event in (events if isinstance(events, list) else [])
                if isinstance(event, dict)
            ]
            failed = (
                "" if isinstance(outcome, int) and outcome < 300 else f", which it does not take: {outcome}"
            )
            return line(seconds, "is told", ", ".join(names) + failed)
    return None


def _code(event: Json) -> str:
    """The result of a callback when it is none of the good ones."""
    result = (event.get("data") or {}).get("resultInformation") or {}
    code = result.get("code", 200)
    return f" ({code}/{result.get('subCode', 0)} {result.get('message', '')})" if code >= 300 else ""
