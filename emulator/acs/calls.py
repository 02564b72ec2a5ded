"""An app's connection to a call: its state, callbacks and media (acs.md 8). Operations on it are in `operations`."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from emulator.acs.app_leg import AppLeg
from emulator.acs.callbacks import Outbox
from emulator.acs.conversation import Conversation
from emulator.acs.errors import not_found, wrong_state
from emulator.acs.events import callback, result
from emulator.acs.identifiers import Identifier
from emulator.acs.legs import Leg
from emulator.acs.offers import Parties
from emulator.acs.services import CallState, ConnectionRequest, Operation, Services
from emulator.acs.streaming import Outcome, Streaming
from emulator.faults import Faults

log = logging.getLogger(__name__)

type Json = dict[str, Any]

GOODBYE = result(200, 7000, "The conversation has ended. DiagCode: 0#7000.@")
CALLBACK_WITHIN_S = 1.0
"""What has to come after a callback waits for its delivery at most so long (s)."""
CALLBACK_FIRST_S = 0.25


class Call(AppLeg):
    """A connection. Made by an answer, a createCall or a connect; `connect` brings it to life once it has a seat.

    Args:
        services: shared parts.
        parties: who and by which ids.
        identity: the app's own participant when it is an ACS user; any other gives it a user of its own.
        request: what made it.
        faults: of this call.
        forget: called when the call is over and the service knows it no more.

    Attributes:
        id: `callConnectionId`.
        state: `callConnectionState`.
        outbox: its callbacks.
        streaming: its media, or None when none was asked for.
        ended: set when the last callback has gone out.
        extras: operations keep their state of this call here.
    """

    def __init__(
        self,
        services: Services,
        parties: Parties,
        identity: Identifier | None,
        request: ConnectionRequest,
        faults: Faults,
        forget: Callable[["Call"], None],
    ) -> None:
        super().__init__(request.answered_by or self._identity(identity, services))
        self.id = str(uuid.uuid4())
        self.parties = parties
        self.state = CallState.CONNECTING
        self.faults = faults
        self.request = request
        self.outbox = Outbox(services.session, services.signer, faults)
        self.ended = asyncio.Event()
        self.extras: dict[str, Any] = {}
        self.services = services
        self._forget = forget
        self._sequence = 0
        self._announced = False
        self._tasks: set[asyncio.Task[Any]] = set()
        if request.media is not None:
            self.streaming = Streaming(
                request.media,
                {
                    "x-ms-call-connection-id": self.id,
                    "x-ms-call-correlation-id": parties.correlation_id,
                },
                services.signer,
                faults,
                self,
                self.report,
                services.dialler,
            )
            self.wants_each = request.media.channels == "unmixed"

    @staticmethod
    def _identity(identity: Identifier | None, services: Services) -> Identifier:
        """The app's own participant: recordings show an ACS user beside the caller (acs.md 4.2)."""
        if identity is not None and identity["kind"] == "communicationUser":
            return identity
        user = f"8:acs:{services.resource_id}_{uuid.uuid4()}"
        return {"kind": "communicationUser", "rawId": user, "communicationUser": {"id": user}}

    @property
    def is_over(self) -> bool:
        """Whether the call has ended."""
        return self.state is CallState.DISCONNECTED

    @property
    def connection(self) -> "Call | None":
        """See `Leg`."""
        return self

    def properties(self) -> Json:
        """CallConnectionProperties."""
        request = self.request
        body: Json = {
            "callConnectionId": self.id,
            "serverCallId": self.parties.server_call_id,
            "correlationId": self.parties.correlation_id,
            "callConnectionState": self.state.value,
            "callbackUri": request.callback_uri,
            "targets": list(request.targets) or [self.parties.callee],
            "source": self.parties.caller,
        }
        if request.source_number is not None:
            body["sourceCallerIdNumber"] = {"value": request.source_number}
        if request.source_name:
            body["sourceDisplayName"] = request.source_name
        if request.answered_by is not None:
            body["answeredBy"] = request.answered_by["communicationUser"]
        if self.streaming is not None:
            body["mediaStreamingSubscription"] = {
                "id": self.streaming.subscription_id,
                "state": "active" if self.streaming.active else "inactive",
                "subscribedContentTypes": ["audio"],
            }
        if "transcription" in self.extras:
            body["transcriptionSubscription"] = self.extras["transcription"].subscription()
        return body

    def roster(self) -> list[Json]:
        """CallParticipant objects."""
        return [] if self.conversation is None or self.is_over else self.conversation.roster(self)

    # --- callbacks ---

    def _event(self, kind: str, data: Json) -> Json:
        common = {
            "version": self.request.api_version,
            "serverCallId": self.parties.server_call_id,
            "correlationId": self.parties.correlation_id,
        }
        return callback(self.id, kind, common, data)

    def post(
        self, kind: str, data: Json | None = None, operation: Operation | None = None
    ) -> asyncio.Task[None] | None:
        """Send a callback; `operation` is the one it belongs to, the answer (or create) when it is None."""
        operation = operation or self.request.operation
        body: Json = {"resultInformation": result(), **(data or {})}
        if operation.context is not None:
            body["operationContext"] = operation.context
        uri = operation.callback_uri or self.request.callback_uri
        return self.outbox.post(self._event(kind, body), uri)

    def roster_changed(self) -> None:
        """Tell the app who is there, once it has been told for the first time."""
        if self._announced and not self.is_over:
            self._post_participants()

    def _post_participants(self) -> asyncio.Task[None] | None:
        self._announced = True
        self._sequence += 1
        data = {
            "sequenceNumber": self._sequence,
            "participants": self.roster(),
            "resultInformation": result(message=""),
        }
        return self.outbox.post(self._event("ParticipantsUpdated", data), self.request.callback_uri)

    def report(self, kind: str, data: Json, operation: Operation | None = None) -> None:
        """As `post`, but nothing once the call is over."""
        if not self.is_over:
            self.post(kind, data, operation)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something for as long as the call lives; it is cancelled when the last callback has gone out."""
        task: asyncio.Task[Any] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # --- life ---

    async def connect(self) -> None:
        """Bring the call up: media and the first callbacks start at once. Returns when the REST answer may go out.

        With shuffled callbacks that is in half of all calls only after the first callback was delivered.
        """
        first = self.come_up()
        if self.faults.callback_order == "shuffled" and self.services.rng.random() < 0.5:
            try:
                async with asyncio.timeout(CALLBACK_FIRST_S):
                    await first.wait()
            except TimeoutError:
                pass

    def come_up(self) -> asyncio.Event:
        """Bring the call up; the event is set when the first callback was delivered."""
        media = self.request.media
        self.state = CallState.CONNECTED
        order = ["CallConnected", "ParticipantsUpdated"]
        dial = None
        if self.streaming is not None and media is not None and media.start:
            order.append("media")
            dial = self.spawn(self.streaming.start())
        if self.faults.callback_order == "shuffled":
            self.services.rng.shuffle(order)
        for listener in self.services.on_connected:
            listener(self)
        first = asyncio.Event()
        self.spawn(self._announce(order, dial, first))
        return first

    async def _announce(
        self, order: list[str], dial: asyncio.Task[Outcome] | None, first: asyncio.Event
    ) -> None:
        """The first callbacks, one after the other; a slow media connection does not hold up the others for long."""
        media_posted = dial is None
        for step in order:
            if step == "media" and dial is not None:
                await asyncio.wait({dial}, timeout=CALLBACK_WITHIN_S)
                if not dial.done():
                    continue
                delivery = self._post_outcome(dial.result(), None)
                media_posted = True
            elif step == "CallConnected":
                delivery = self.post("CallConnected", {"resultInformation": result(message="")})
            else:
                delivery = self._post_participants()
            if delivery is not None and isinstance(self.faults.callback_order, str):
                await asyncio.wait({delivery}, timeout=CALLBACK_WITHIN_S)
            first.set()
        if not media_posted and dial is not None:
            self._post_outcome(await dial, None)

    def _post_outcome(self, outcome: Outcome, operation: Operation | None) -> asyncio.Task[None] | None:
        if self.is_over:
            return None
        return self.post(outcome.kind, outcome.data, operation)

    def hang_up(self) -> None:
        """The app leaves; with fewer than two left the call ends for everybody."""
        self.stop("agent_hung_up", "agent")

    def stop(self, reason: str, by: str) -> None:
        """The app's part in the call ends."""
        if self.conversation is not None and self in self.conversation.legs:
            self.conversation.leave(self, reason, by)
        else:
            self.gone(reason, by)

    def terminate(self) -> None:
        """The app ends the call for everybody."""
        if self.conversation is not None and self in self.conversation.legs:
            self.conversation.end("agent_hung_up", "agent")
        else:
            self.gone("agent_hung_up", "agent")

    def gone(self, reason: str, by: str) -> None:
        """See `Leg`; the last callbacks go out by themselves."""
        if not self.is_gone:
            self._end()
            super().gone(reason, by)
            self.spawn(self._finish())

    def _end(self) -> None:
        self.state = CallState.DISCONNECTED
        self._forget(self)

    def fail(self, kind: str, information: Json) -> None:
        """The connection never came up: one callback tells so, and nothing follows it."""
        if not self.is_gone:
            self._end()
            super().gone("failed", "service")
            self.spawn(self._last(kind, {"resultInformation": information}))

    async def _finish(self) -> None:
        try:
            stopped = await self.streaming.end() if self.streaming is not None else None
            if stopped is not None:
                self.post(stopped.kind, stopped.data)
            if self._announced:
                self._post_participants()
        finally:
            await self._last("CallDisconnected", {"resultInformation": GOODBYE})

    async def _last(self, kind: str, body: Json) -> None:
        try:
            if self.request.operation.context is not None:
                body["operationContext"] = self.request.operation.context
            await self.outbox.post_last(self._event(kind, body), self.request.callback_uri)
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

    # --- for operations ---

    def require_connected(self) -> Conversation:
        """See that an operation can act on the call; returns its conversation.

        Raises:
            RestError: 400/8501 before it is established, 400/8585 while it is being transferred.
        """
        conversation = self.seat()
        if self.state is not CallState.CONNECTED:
            raise wrong_state()
        return conversation

    def participant(self, who: Identifier) -> Leg:
        """The participant.

        Raises:
            RestError: 404/8522: it is not in this call. 400/8501: the call is not established.
        """
        leg = self.seat().find(str(who["rawId"]))
        if leg is None:
            raise not_found("Participant")
        return leg
