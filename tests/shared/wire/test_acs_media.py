import base64
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.wire.acs_media import (
    FRAME_LIMIT,
    STOP_AUDIO,
    AudioData,
    AudioMetadata,
    Dtmf,
    Unknown,
    audio_slice,
    dtmf_key,
    encode_audio,
    parse_frame,
)

PCM = bytes(range(256)) * 3 + bytes(192)  # 960 bytes: 20 ms at 24 kHz
BASE64 = base64.b64encode(PCM)
FRAME = (
    b'{"kind":"AudioData","audioData":{"timestamp":"2026-11-20T23:50:38.925Z","data":"'
    + BASE64
    + b'","silent":false}}'
)
UNMIXED = FRAME.replace(b'"data":', b'"participantRawID":"4:+14255550100","data":')


def frame(value):
    return json.dumps(value).encode()


def audio(**data):
    return frame({"kind": "AudioData", "audioData": data})


def test_the_first_frame_of_a_stream():
    metadata = {
        "subscriptionId": "5f0c",
        "encoding": "PCM",
        "sampleRate": 24000,
        "channels": 1,
        "length": 960,
    }
    expected = AudioMetadata("5f0c", "PCM", 24000, 1, 960)
    assert parse_frame(frame({"kind": "AudioMetadata", "audioMetadata": metadata})) == expected
    shouted = {key.upper(): value for key, value in metadata.items()}
    assert parse_frame(frame({"KIND": "audiometadata", "AudioMetadata": {**shouted, "new": []}})) == expected
    assert parse_frame(
        frame({"kind": "AudioMetadata", "audioMetadata": {"sampleRate": 16000, "channels": "Mono"}})
    ) == (AudioMetadata("", "PCM", 16000, 1, 0))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sampleRate": 8000}, "sampleRate"),
        ({"sampleRate": None}, "sampleRate"),
        ({"sampleRate": "24000"}, "sampleRate"),
        ({"channels": 2}, "channels"),
        ({"channels": "stereo"}, "channels"),
        ({"length": -0.5}, "length"),
        ({"encoding": 1}, "encoding"),
    ],
)
def test_metadata_that_we_could_not_play(change, field):
    with pytest.raises(InvalidInput) as refused:
        parse_frame(frame({"kind": "AudioMetadata", "audioMetadata": {"sampleRate": 24000, **change}}))
    assert refused.value.field == f"audioMetadata.{field}"


def test_audio_in_both_ways_of_reading():
    assert parse_frame(FRAME) == AudioData(BASE64, False, "", "2026-11-20T23:50:38.925Z")
    assert parse_frame(UNMIXED).participant == "4:+14255550100"
    assert audio_slice(FRAME) == audio_slice(UNMIXED) == BASE64
    assert audio_slice(FRAME.replace(b"false", b"true")) == BASE64


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(json.loads(FRAME)).encode(),  # with spaces
        FRAME.replace(b'"kind"', b'"Kind"'),
        FRAME.replace(b'"AudioData"', b'"audioData"'),
        FRAME.replace(b',"silent":false', b""),
        FRAME.replace(b'"silent":false', b'"silent":false,"mark":null'),
        b" " + FRAME,
        FRAME.replace(b"2026-11-20", b"\\u0032026-11-20"),
        audio(silent=False, data=BASE64.decode()),
    ],
)
def test_other_spellings_are_left_to_the_parser(written):
    assert audio_slice(written) is None
    assert parse_frame(written).base64 == BASE64


def test_silence_may_come_without_data():
    assert parse_frame(audio(silent=True)) == AudioData(b"", True, "", "")
    assert parse_frame(audio(silent=True, data="")).silent
    assert audio_slice(FRAME.replace(BASE64, b"")) is None


@pytest.mark.parametrize(
    "data",
    [
        "AAA",
        "AAAA\n",
        "AA=A",
        "A===",
        "====",
        "AA==",
        "A" * 1280 + "=",
        "AAA-",
        "AAA_",
        "AA AA AA",
        "é" * 8,
        '","',
        "\\n\\n",
        5,
        None,
        [],
    ],
)
def test_only_whole_samples_in_plain_base64_pass(data):
    with pytest.raises(InvalidInput) as refused:
        parse_frame(audio(silent=False, data=data))
    assert refused.value.field == "audioData.data"
    if isinstance(data, str):
        assert audio_slice(FRAME.replace(BASE64, json.dumps(data)[1:-1].encode())) is None


def test_an_odd_number_of_bytes_is_no_audio():
    for count in range(1, 13):
        written = base64.b64encode(bytes(count)).decode()
        fast = audio_slice(FRAME.replace(BASE64, written.encode()))
        if count % 2:
            assert fast is None
            with pytest.raises(InvalidInput):
                parse_frame(audio(data=written))
        else:
            assert fast == parse_frame(audio(data=written)).base64 == written.encode()


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"silent": "no"}, "silent"),
        ({"participantRawID": 7}, "participantRawID"),
        ({"timestamp": {}}, "timestamp"),
    ],
)
def test_a_wrong_field_beside_the_audio(data, field):
    with pytest.raises(InvalidInput) as refused:
        parse_frame(audio(**{"data": BASE64.decode(), "silent": False, **data}))
    assert refused.value.field == f"audioData.{field}"


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("3", "3"),
        ("*", "*"),
        ("#", "#"),
        ("a", "A"),
        ("D", "D"),
        ("pound", "#"),
        ("asterisk", "*"),
        ("Seven", "7"),
        ("zero", "0"),
        ("hash", "#"),
        ("star", "*"),
    ],
)
def test_keys_have_one_form(written, key):
    assert parse_frame(frame({"kind": "DtmfData", "dtmfData": {"data": written, "timestamp": "x"}})) == Dtmf(
        key
    )
    assert dtmf_key(written, field="data.tone") == key


@pytest.mark.parametrize("written", ["", "12", "e", "E", "٣", "😀", 3, None, ["3"], "ten"])
def test_what_is_no_key(written):
    with pytest.raises(InvalidInput) as refused:
        parse_frame(frame({"kind": "DtmfData", "dtmfData": {"data": written}}))
    assert str(refused.value) == "dtmfData.data: expected one key of a telephone"


def test_keys_and_audio_are_hidden_from_logs():
    assert "7" not in repr(Dtmf("7"))
    assert "AAECAw" not in repr(parse_frame(FRAME))


@pytest.mark.parametrize("kind", ["MarkData", "TranscriptionData", "audio", "stopAudio"])
def test_new_kinds_are_not_fatal(kind):
    assert parse_frame(frame({"kind": kind, "whatever": [1, 2]})) == Unknown(kind)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"{}",
        b'{"kind":1}',
        b'{"kind":"AudioData"}',
        b'{"kind":"AudioData","audioData":[]}',
        b"\xff\xfe",
        b'{"kind":"' + b"x" * 65 + b'"}',
        b"{" * 60_000,
    ],
)
def test_frames_that_are_none(content):
    with pytest.raises(InvalidInput):
        parse_frame(content)
    assert audio_slice(content) is None


def test_a_frame_has_a_bound_in_both_ways_of_reading():
    room = FRAME_LIMIT - (len(FRAME) - len(BASE64))
    most = FRAME.replace(BASE64, b"A" * (room // 8 * 8))
    more = FRAME.replace(BASE64, b"A" * (room // 8 * 8 + 8))
    assert audio_slice(most) == parse_frame(most).base64
    assert audio_slice(more) is None
    with pytest.raises(InvalidInput, match="frame: expected at most"):
        parse_frame(more)


def test_what_we_send_is_in_the_documented_casing():
    assert (
        encode_audio(BASE64)
        == b'{"Kind":"AudioData","AudioData":{"Data":"' + BASE64 + b'"},"StopAudio":null}'
    )
    assert json.loads(encode_audio(BASE64))["AudioData"]["Data"].encode() == BASE64
    assert json.loads(STOP_AUDIO) == {"Kind": "StopAudio", "AudioData": None, "StopAudio": {}}


@given(st.binary(min_size=1, max_size=400), st.booleans(), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_acs_writes_takes_the_fast_way(pcm, silent, unmixed):
    pcm = pcm * 2
    fields = {"timestamp": "2026-11-20T23:50:38.925Z"}
    if unmixed:
        fields["participantRawID"] = "8:acs:r_u"
    fields |= {"data": base64.b64encode(pcm).decode(), "silent": silent}
    written = json.dumps({"kind": "AudioData", "audioData": fields}, separators=(",", ":")).encode()
    assert base64.b64decode(audio_slice(written)) == pcm


@st.composite
def mutated(draw):
    """A frame with pieces cut out, doubled or replaced, so that most are nearly right."""
    content = bytearray(draw(st.sampled_from([FRAME, UNMIXED])))
    pieces = [
        b'"',
        b"\\",
        b'","',
        b'"data":"',
        b'","silent":true}}',
        b"=",
        b"\x00",
        b"\xc3",
        b"}",
        b"{",
        b"AAAA",
        b"\\u0041",
    ]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(
            st.integers(0, len(content)) | st.integers(0, 110) | st.integers(len(content) - 30, len(content))
        )
        cut = draw(st.sampled_from([0, 0, 1, 2, 4, 8, 17, 900]))
        content[at : at + cut] = draw(
            st.sampled_from(pieces) | st.binary(max_size=3) | st.just(bytes(content[at : at + 40]))
        )
    return bytes(content)


@given(mutated())
@example(FRAME.replace(b'"data":"', b'"data":"AAAAAAAA","data":"'))
@example(FRAME.replace(b'","silent":false}}', b'","silent":false}},"silent":true}}'))
@settings(max_examples=400, deadline=None)
def test_the_fast_way_never_disagrees_with_the_parser(content):
    fast = audio_slice(content)
    if fast is not None:
        parsed = parse_frame(content)
        assert isinstance(parsed, AudioData)
        assert parsed.base64 == fast
        assert len(base64.b64decode(fast, validate=True)) % 2 == 0
