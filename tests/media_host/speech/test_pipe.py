import io

import pytest

from media_host.speech.pipe import (
    LENGTHS,
    MAX_HEADER,
    MAX_PAYLOAD,
    BrokenPipeProtocol,
    decode_header,
    decode_lengths,
    encode_frame,
    read_frame,
)


@pytest.mark.parametrize("payload", [b"", b"\0", b"\xff" * 100_000])
def test_a_frame_comes_back_as_it_was(payload):
    stream = io.BytesIO(encode_frame({"text": "grüße", "id": 7}, payload) + encode_frame({}))
    assert read_frame(stream) == ({"text": "grüße", "id": 7}, payload)
    assert read_frame(stream) == ({}, b"")
    assert read_frame(stream) is None


def test_every_cut_of_a_frame_is_an_end():
    frame = encode_frame({"id": 1}, b"abc")
    assert [read_frame(io.BytesIO(frame[:n])) for n in range(len(frame))] == [None] * len(frame)


@pytest.mark.parametrize("lengths", [(MAX_HEADER + 1, 0), (0, MAX_PAYLOAD + 1), (2**32 - 1, 2**32 - 1)])
def test_impossible_lengths_are_refused_before_anything_is_read(lengths):
    with pytest.raises(BrokenPipeProtocol):
        decode_lengths(LENGTHS.pack(*lengths))


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"null", b"\xff"])
def test_a_header_is_a_json_object(text):
    with pytest.raises(BrokenPipeProtocol):
        decode_header(text)
