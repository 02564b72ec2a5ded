"""How the media host and its speech children talk: framed messages over the child's standard input and output.

A frame is two big-endian 32-bit lengths, a JSON object and a payload of bytes (audio). Every request carries an `id`, every
answer the same `id`; the first frame of a child is its greeting, `{"ready": true}` or `{"error": TEXT}`. End of input ends the
child, so it cannot outlive its parent, however the parent dies.
"""

import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import BinaryIO

import msgspec

LENGTHS = struct.Struct(">II")
MAX_HEADER = 64 * 1024
MAX_PAYLOAD = 16 * 1024 * 1024

type Header = dict[str, object]
type Handler = Callable[[Header, bytes], tuple[Header, bytes]]


class BrokenPipeProtocol(Exception):
    """A frame with impossible lengths or without a JSON object: the other side is not what it should be."""


def encode_frame(header: Header, payload: bytes = b"") -> bytes:
    """One frame as bytes."""
    text = msgspec.json.encode(header)
    return LENGTHS.pack(len(text), len(payload)) + text + payload


def decode_lengths(prefix: bytes) -> tuple[int, int]:
    """The lengths of header and payload (bytes) from the first eight bytes of a frame.

    Raises:
        BrokenPipeProtocol: one is over its bound.
    """
    header, payload = LENGTHS.unpack(prefix)
    if header > MAX_HEADER or payload > MAX_PAYLOAD:
        raise BrokenPipeProtocol(f"frame of {header}+{payload} bytes")
    return header, payload


def decode_header(text: bytes) -> Header:
    """The JSON object of a frame.

    Raises:
        BrokenPipeProtocol: it is none.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise BrokenPipeProtocol("header is not a JSON object") from error


def read_frame(stream: BinaryIO) -> tuple[Header, bytes] | None:
    """The next frame from a blocking stream, or None at its end.

    Raises:
        BrokenPipeProtocol: see `decode_lengths` and `decode_header`.
    """
    prefix = stream.read(LENGTHS.size)
    if len(prefix) < LENGTHS.size:
        return None
    header, payload = decode_lengths(prefix)
    body = stream.read(header + payload)
    if len(body) < header + payload:
        return None
    return decode_header(body[:header]), body[header:]


def serve(build: Callable[[], Handler]) -> None:
    """The life of a child process: build the engine, greet, answer one request after the other, end with the input.

    An exception in a request becomes `{"error": TEXT}` for that request. Standard output is moved out of the way first, so
    that a C library that prints cannot break the frames; Ctrl-C is left to the parent, which drains before it goes.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        handle = build()
    except Exception as error:  # whatever stops the engine is told to the parent, which decides
        answers.write(encode_frame({"error": f"{type(error).__name__}: {error}"}))
        answers.flush()
        return
    answers.write(encode_frame({"ready": True}))
    answers.flush()
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        header, payload = frame
        try:
            answer, audio = handle(header, payload)
        except Exception as error:  # one bad request must not take the engine from all other calls
            answer, audio = {"error": f"{type(error).__name__}: {error}"}, b""
        answer["id"] = header.get("id")
        answers.write(encode_frame(answer, audio))
        answers.flush()
