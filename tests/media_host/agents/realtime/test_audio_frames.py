import base64
import json
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_host.agents.base import Codec
from media_host.agents.realtime import audio_frames as wire
from media_host.agents.realtime.dialect import FLAT, GA
from tests.support.realtime_server import delta


def frame(event, compact=True):
    return json.dumps(event, separators=(",", ":") if compact else None).encode()


def cut(data):
    start = wire.audio_start(data, GA.audio_delta_mark)
    return None if start < 0 else data[start:-2]


@pytest.mark.parametrize("size", [0, 2, 960, 4800, 24_000])
def test_audio_is_cut_out_of_the_usual_delta(size):
    audio = os.urandom(size)
    data = frame(delta("resp_1", "item_1", audio))
    assert cut(data) == base64.b64encode(audio)
    ids = wire.delta_ids(data, wire.audio_start(data, GA.audio_delta_mark))
    assert (ids.response_id, ids.item_id) == ("resp_1", "item_1")


def reordered(event):
    return {key: event[key] for key in ["event_id", "item_id", "type", "response_id", "delta"]}


USUAL = delta("resp_1", "item_1", b"ab" * 480)


@pytest.mark.parametrize(
    "data",
    [
        frame(USUAL, compact=False),
        frame(USUAL | {"later": 1}),
        frame(USUAL | {"delta": 'AA"'}),
        frame(USUAL | {"delta": "AA\\"}),
        frame(USUAL | {"type": "response.output_text.delta"}),
        frame({"type": "other", "inner": USUAL}),
        frame({"type": "other", "note": '"delta":"', "text": "x"}),
        frame({"type": "session.created"}),
        frame(USUAL)[:-1],
        b"",
        b"[]",
        b'"delta":"',
    ],
)
def test_any_other_frame_is_left_to_the_parser(data):
    assert cut(data) is None


def test_the_order_of_keys_does_not_matter_as_long_as_the_audio_is_last():
    assert cut(frame(reordered(USUAL))) == USUAL["delta"].encode()


JSON_TEXT = st.text('"\\{}:,aB=é', max_size=12) | st.sampled_from(
    ['"delta":"', "response.output_audio.delta", '","delta":"', "\\"]
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "delta", "response_id", "item_id", "x", "event_id"]),
        JSON_TEXT | st.integers(),
        max_size=6,
    ),
    st.booleans(),
)
def test_what_is_cut_out_is_what_a_parser_finds(event, usual):
    if usual:
        event = USUAL | event
    data = json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()
    found = cut(data)
    if found is not None:
        assert json.loads(data)["delta"].encode() == found
        assert json.loads(data)["type"] == "response.output_audio.delta"


@given(st.lists(st.binary(max_size=50), max_size=20))
def test_pieces_of_any_length_become_whole_samples(pieces):
    samples = wire.WholeSamples(Codec.PCM16_24K)
    out = [samples.take(base64.b64encode(piece)) for piece in pieces]
    raw = [base64.b64decode(text) for text in out]
    assert all(len(piece) % 2 == 0 for piece in raw)
    assert samples.are_whole(b"AAAAAAAA") == (sum(map(len, pieces)) % 2 == 0)
    whole = b"".join(pieces)
    assert b"".join(raw) == whole[: len(whole) & ~1]


def test_whole_samples_are_not_touched():
    for codec, size, whole in [
        (Codec.PCM16_24K, 960, True),
        (Codec.PCM16_24K, 963, False),
        (Codec.ULAW_8K, 960, True),
        (Codec.ULAW_8K, 963, True),
        (Codec.ULAW_8K, 160, False),
    ]:
        assert wire.WholeSamples(codec).are_whole(base64.b64encode(os.urandom(size))) is whole


def test_each_dialect_has_its_own_mark():
    for dialect, other, flat in ((GA, FLAT, False), (FLAT, GA, True)):
        data = frame(delta("resp_1", "item_1", b"ab", flat=flat))
        assert wire.audio_start(data, dialect.audio_delta_mark) > 0
        assert wire.audio_start(data, other.audio_delta_mark) < 0


def test_a_byte_is_a_sample_of_mu_law():
    assert wire.WholeSamples(Codec.ULAW_8K).take(base64.b64encode(b"abc")) == base64.b64encode(b"abc")


def test_half_a_sample_does_not_leak_into_the_next_turn():
    samples = wire.WholeSamples(Codec.PCM16_24K)
    samples.take(base64.b64encode(b"abc"))
    samples.drop()
    assert base64.b64decode(samples.take(base64.b64encode(b"de"))) == b"de"


def test_ids_must_be_there():
    data = frame({"type": "response.output_audio.delta", "delta": "AAAA"})
    with pytest.raises(msgspec.DecodeError):
        wire.delta_ids(data, wire.audio_start(data, GA.audio_delta_mark))
