import base64
import json
import os

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.wire.twilio_media import (
    FRAME_LIMIT,
    MAX_PARAMETERS,
    Connected,
    Dtmf,
    Mark,
    Media,
    Outbound,
    Start,
    Stop,
    Unknown,
    media_slice,
    parse_message,
)

MUTATIONS = int(os.environ.get("PATCHCORD_MUTATIONS", "150"))

STREAM = "MZ" + "0123456789abcdef" * 2
OTHER = "MZ" + "f" * 32
ACCOUNT, CALL = "AC" + "1" * 32, "CA" + "2" * 32
SOUND = base64.b64encode(bytes(range(160)))  # 160 bytes: 20 ms of mu-law

# As deployed streams write it, and as the documents show it: the two places of `streamSid`.
LAST = (
    b'{"event":"media","sequenceNumber":"4","media":{"track":"inbound","chunk":"3","timestamp":"62","payload":"'
    + SOUND
    + b'"},"streamSid":"'
    + STREAM.encode()
    + b'"}'
)
FIRST = (
    b'{"event":"media","sequenceNumber":"4","streamSid":"'
    + STREAM.encode()
    + b'","media":{"track":"inbound","chunk":"3","timestamp":"62","payload":"'
    + SOUND
    + b'"}}'
)


def message(event, **fields):
    return json.dumps({"event": event, "streamSid": STREAM, **fields}).encode()


def start(**changes):
    details = {
        "accountSid": ACCOUNT,
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"taskName": "order_desk", "näme": "wert"},
    }
    return message("start", sequenceNumber="1", start={**details, **changes})


def media(**fields):
    return message("media", media={"track": "inbound", "payload": SOUND.decode(), **fields})


def test_a_whole_stream():
    assert parse_message(b'{"event":"connected","protocol":"Call","version":"1.0.0"}') == Connected(
        "Call", "1.0.0"
    )
    parameters = {"taskName": "order_desk", "näme": "wert"}
    assert parse_message(start()) == Start(
        STREAM, ACCOUNT, CALL, ("inbound",), parameters, "audio/x-mulaw", 8000, 1, 1
    )
    assert parse_message(LAST) == parse_message(FIRST) == Media(SOUND, "inbound", 3, 62, STREAM)
    assert parse_message(message("dtmf", dtmf={"track": "inbound_track", "digit": "#"})) == Dtmf("#", STREAM)
    assert parse_message(message("mark", mark={"name": "m1"})) == Mark("m1", STREAM)
    assert parse_message(message("stop", stop={"accountSid": ACCOUNT, "callSid": CALL})) == Stop(
        ACCOUNT, CALL, STREAM
    )
    assert parse_message(message("stop")) == Stop("", "", STREAM)
    assert parse_message(message("hold", hold=[1])) == Unknown("hold")


def test_what_may_be_missing_or_a_number():
    assert parse_message(b'{"event":"connected"}') == Connected("", "")
    assert parse_message(start(customParameters=None)).parameters == {}
    assert parse_message(media(chunk=7, timestamp=140)) == Media(SOUND, "inbound", 7, 140, STREAM)
    assert parse_message(media(track=None)) == Media(SOUND, "inbound", 0, 0, STREAM)
    without = json.loads(start())
    del without["streamSid"], without["start"]["tracks"]
    assert parse_message(json.dumps(without).encode()).stream_sid == STREAM


@pytest.mark.parametrize(
    ("frame", "field"),
    [
        (b"", "message"),
        (b"[]", "message"),
        (b"{" * 60_000, "message"),
        (b"\xff", "message"),
        (b'{"event":"media","media":NaN}', "message"),
        (b" " * (FRAME_LIMIT + 1), "message"),
        (b"{}", "event"),
        (b'{"event":5}', "event"),
        (message("start"), "start"),
        (start(streamSid="MZ1"), "start.streamSid"),
        (start(streamSid=OTHER), "streamSid"),
        (start(accountSid=CALL), "start.accountSid"),
        (start(accountSid=""), "start.accountSid"),
        (start(callSid=CALL.lower()), "start.callSid"),
        (start(callSid=CALL + "0"), "start.callSid"),
        (start(callSid=None), "start.callSid"),
        (start(tracks="inbound"), "start.tracks"),
        (start(tracks=["a", "b", "c"]), "start.tracks"),
        (start(tracks=[1]), "start.tracks"),
        (start(mediaFormat=None), "start.mediaFormat"),
        (
            start(mediaFormat={"encoding": "audio/l16", "sampleRate": 8000, "channels": 1}),
            "start.mediaFormat.encoding",
        ),
        (start(mediaFormat={"encoding": "audio/x-mulaw"}), "start.mediaFormat.sampleRate"),
        (
            start(mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": True}),
            "start.mediaFormat.channels",
        ),
        (start(customParameters=[]), "start.customParameters"),
        (start(customParameters={"a": 1}), "start.customParameters"),
        (start(customParameters={"": "a"}), "start.customParameters"),
        (start(customParameters={"a": "b" * 500}), "start.customParameters"),
        (
            start(customParameters={str(number): "" for number in range(MAX_PARAMETERS + 1)}),
            "start.customParameters",
        ),
        (message("media"), "media"),
        (media(payload=5), "media.payload"),
        (media(track="both"), "media.track"),
        (media(chunk="x"), "media.chunk"),
        (media(chunk="-1"), "media.chunk"),
        (media(chunk=-1), "media.chunk"),
        (media(timestamp=1.5), "media.timestamp"),
        (media(timestamp="9999999999"), "media.timestamp"),
        (LAST.replace(STREAM.encode(), b"MZ"), "streamSid"),
        (LAST.replace(STREAM.encode(), CALL.encode()), "streamSid"),
        (b'{"event":"media","media":{"payload":"AAAA"}}', "streamSid"),
        (message("dtmf"), "dtmf"),
        (message("dtmf", dtmf={"digit": "12"}), "dtmf.digit"),
        (message("dtmf", dtmf={"digit": "e"}), "dtmf.digit"),
        (message("dtmf", dtmf={"digit": 1}), "dtmf.digit"),
        (message("mark", mark={}), "mark.name"),
        (message("mark", mark={"name": "a" * 257}), "mark.name"),
        (message("stop", stop=[]), "stop"),
        (message("stop", stop={"callSid": "nobody"}), "stop.callSid"),
        (message("stop", stop={"accountSid": 5}), "stop.accountSid"),
    ],
)
def test_a_wrong_message_names_the_field(frame, field):
    with pytest.raises(InvalidInput) as refused:
        parse_message(frame)
    assert refused.value.field == field
    assert media_slice(frame) is None


@pytest.mark.parametrize(
    "payload",
    ["", "AAA", "AA=A", "A===", "====", "AAA-", "AA A", "AAAA\\n", "é" * 4, '\\",\\"', "AAAAA", "\\u0041AAA"],
)
def test_only_base64_is_audio(payload):
    frame = LAST.replace(SOUND, payload.encode())
    assert media_slice(frame) is None
    if payload != "\\u0041AAA":  # to a parser that is AAAA
        with pytest.raises(InvalidInput, match=r"media\.payload"):
            parse_message(frame)


def test_audio_is_found_without_the_parser():
    assert media_slice(LAST) == media_slice(FIRST) == SOUND
    assert media_slice(LAST, STREAM) == media_slice(FIRST, STREAM) == SOUND
    for length in range(1, 8):
        sound = base64.b64encode(bytes(length))
        assert media_slice(LAST.replace(SOUND, sound)) == sound


@pytest.mark.parametrize(
    "frame",
    [
        json.dumps(json.loads(LAST)).encode(),  # with spaces
        LAST.replace(b'"track":"inbound",', b""),
        LAST.replace(b'"sequenceNumber":"4"', b'"sequenceNumber":4'),
        LAST.replace(b'"},"streamSid', b'","extra":""},"streamSid'),
        b" " + LAST,
        LAST[:-1] + b',"extra":1}',
        FIRST[:-1] + b',"streamSid":"' + STREAM.encode() + b'"}',  # twice
    ],
)
def test_other_spellings_are_left_to_the_parser(frame):
    assert media_slice(frame) is None
    assert parse_message(frame).base64 == SOUND


def test_what_is_not_the_callers_or_not_this_streams_is_not_sliced():
    assert media_slice(LAST.replace(b'"inbound"', b'"outbound"')) is None
    assert media_slice(LAST, OTHER) is None
    assert media_slice(FIRST, OTHER) is None
    twice = FIRST[:-1] + b',"streamSid":"' + OTHER.encode() + b'"}'  # a parser takes the last
    assert media_slice(twice, STREAM) is None
    assert parse_message(twice).stream_sid == OTHER
    assert media_slice(LAST.replace(b',"streamSid":"' + STREAM.encode() + b'"', b"")) is None


def test_a_message_has_a_bound_in_both_ways_of_reading():
    room = FRAME_LIMIT - (len(LAST) - len(SOUND))
    most = LAST.replace(SOUND, b"A" * (room // 4 * 4))
    more = LAST.replace(SOUND, b"A" * (room // 4 * 4 + 4))
    assert media_slice(most) == parse_message(most).base64
    assert media_slice(more) is None
    with pytest.raises(InvalidInput, match="message: expected at most"):
        parse_message(more)


def test_keys_audio_and_parameters_are_hidden_from_logs():
    assert "7" not in repr(Dtmf("7", STREAM.replace("7", "8")))
    assert "AAECAw" not in repr(parse_message(LAST))
    assert "order_desk" not in repr(parse_message(start()))


def test_what_we_send():
    out = Outbound(STREAM)
    assert json.loads(out.media(SOUND)) == {
        "event": "media",
        "streamSid": STREAM,
        "media": {"payload": SOUND.decode()},
    }
    for name in ("m1", 'say "hé"\n', "x" * 200):
        assert json.loads(out.mark(name)) == {"event": "mark", "streamSid": STREAM, "mark": {"name": name}}
    assert json.loads(out.clear()) == {"event": "clear", "streamSid": STREAM}
    for wrong in ("", 'MZ"', STREAM + "\n"):
        with pytest.raises(InvalidInput):
            Outbound(wrong)


@given(
    st.binary(min_size=1, max_size=400), st.integers(1, 10**9 - 1), st.integers(0, 10**9 - 1), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_what_twilio_writes_takes_the_fast_way(sound, chunk, timestamp, last):
    payload = base64.b64encode(sound).decode()
    inner = {"track": "inbound", "chunk": str(chunk), "timestamp": str(timestamp), "payload": payload}
    fields = {"event": "media", "sequenceNumber": str(chunk)}
    fields |= {"media": inner, "streamSid": STREAM} if last else {"streamSid": STREAM, "media": inner}
    written = json.dumps(fields, separators=(",", ":")).encode()
    assert base64.b64decode(media_slice(written, STREAM)) == sound
    assert parse_message(written) == Media(payload.encode(), "inbound", chunk, timestamp, STREAM)


parameters = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=200),
    max_size=8,
)


@given(parameters, st.text("0123456789*#ABCD", min_size=1, max_size=1), st.sampled_from([True, False]))
@settings(max_examples=60, deadline=None)
def test_values_come_back_as_they_were(given_parameters, key, ascii_only):
    frame = json.dumps(json.loads(start(customParameters=given_parameters)), ensure_ascii=ascii_only).encode()
    assert parse_message(frame).parameters == given_parameters
    assert parse_message(message("dtmf", dtmf={"digit": key})).key == key
    name = f"mark {key}"
    echoed = Outbound(STREAM).mark(name)  # Twilio's echo has the same shape
    assert parse_message(echoed) == Mark(name, STREAM)


@st.composite
def mutated(draw):
    """A message with pieces cut out, doubled or replaced, so that most are nearly right."""
    content = bytearray(draw(st.sampled_from([LAST, LAST, FIRST, FIRST, start(), message("stop")])))
    pieces = [
        b'"',
        b"\\",
        b'","',
        b'"payload":"',
        b'"},',
        b"}",
        b"{",
        b"=",
        b"\x00",
        b"\xc3",
        b"AAAA",
        b"\\u0041",
    ]
    pieces += [b',"streamSid":"' + OTHER.encode() + b'"', b'"track":"outbound"']
    for _ in range(draw(st.integers(1, 3))):
        at = draw(
            st.integers(0, len(content)) | st.integers(0, 130) | st.integers(len(content) - 60, len(content))
        )
        cut = draw(st.sampled_from([0, 0, 1, 2, 4, 8, 17, 200]))
        content[at : at + cut] = draw(
            st.sampled_from(pieces) | st.binary(max_size=3) | st.just(bytes(content[at : at + 50]))
        )
    return bytes(content)


@given(mutated())
@example(LAST.replace(b'"payload":"', b'"payload":"AAAA","payload":"'))
@example(LAST.replace(b'"media":{', b'"media":{"payload":"AAAA"},"media":{'))
@settings(max_examples=MUTATIONS, deadline=None)
def test_the_fast_way_never_disagrees_with_the_parser(content):
    fast = media_slice(content, STREAM)
    try:
        parsed = parse_message(content)
    except InvalidInput:  # any other error fails the test
        assert fast is None
        return
    if fast is not None:
        assert isinstance(parsed, Media)
        assert (parsed.base64, parsed.stream_sid, parsed.track) == (fast, STREAM, "inbound")
        assert base64.b64decode(fast, validate=True)
