"""The messages of a transcription connection, and what they say about an utterance (acs.md 3.2). No I/O."""

import json
from typing import Any

type Json = dict[str, Any]

TICKS_PER_S = 10_000_000
"""Offsets and durations count 100 ns, from the start of the transcription (as in Microsoft's newer test data)."""
CONFIDENCE = 0.9


def _message(kind: str, body: Json) -> bytes:
    name = kind[0].lower() + kind[1:]
    return json.dumps({"kind": kind, name: body}, separators=(",", ":")).encode()


def metadata(
    subscription_id: str, locale: str, connection_id: str, correlation_id: str, model: str = ""
) -> bytes:
    """The first message; `speechRecognitionModelEndpointId` only with a custom model."""
    body = {
        "subscriptionId": subscription_id,
        "locale": locale,
        "callConnectionId": connection_id,
        "correlationId": correlation_id,
    }
    if model:
        body["speechRecognitionModelEndpointId"] = model
    return _message("TranscriptionMetadata", body)


def data(text: str, participant: str, offset_s: float, duration_s: float, *, final: bool) -> bytes:
    """What somebody said.

    Args:
        text: as written in the script.
        participant: raw id.
        offset_s: since the start of the transcription (s).
        duration_s: of the utterance (s); its words are spread over it evenly, by their length.
        final: otherwise an intermediate result.
    """
    words = text.split()
    letters = sum(map(len, words)) or 1
    spread: list[Json] = []
    at = offset_s
    for word in words:
        long = duration_s * len(word) / letters
        spread.append({"text": word.strip(".,;:!?\"'").lower(), "offset": ticks(at), "duration": ticks(long)})
        at += long
    body = {
        "text": text,
        "format": "display",
        "confidence": CONFIDENCE,
        "offset": ticks(offset_s),
        "duration": ticks(duration_s),
        "words": spread,
        "participantRawID": participant,
        "resultStatus": "Final" if final else "Intermediate",
    }
    return _message("TranscriptionData", body)


def ticks(seconds: float) -> int:
    """Seconds in units of 100 ns."""
    return round(seconds * TICKS_PER_S)
