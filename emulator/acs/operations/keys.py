"""Keys: the subscription to what somebody presses, and tones that are sent to somebody."""

import asyncio
from collections.abc import Sequence
from typing import Any, Self

from emulator.acs.calls import Call
from emulator.acs.errors import wrong_state
from emulator.acs.events import result
from emulator.acs.legs import Leg
from emulator.acs.operations.tones import WORDS, sound
from emulator.acs.services import Operation

type Json = dict[str, Any]

MOST_TONES = 18
"""At once [DOC]."""


class Subscription:
    """`ContinuousDtmfRecognition` of one participant: a callback for each key, counted from 1.

    Args:
        call: whose callbacks.
        target: whose keys.
        operation: the start's context and address.
    """

    def __init__(self, call: Call, target: Leg, operation: Operation) -> None:
        self._call = call
        self._target = target
        self._operation = operation
        self._sequence = 0
        target.key_listeners.append(self._key)
        target.when_gone.append(self._gone)

    def _key(self, key: str) -> None:
        self._sequence += 1
        tone = {"sequenceId": self._sequence, "tone": WORDS[key]}
        self._call.post("ContinuousDtmfRecognitionToneReceived", tone, self._operation)

    def _gone(self) -> None:
        """The participant has left: that stops it, as the call's end does [DOC]."""
        Subscriptions.of(self._call).drop(self._target)
        self.stopped(None)

    def detach(self) -> None:
        """Take no more keys."""
        self._target.key_listeners.remove(self._key)
        self._target.when_gone.remove(self._gone)

    def stopped(self, operation: Operation | None) -> None:
        """Tell that it has ended; without an operation that stops it, the one that started it speaks."""
        self._call.post("ContinuousDtmfRecognitionStopped", None, operation or self._operation)


class Subscriptions:
    """All `ContinuousDtmfRecognition`s of a call.

    Args:
        call: which.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._by_target: dict[str, Subscription] = {}
        call.when_gone.append(self._over)

    @classmethod
    def of(cls, call: Call) -> Self:
        """The subscriptions of `call`."""
        known = call.extras.get("keys")
        if not isinstance(known, cls):
            known = call.extras["keys"] = cls(call)
        return known

    def start(self, target: Leg, operation: Operation) -> None:
        """Subscribe to a participant's keys.

        Raises:
            RestError: 400/8585 it is subscribed to already (guessed).
        """
        if target.raw_id in self._by_target:
            raise wrong_state("Continuous DTMF recognition has started already.")
        self._by_target[target.raw_id] = Subscription(self._call, target, operation)

    def stop(self, target: Leg, operation: Operation) -> None:
        """End a subscription.

        Raises:
            RestError: 400/8585 there is none (guessed).
        """
        subscription = self._by_target.pop(target.raw_id, None)
        if subscription is None:
            raise wrong_state("Continuous DTMF recognition has not started.")
        subscription.detach()
        subscription.stopped(operation)

    def drop(self, target: Leg) -> None:
        """Forget the subscription of somebody who is gone."""
        self._by_target.pop(target.raw_id, None)

    def _over(self) -> None:
        subscriptions = list(self._by_target.values())
        self._by_target.clear()
        for subscription in subscriptions:
            subscription.detach()
            subscription.stopped(None)


async def send(call: Call, target: Leg, keys: Sequence[str], operation: Operation) -> None:
    """Send tones to a participant: a phone hears them, an app gets them as keys; one every 200 ms."""
    rate = call.conversation.rate if call.conversation else 0
    for key in keys:
        if target.is_gone:
            gone = result(404, 8522, "Participant not found.")  # guessed
            call.post("SendDtmfTonesFailed", {"resultInformation": gone}, operation)
            return
        for listener in list(call.key_listeners):
            listener(key)
        target.hear_key(key)
        if not await _heard(call, target, sound(key, rate)):
            canceled = result(400, 8508, "Action failed, the operation was canceled.")
            call.post("SendDtmfTonesFailed", {"resultInformation": canceled}, operation)
            return
    call.post("SendDtmfTonesCompleted", None, operation)


async def _heard(call: Call, target: Leg, pcm: bytes) -> bool:
    """Play a sound to somebody; whether all of it was heard."""
    future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def ended(completed: bool) -> None:
        if not future.done():
            future.set_result(completed)

    call.play(pcm, (target.raw_id,), on_end=ended)
    return await future
