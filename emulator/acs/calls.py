"""One call as the service keeps it: state, participants, callbacks, media (acs.md 8)."""

import asyncio
import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import aiohttp

from emulator.acs.callbacks import Outbox
from emulator.acs.errors import RestError, wrong_state
from emulator.acs.events import callback, result
from emulator.acs.handset import Handset
from emulator.acs.identifiers import Identifier, address
from emulator.acs.media import MediaOptions
from emulator.acs.signing import Signer
from emulator.acs.streaming import Outcome, Streaming
from emulator.faults import Faults
from emulator.pacing import Ticker

log = logging.getLogger(__name__)

type Json = dict[str, Any]

GOODBYE = result(200, 7000, "The conversation has ended. DiagCode: 0#7000.@")
PLAIN_SAMPLE_RATE = 16000
TARGET_RINGS_S = 0.1
MEDIA_FIRST_S = 1.0
CALLBACK_FIRST_S = 0.25


class CallState(StrEnum):
    """`callConnectionState` (acs.md 1.4)."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    TRANSFERRING = "transferring"
    TRANSFER_ACCEPTED = "transferAccepted"
    DISCONNECTED = "disconnected"


@dataclass(frozen=True, slots=True)
class Services:
    """What all calls of an emulator share."""

    session: aiohttp.ClientSession
    signer: Signer
    ticker: Ticker
    rng: random.Random
    resource_id: str


@dataclass(frozen=True, slots=True)
class Parties:
    """Who talks to whom, and by which ids."""

    caller: Identifier
    callee: Identifier
    server_call_id: str
    correlation_id: str


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation on a call carries along: its context comes back in callbacks, which may go to an address of their own."""

    context: str | None = None
    callback_uri: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerRequest:
    """A checked AnswerCallRequest."""

    callback_uri: str
    api_version: str
    operation: Operation
    media: MediaOptions | None


class Call:
    """An answered call. Made in the moment of the answer; `connect` brings it to life.

    Args:
        services: shared parts.
        parties: who and by which ids.
        handset: the phone.
        request: the answer.
        faults: of this call.
        forget: called when the call is over and the service knows it no more.
    """

    def __init__(
        self,
        services: Services,
        parties: Parties,
        handset: Handset,
        request: AnswerRequest,
        faults: Faults,
        forget: Callable[["Call"], None],
    ) -> None:
        self.id = str(uuid.uuid4())
        self.parties = parties
        self.state = CallState.CONNECTING
        self.handset = handset
        self.faults = faults
        self.outbox = Outbox(services.session, services.signer, faults)
        self.participants: list[Identifier] = [parties.caller, self._app_identity(services)]
        self.streaming: Streaming | None = None
        self.ended = asyncio.Event()
        self._services = services
        self._request = request
        self._forget = forget
        self._sequence = 0
        self._tasks: set[asyncio.Task[Any]] = set()
        if request.media is not None:
            self.streaming = Streaming(
                request.media,
                {
                    "x-ms-call-connection-id": self.id,
                    "x-ms-call-correlation-id": parties.correlation_id,
                },
                services.signer,
                faults.clock_skew_s,
                str(parties.caller["rawId"]),
                handset,
                self._report,
                faults.media_refused,
            )

    @staticmethod
    def _app_identity(services: Services) -> Identifier:
        """The app's own participant: recordings show an ACS user beside the caller (acs.md 4.2)."""
        user = f"8:acs:{services.resource_id}_{uuid.uuid4()}"
        return {"kind": "communicationUser", "rawId": user, "communicationUser": {"id": user}}

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self.state is CallState.DISCONNECTED

    def properties(self) -> Json:
        """CallConnectionProperties."""
        body: Json = {
            "callConnectionId": self.id,
            "serverCallId": self.parties.server_call_id,
            "correlationId": self.parties.correlation_id,
            "callConnectionState": self.state.value,
            "callbackUri": self._request.callback_uri,
            "targets": [self.parties.callee],
            "source": self.parties.caller,
        }
        if self.streaming is not None:
            body["mediaStreamingSubscription"] = {
                "id": self.streaming.subscription_id,
                "state": "active" if self.streaming.active else "inactive",
                "subscribedContentTypes": ["audio"],
            }
        return body

    def roster(self) -> list[Json]:
        """CallParticipant objects."""
        return [{"identifier": who, "isMuted": False, "isOnHold": False} for who in self.participants]

    # --- callbacks ---

    def _event(self, kind: str, data: Json) -> Json:
        common = {
            "version": self._request.api_version,
            "serverCallId": self.parties.server_call_id,
            "correlationId": self.parties.correlation_id,
        }
        return callback(self.id, kind, common, data)

    def post(
        self, kind: str, data: Json | None = None, operation: Operation | None = None
    ) -> asyncio.Task[None] | None:
        """Send a callback; `operation` is the one it belongs to, the answer when it is None."""
        operation = operation or self._request.operation
        body: Json = {"resultInformation": result(), **(data or {})}
        if operation.context is not None:
            body["operationContext"] = operation.context
        uri = operation.callback_uri or self._request.callback_uri
        return self.outbox.post(self._event(kind, body), uri)

    def _post_participants(self) -> asyncio.Task[None] | None:
        self._sequence += 1
        data = {
            "sequenceNumber": self._sequence,
            "participants": self.roster(),
            "resultInformation": result(message=""),
        }
        return self.outbox.post(self._event("ParticipantsUpdated", data), self._request.callback_uri)

    def _report(self, kind: str, data: Json) -> None:
        if not self.is_over:
            self.post(kind, data)

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- life ---

    async def connect(self) -> None:
        """Bring the call up: media and the first callbacks start at once. Returns when the REST answer may go out.

        With shuffled callbacks that is in half of all calls only after the first callback was delivered.
        """
        media = self._request.media
        self.handset.answered(media.sample_rate if media else PLAIN_SAMPLE_RATE)
        self.state = CallState.CONNECTED
        self._services.ticker.add(self.tick)
        order = ["CallConnected", "ParticipantsUpdated"]
        dial = None
        if self.streaming is not None and media is not None and media.start:
            order.append("media")
            dial = self._spawn(self.streaming.start())
        shuffled = self.faults.callback_order == "shuffled"
        if shuffled:
            self._services.rng.shuffle(order)
        first = asyncio.Event()
        self._spawn(self._announce(order, dial, first))
        if shuffled and self._services.rng.random() < 0.5:
            try:
                async with asyncio.timeout(CALLBACK_FIRST_S):
                    await first.wait()
            except TimeoutError:
                pass

    async def _announce(
        self, order: list[str], dial: asyncio.Task[Outcome] | None, first: asyncio.Event
    ) -> None:
        """The first callbacks, one after the other; a slow media connection does not hold up the others for long."""
        media_posted = dial is None
        for step in order:
            if step == "media" and dial is not None:
                await asyncio.wait({dial}, timeout=MEDIA_FIRST_S)
                if not dial.done():
                    continue
                delivery = self._post_outcome(dial.result(), None)
                media_posted = True
            elif step == "CallConnected":
                delivery = self.post("CallConnected", {"resultInformation": result(message="")})
            else:
                delivery = self._post_participants()
            if delivery is not None and isinstance(self.faults.callback_order, str):
                await asyncio.wait({delivery}, timeout=MEDIA_FIRST_S)
            first.set()
        if not media_posted and dial is not None:
            self._post_outcome(await dial, None)

    def _post_outcome(self, outcome: Outcome, operation: Operation | None) -> asyncio.Task[None] | None:
        if self.is_over:
            return None
        return self.post(outcome.kind, outcome.data, operation)

    def tick(self, now: float) -> None:
        """20 ms of the call."""
        if self.streaming is not None:
            self.streaming.tick(now)
        else:
            self.handset.next_frame(now)
            self.handset.hear(None, 0.0, now)

    def press(self, key: str) -> None:
        """The caller presses a key."""
        if self.streaming is not None:
            self.streaming.press(key)

    def hang_up(self, by: str, reason: str) -> None:
        """End the call; `by` is `caller`, `agent` or `service`. Idempotent; callbacks go out by themselves."""
        if self.is_over:
            return
        self.state = CallState.DISCONNECTED
        self._services.ticker.remove(self.tick)
        self._forget(self)
        self.handset.over(reason, by)
        self._spawn(self._finish())

    async def _finish(self) -> None:
        try:
            stopped = await self.streaming.end() if self.streaming is not None else None
            if stopped is not None:
                self.post(stopped.kind, stopped.data)
            self.participants = []
            self._post_participants()
            body: Json = {"resultInformation": GOODBYE}
            if self._request.operation.context is not None:
                body["operationContext"] = self._request.operation.context
            await self.outbox.post_last(self._event("CallDisconnected", body), self._request.callback_uri)
        finally:
            self.ended.set()
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()

    async def close(self) -> None:
        """The emulator stops: no more callbacks."""
        self.outbox.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- operations ---

    def require_connected(self) -> None:
        """See that an operation can act on the call.

        Raises:
            RestError: 400/8585 while it is being transferred.
        """
        if self.state is not CallState.CONNECTED:
            raise wrong_state()

    def start_media(self, operation: Operation) -> None:
        """`startMediaStreaming`: dial the address of the answer (again).

        Raises:
            RestError: 405/8522 the call was answered without media options; 400/8585 it streams already.
        """
        self.require_connected()
        streaming = self.streaming
        if streaming is None:
            raise RestError(405, "8522", "Media streaming was not configured when the call was answered.")
        if streaming.active:
            raise wrong_state("Media streaming has started already.")
        self._spawn(self._start_media(streaming, operation))

    async def _start_media(self, streaming: Streaming, operation: Operation) -> None:
        self._post_outcome(await streaming.start(), operation)

    def stop_media(self, operation: Operation) -> None:
        """`stopMediaStreaming`.

        Raises:
            RestError: 400/8585 when nothing streams.
        """
        self.require_connected()
        streaming = self.streaming
        if streaming is None or not streaming.active:
            raise wrong_state("Media streaming has not started.")
        self._spawn(self._stop_media(streaming, operation))

    async def _stop_media(self, streaming: Streaming, operation: Operation) -> None:
        outcome = await streaming.stop()
        if outcome is not None:
            self._post_outcome(outcome, operation)

    def _fails(self, target: Identifier) -> bool:
        return bool(self.faults.failing_targets & {address(target), str(target["rawId"])})

    def transfer(self, target: Identifier, transferee: Identifier | None, operation: Operation) -> None:
        """`transferToParticipant`: accepted and then disconnected, or failed and still connected (acs.md 6)."""
        self.require_connected()
        self.state = CallState.TRANSFERRING
        self._spawn(self._transfer(target, transferee or self.parties.caller, operation))

    async def _transfer(self, target: Identifier, transferee: Identifier, operation: Operation) -> None:
        await asyncio.sleep(TARGET_RINGS_S)
        if self.is_over:
            return
        if self._fails(target):
            self.state = CallState.CONNECTED
            declined = result(603, 8538, "Action failed, the transfer target declined the call.")
            self.post("CallTransferFailed", {"resultInformation": declined}, operation)
            return
        self.state = CallState.TRANSFER_ACCEPTED
        accepted = self.post(
            "CallTransferAccepted", {"transferTarget": target, "transferee": transferee}, operation
        )
        if accepted is not None:
            await asyncio.wait({accepted}, timeout=MEDIA_FIRST_S)
        self.handset.transferred(address(target))
        self.hang_up("agent", "transferred")

    def add_participant(self, target: Identifier, operation: Operation) -> str:
        """`participants:add`: returns the invitation's id; the target answers at once, or fails when told to."""
        self.require_connected()
        self._spawn(self._add_participant(target, operation))
        return str(uuid.uuid4())

    async def _add_participant(self, target: Identifier, operation: Operation) -> None:
        await asyncio.sleep(TARGET_RINGS_S)
        if self.is_over:
            return
        if self._fails(target):
            unanswered = result(408, 8587, "Incoming call not answered within time.")
            self.post(
                "AddParticipantFailed", {"participant": target, "resultInformation": unanswered}, operation
            )
            return
        self.participants = [*self.participants, target]
        self.post("AddParticipantSucceeded", {"participant": target}, operation)
        self._post_participants()
