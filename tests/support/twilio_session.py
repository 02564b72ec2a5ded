"""A session on the Twilio line, on the virtual clock, and what its tests have in common."""

import base64

import numpy as np
import pytest

from media_host.agents.base import Codec
from media_host.g711 import encode
from shared.calls.events import CallEvent, EventKind
from tests.support import twilio_end as they
from tests.support.session_world import STARTED, open_session
from tests.support.twilio_end import CALL

ULAW, PCM = Codec.ULAW_8K, Codec.PCM16_24K
PEOPLE = """
mulaw: true
transfers: {human: "+18005550199", fallback: "+18005550198"}
keys: {"0": human}
"""
RECEIVED = {
    "callId": "call-1",
    "tenant": "default",
    "line": "twilio",
    "from": "+14255550100",
    "to": "+18005550000",
    "agent": "puppet",
    "task": "desk",
    "callTransferId": CALL,
    "correlationId": CALL,
}


def twilio(text=PEOPLE, codec=ULAW, **options):
    received = CallEvent("received", EventKind.RECEIVED, STARTED, RECEIVED)
    return open_session(text, twilio=codec, record=[received], **options)


def speech(level=6000):
    """Something that sounds like speech to a detector: a voice's harmonics, louder and softer, as mu-law frames."""
    times = np.arange(8000 * 1.2) / 8000
    voice = sum(np.sin(2 * np.pi * 130 * k * times) / k for k in range(1, 20))
    loud = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * times) ** 2
    audio = encode((voice * loud * level).clip(-32768, 32767).astype("<i2").tobytes())
    return [base64.b64encode(audio[at : at + 160]).decode() for at in range(0, len(audio), 160)]


def both(test):
    """Run in each of the two ways: mu-law untouched, and converted."""
    return pytest.mark.parametrize("codec", [ULAW, PCM], ids=["mu-law", "converted"])(test)


def send(world, *messages):
    for message in messages:
        world.session.on_text(they.text(message))


async def over(world):
    """The record, when the session is; and its events in the order in which they were stored."""
    await world.task
    return await world.store.get("default", "call-1"), [event.kind for event in world.store.kept.values()]


def delay(world):
    return world.session._floor.playout._ledger.delay_ms


def watched(world):
    """Note which events are stored when the socket is closed."""
    seen, close = [], world.wire.close

    def closing(code=1000):
        if not seen:
            seen.extend(event.kind for event in world.store.kept.values())
        close(code)

    world.wire.close = closing
    return seen
