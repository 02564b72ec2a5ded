"""The messages of a transcription connection."""

import json

from emulator.acs.operations import transcript


def test_metadata() -> None:
    assert json.loads(transcript.metadata("s", "en-US", "c", "k")) == {
        "kind": "TranscriptionMetadata",
        "transcriptionMetadata": {
            "subscriptionId": "s",
            "locale": "en-US",
            "callConnectionId": "c",
            "correlationId": "k",
        },
    }
    custom = json.loads(transcript.metadata("s", "en-US", "c", "k", "model-1"))
    assert custom["transcriptionMetadata"]["speechRecognitionModelEndpointId"] == "model-1"


def test_data_spreads_the_words_over_the_utterance() -> None:
    message = json.loads(transcript.data("Is it fine?", "4:+1", 2.0, 0.9, final=True))
    assert message["kind"] == "TranscriptionData"
    data = message["transcriptionData"]
    words = data.pop("words")
    assert data == {
        "text": "Is it fine?",
        "format": "display",
        "confidence": transcript.CONFIDENCE,
        "offset": 20_000_000,
        "duration": 9_000_000,
        "participantRawID": "4:+1",
        "resultStatus": "Final",
    }
    assert [word["text"] for word in words] == ["is", "it", "fine"]
    assert words[0]["offset"] == 20_000_000
    assert abs(words[-1]["offset"] + words[-1]["duration"] - 29_000_000) <= 2


def test_an_intermediate_result_without_words() -> None:
    data = json.loads(transcript.data("", "4:+1", 0, 0, final=False))["transcriptionData"]
    assert (data["resultStatus"], data["words"]) == ("Intermediate", [])
