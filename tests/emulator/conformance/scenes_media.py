"""The stories of media operations."""

from typing import Any

import azure.communication.callautomation as sdk
from azure.communication.callautomation import DtmfTone, RecognizeInputType, StreamingTransportType

from tests.emulator.conformance.clients import identifier
from tests.emulator.conformance.operations import Then
from tests.emulator.conformance.world import Scene

LISTEN = {"listen": {"quiet_ms": 200}}
STRANGER = "+14255550199"


def streaming(s: Scene, start: bool) -> dict[str, Any]:
    return {
        "media_streaming": sdk.MediaStreamingOptions(
            transport_url=s.socket_url,
            transport_type=StreamingTransportType.WEBSOCKET,
            content_type=sdk.MediaStreamingContentType.AUDIO,
            audio_channel_type=sdk.MediaStreamingAudioChannelType.MIXED,
            start_media_streaming=start,
            enable_bidirectional=True,
            audio_format=sdk.AudioFormat.PCM24_K_MONO,
            enable_dtmf_tones=True,
        )
    }


def transcribing(s: Scene) -> dict[str, Any]:
    options = sdk.TranscriptionOptions(
        transport_url=s.socket_url,
        transport_type=StreamingTransportType.WEBSOCKET,
        locale="en-US",
        start_transcription=False,
    )
    return {"transcription": options}


async def media(s: Scene) -> None:
    _, incoming = await s.ring()
    context, options = incoming["incomingCallContext"], {"operation_context": "in"}
    made = await s.do(
        "answer_call: with media", s.client, context, s.callback_url, **options, **streaming(s, True)
    )
    on = s.client.get_call_connection(made.call_connection_id)
    await s.do("stop_media_streaming", on, operation_context="off")
    await s.do("start_media_streaming", on, operation_context="on")
    await s.sdk(on.hang_up, True)
    await s.claim(Then("MediaStreamingStopped"))
    await s.claim(Then("CallDisconnected"))


async def media_refused(s: Scene) -> None:
    s.refuses = True
    _, incoming = await s.ring()
    context, options = incoming["incomingCallContext"], {"operation_context": "in"}
    made = await s.do(
        "answer_call: socket refused", s.client, context, s.callback_url, **options, **streaming(s, True)
    )
    await s.sdk(s.client.get_call_connection(made.call_connection_id).hang_up, True)
    await s.claim(Then("CallDisconnected"))
    line = await s.answer(**transcribing(s))
    await s.do("start_media_streaming: not configured", line.connection, operation_context="on")
    await s.do("start_transcription: socket refused", line.connection, operation_context="on")
    await line.end()


async def transcription(s: Scene) -> None:
    line = await s.answer(**transcribing(s))
    on = line.connection
    await s.do("start_transcription", on, locale="en-US", operation_context="t1")
    await s.do("update_transcription", on, locale="en-GB", operation_context="t2")
    await s.do("stop_transcription", on, operation_context="t3")
    await line.end()


async def playing(s: Scene) -> None:
    line = await s.answer()
    on, text = line.connection, sdk.TextSource(text="hello", voice_name="en-US-NancyNeural")
    await s.do("play_media: text", on, text, operation_context="p1")
    assert (await line.phone.first("agent_audio"))["kind"] == "agent_audio"
    ssml = sdk.SsmlSource(
        ssml_text='<speak version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">'
        '<voice name="en-US-NancyNeural">yes</voice></speak>'
    )
    await s.do("play_media: SSML", on, ssml, operation_context="p2")
    await s.do("play_media: file, to one", on, s.tone, [line.other], operation_context="p3")
    await s.do("play_media: file is missing", on, s.nothing, operation_context="p4")
    await s.do("play_media: to a stranger", on, s.tone, [identifier(STRANGER)], operation_context="p5")
    await s.do("play_media_to_all", on, s.tone, operation_context="p6")
    await s.do("play_media: in a loop", on, s.tone, loop=True, operation_context="p7")
    await s.do("cancel_all_media_operations: a play", on)
    await line.end()


async def keys(s: Scene) -> None:
    line = await s.answer(
        LISTEN,
        {"press": "42#"},
        LISTEN,
        {"press": "17"},
        LISTEN,
        LISTEN,
        {"press": "1"},
        LISTEN,
        {"press": "2"},
    )
    on, kind = line.connection, RecognizeInputType.DTMF
    recognize = "start_recognizing_media"
    options = {"play_prompt": s.tone, "dtmf_max_tones_to_collect": 9, "dtmf_stop_tones": [DtmfTone.POUND]}
    await s.do(f"{recognize}: keys to a stop tone", on, kind, line.other, operation_context="r1", **options)
    options["dtmf_max_tones_to_collect"] = 2
    await s.do(
        f"{recognize}: as many keys as asked for", on, kind, line.other, operation_context="r2", **options
    )
    options["initial_silence_timeout"] = 1
    await s.do(f"{recognize}: no key", on, kind, line.other, operation_context="r3", **options)
    options |= {"dtmf_inter_tone_timeout": 1, "initial_silence_timeout": 5}
    await s.do(f"{recognize}: too few keys", on, kind, line.other, operation_context="r4", **options)
    choices = [
        sdk.RecognitionChoice(label="sales", phrases=["sales"], tone=DtmfTone.ONE),
        sdk.RecognitionChoice(label="help", phrases=["help"], tone=DtmfTone.TWO),
    ]
    options = {"play_prompt": s.tone, "choices": choices, "initial_silence_timeout": 5}
    await s.do(
        f"{recognize}: choice by key", on, RecognizeInputType.CHOICES, line.other, operation_context="r5", **options
    )  # fmt: skip
    await line.end()


async def speech(s: Scene) -> None:
    line = await s.answer(LISTEN, {"say": "operator"}, LISTEN, {"say": "my parcel is lost"}, LISTEN)
    on, options = line.connection, {"play_prompt": s.tone, "initial_silence_timeout": 10}
    choices = [
        sdk.RecognitionChoice(label="balance", phrases=["balance"]),
        sdk.RecognitionChoice(label="person", phrases=["operator"]),
    ]
    recognize = "start_recognizing_media"
    key, kind = f"{recognize}: choice by speech", RecognizeInputType.CHOICES
    await s.do(key, on, kind, line.other, operation_context="r1", choices=choices, **options)
    assert s.told_all[-1]["data"]["choiceResult"]["label"] == "person"
    key, kind = f"{recognize}: open-ended speech", RecognizeInputType.SPEECH
    await s.do(key, on, kind, line.other, operation_context="r2", end_silence_timeout=1, **options)
    assert s.told_all[-1]["data"]["speechResult"]["speech"] == "my parcel is lost"
    await s.sdk(on.start_recognizing_media, kind, line.other, **options)
    await line.phone.first("agent_silent")
    await s.do("cancel_all_media_operations: a recognition", on)
    await line.end()


async def tones(s: Scene) -> None:
    line = await s.answer()
    on = line.connection

    async def press() -> None:
        line.phone.press_key("5")

    await s.do("start_continuous_dtmf_recognition", on, line.other, operation_context="k1", meanwhile=press)
    await s.do("stop_continuous_dtmf_recognition", on, line.other, operation_context="k2")
    await s.do("send_dtmf_tones", on, [DtmfTone.ONE, DtmfTone.POUND], line.other, operation_context="k3")
    assert (await line.phone.first("keys_heard"))["count"] >= 1
    await line.end()


async def holding(s: Scene) -> None:
    line = await s.answer()
    on = line.connection
    await s.do("hold: with music", on, line.other, play_source=s.tone, operation_context="h1")
    assert (await s.sdk(on.get_participant, line.other)).is_on_hold
    await s.do("unhold", on, line.other, operation_context="h2")
    assert not (await s.sdk(on.get_participant, line.other)).is_on_hold
    await s.do("hold: music is missing", on, line.other, play_source=s.nothing, operation_context="h3")
    await line.end()


MEDIA_SCENES = (media, media_refused, transcription, playing, keys, speech, tones, holding)
