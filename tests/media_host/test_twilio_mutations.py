"""Sessions of a Twilio that has gone mad: 100 in the suite, any number by PATCHCORD_MUTATIONS (2,000 at night).

Whatever comes, nothing raises, the record is final, and no task is left (`open_session` looks).
"""

import os
import random

import pytest

from tests.support import twilio_end as they
from tests.support.session_world import virtual
from tests.support.twilio_session import twilio

SESSIONS = int(os.environ.get("PATCHCORD_MUTATIONS", "100"))

MESSAGES = [
    they.connected(),
    they.start(),
    they.media(),
    they.media(n=3),
    they.media("AAAA", n=4),
    they.media(sid=they.OTHER_STREAM),
    they.dtmf("5"),
    they.mark("g0.1"),
    they.mark("end"),
    they.stop(),
]


def mutated(frame: bytes, dice: random.Random) -> bytes:
    """Bytes flipped, cut out, doubled or put in; often nothing at all."""
    data = bytearray(frame)
    for _ in range(dice.choice([0, 0, 0, 1, 1, 3])):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randrange(1, 20)]
            case 2:
                data[at:at] = data[at : at + dice.randrange(1, 40)]
            case _:
                data[at:at] = dice.choice([b'"', b"}", b"\\u0000", b"[" * 50, b'{"a":', b"\xff", b"1e999"])
        if not data:
            break
    return bytes(data)


@pytest.mark.parametrize("first", [0, 1, 2, 3])
@virtual
async def test_nothing_that_twilio_can_say_breaks_a_session(first, caplog):
    for seed in range(first, SESSIONS, 4):
        dice = random.Random(seed)  # the same ones every time
        async with twilio() as world:
            world.agent.speak(dice.choice([0.25, 500, 4000]))
            for _ in range(dice.randrange(5, 80)):
                world.session.on_text(mutated(they.text(dice.choice(MESSAGES)), dice))
                if dice.random() < 0.1:
                    await world.run(0.05)
            if not world.task.done():
                world.session.on_close(dice.choice([1000, 1006]), "")
            await world.task
            record = await world.store.get("default", "call-1")
            assert record.released and record.outcome and record.ended, f"seed {seed}"
            assert "crashed" not in str(record.faults), f"seed {seed}"
    assert "has failed" not in caplog.text
