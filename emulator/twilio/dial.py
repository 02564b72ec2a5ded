"""`<Dial>` and `<Enqueue>`: the caller goes on with somebody else."""

import asyncio
from typing import TYPE_CHECKING

from emulator.twilio.config import NUMBER
from emulator.twilio.notices import Notice
from emulator.twilio.sids import new_sid
from emulator.twilio.sources import Bridge
from emulator.twilio.twiml import Element

if TYPE_CHECKING:
    from emulator.twilio.call import TwilioCall

TIMEOUT_S = 30.0
"""How long `<Dial>` lets it ring by default (s)."""


async def dial(call: "TwilioCall", verb: Element) -> dict[str, str]:
    """Ring the number and join the two; returns the parameters of the request that follows.

    A telephone of the emulator rings as its script says. Any other number lies outside: it picks up at once, and the emulator's
    part of the call ends.
    """
    numbers = [noun.text for noun in verb.named("Number")] or [verb.text]
    number = "".join(numbers[0].split())
    if not NUMBER.fullmatch(number):
        call.notice(Notice(13227, "Dial without a number in E.164"))
        return _dialled("failed")
    timeout = verb.attributes.get("timeout", "")
    return await _ring(call, number, float(timeout) if timeout.isdecimal() else TIMEOUT_S)


async def enqueue(call: "TwilioCall", verb: Element) -> dict[str, str]:
    """Wait until somebody takes the caller out of the queue, and join the two; returns parameters of the request that follows."""
    queue = verb.text
    call.queued(queue)
    worker = call.parts.config.queues.get(queue)
    if worker is None:
        await call.while_up(asyncio.Event().wait())
    else:
        await _ring(call, worker, None)
    return {"QueueResult": "bridged", "QueueSid": "QU" + "0" * 32, "QueueTime": "0"}


async def _ring(call: "TwilioCall", number: str, timeout_s: float | None) -> dict[str, str]:
    phone = call.parts.ring(number, call)
    if phone is None:
        call.left_for(number)
        return _dialled("completed")
    try:
        status = await call.while_up(phone.rung(timeout_s))
        if status != "completed":
            return _dialled(status)
        call.transferred(number)
        await call.with_source(Bridge(phone), phone.gone())
    finally:
        phone.other_left()
    return _dialled("completed")


def _dialled(status: str) -> dict[str, str]:
    return {"DialCallStatus": status, "DialCallSid": new_sid("CA"), "DialCallDuration": "0"}
