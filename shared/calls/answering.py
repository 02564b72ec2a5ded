"""From an IncomingCall event to an answered call: claim, record, admit, mint two tokens, answer.

What is written comes before what is done, so a process that dies at any point leaves a state from which the redelivered
event goes on: with the same call id, and with the same Repeatability-Request-ID towards ACS.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.calls.admission import Admission, admit_call, has_silent_host
from shared.calls.begun import Begun, begun_again, begun_by
from shared.calls.claims import Claim, claim, claim_key, give_back
from shared.calls.controls import CallControls
from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.moving import Moved, Moves
from shared.calls.poison import put_aside
from shared.calls.queueing import TOKEN_S, WaitingLine
from shared.calls.record import CallState
from shared.calls.repository import Calls
from shared.calls.tracing import begin_traced
from shared.config.document import Config
from shared.config.routes import Route, route_for
from shared.conversations.conversations import ConversationBusy, Conversations
from shared.errors import CallGone, InvalidInput, PatchcordError
from shared.ivr.runner import IvrRunner
from shared.ivr.state import IvrState
from shared.security.tokens import Audience, TokenMinter
from shared.settings import FunctionAppSettings
from shared.store.entities import EntityStore
from shared.telemetry import traces
from shared.transfers.desk import Lent, TransferDesk
from shared.transfers.record import CallTransfer, Refusal
from shared.wire.acs_events import GridEvent, IncomingCall, parse_incoming_call
from shared.wire.custom_context import MOVE

logger = logging.getLogger(__name__)

HEARTBEAT_S, LOOK_S = 4.0, 0.5
"""How long a caller rings on while hosts of a minute ago may still write a heartbeat, and how often we look (s)."""

NO_MEDIA_HOST = "no_media_host"

CLOCK_AHEAD_S = 60.0
"""How far ahead of ours the sender's clock may be (s) before an event's own time counts as wrong."""


class MissingContext(InvalidInput):
    """An IncomingCall without the `incomingCallContext` that is needed to answer (requirement 14)."""

    code = "400-03"


class Handled(StrEnum):
    """What became of an event."""

    ANSWERED = "answered"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    REDIRECTED = "redirected"
    QUEUED = "queued"
    TOO_OLD = "too_old"
    NO_ROUTE = "no_route"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answering:
    """Handles IncomingCall events.

    Args:
        settings: of the function app.
        config: agents, routes, tenants.
        store: for claims, heartbeats and events put aside.
        calls: the same store's calls.
        control: ACS.
        minter: for the call's two tokens.
        desk: call transfers.
        conversations: what joins calls.
        ivr: the IVRs.
        moves: of callers who come from another media host.
        waiting: callers whom no media host has room for.
        now: the clock, Unix seconds.
        pause: waits so many seconds.
    """

    settings: FunctionAppSettings
    config: Config
    store: EntityStore
    calls: Calls
    control: CallControls
    minter: TokenMinter
    desk: TransferDesk
    conversations: Conversations
    ivr: IvrRunner
    moves: Moves
    waiting: WaitingLine
    now: Callable[[], float]
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep

    async def incoming(self, event: GridEvent, *, tenant: str | None, request_id: str) -> Handled:
        """Handle one event. `tenant` is whose credentials came with it; None takes the route's.

        Raises:
            InvalidInput: the event is malformed (`MissingContext` without a context); nothing was done.
            PatchcordError: a retryable one; a redelivery may try again at once.
        """
        call = _parse(event)
        moved = await self._moved(call, tenant)
        lent = None if moved else await self.desk.match(call, tenant)
        found = moved or lent
        route = found.route if found else route_for(self.config.all_routes, tenant, call.callee)
        if route is None:
            # Not ours to refuse: another subscription may well answer it.
            await self._put_aside(event, Handled.NO_ROUTE, call.callee.masked)
            return Handled.NO_ROUTE
        age_s = self.now() - call.time.timestamp()
        too_old = age_s > self.settings.incoming_call_max_age_s or age_s < -CLOCK_AHEAD_S
        held = await claim(self.store, route.tenant, call, self.now(), fresh=not too_old)
        if held is None and too_old and await self._unknown(route.tenant, call):
            await self._put_aside(event, Handled.TOO_OLD, f"{age_s:.0f} s old")
            return Handled.TOO_OLD
        if held is None:
            return self._duplicate(call)
        try:
            if held.taken_over and await self._is_decided(held):
                return self._duplicate(call)
            return await self._take(call, route, held, request_id, lent, moved, too_old=too_old)
        except PatchcordError as error:
            if error.retryable:
                await give_back(self.store, held)
                raise
            logger.error("call %s: cannot be answered: %s", held.call_id, error.message)
            await self._failed(held, "caller_gone" if isinstance(error, CallGone) else error.code)
            return Handled.FAILED

    async def _moved(self, call: IncomingCall, tenant: str | None) -> Moved | None:
        """The move by which a caller of ours comes back; None for every other call."""
        name = call.voip_headers.get(MOVE, "")
        if not name:
            return None
        moved = await self.moves.claim(name, callee=call.callee.raw_id, call_key=claim_key(call))
        if moved is None or tenant not in (None, moved.before.tenant):
            logger.warning("incoming call %s: names no move that it may have", call.correlation_id)
            return None
        return moved

    def _duplicate(self, call: IncomingCall) -> Handled:
        logger.info("incoming call %s: delivered again", call.correlation_id)
        return Handled.DUPLICATE

    async def _take(
        self,
        call: IncomingCall,
        route: Route,
        held: Claim,
        request_id: str,
        lent: Lent | None,
        moved: Moved | None,
        *,
        too_old: bool,
    ) -> Handled:
        await self.calls.watch(held.tenant, held.call_id)
        transfer = None
        if lent is not None and not too_old:
            transfer = await self.desk.claim(
                lent, call_key=held.key, call_id=held.call_id, event_at=call.time.timestamp()
            )
        lent_out = transfer if isinstance(transfer, CallTransfer) else None
        begun = begun_again(moved.before) if moved else begun_by(call, lent_out)
        if begun.return_to and not self.config.may_return(held.tenant, begun.return_to):
            logger.warning("call %s: returnTo names nobody to whom a caller may be given back", held.call_id)
            begun = replace(begun, return_to="")
        try:
            if begun.conversation_id and not too_old and not isinstance(transfer, Refusal):
                begun = await self._joined(held, begun)
        except ConversationBusy:
            await self._begin(call, route, held, request_id, begun, moved)
            return await self._reject(call, held, "conversation_busy")
        await self._begin(call, route, held, request_id, begun, moved)
        if too_old:
            # Begun in time by a delivery that died, but nobody is ringing any more.
            await self._failed(held, Handled.TOO_OLD)
            return Handled.TOO_OLD
        if isinstance(transfer, Refusal):
            return await self._reject(call, held, f"call_transfer_{transfer}")
        admission = await self._admitted(route, held, moved=moved is not None)
        waited_s = 0.0
        while admission.reason == NO_MEDIA_HOST and waited_s < HEARTBEAT_S:
            if not await has_silent_host(self.store, self.now()):
                break
            await self.pause(LOOK_S)
            waited_s += LOOK_S
            admission = await self._admitted(route, held, moved=moved is not None)
        traces.past("admission", held.first_at, self.now(), result=admission.reason or "admitted")
        if not admission:
            return await self._overflow(call, route, held, admission.reason)
        if route.ivr:
            await self._begin_ivr(held, begun)
        await self._answer(call, route, held)
        return Handled.ANSWERED

    async def _admitted(self, route: Route, held: Claim, *, moved: bool) -> Admission:
        return await admit_call(
            self.store,
            self.calls,
            tenant=held.tenant,
            call_id=held.call_id,
            limit=self.config.concurrent_calls(held.tenant, self.settings.max_concurrent_calls),
            tenants=self.config.tenant_names,
            now=self.now(),
            media=not route.ivr,
            moved=moved,
        )

    @traces.traced("answer")
    async def _answer(self, call: IncomingCall, route: Route, held: Claim, *, queued: bool = False) -> None:
        """Answer; `queued`: without audio, until a media host has room."""
        settings = self.settings
        callback = await self.minter.mint(Audience.ACS_CALLBACK, call_id=held.call_id, tenant=held.tenant)
        await self.calls.note(held.tenant, held.call_id, "answering", EventKind.ANSWERING)
        callback_url = f"{settings.callback_base}/api/call-events/{callback}"
        control = self.control.of(held.tenant)
        begun = self.now()
        if route.ivr:
            services = self.config.ivrs[route.ivr].cognitive_services
            connection_id = await control.answer_without_audio(
                call.context, callback_url, services, held.call_id, first_sent=held.first_at
            )
        else:
            overflow, recovery = route.overflow, self.config.recovery
            media = await self.minter.mint(
                Audience.ACS_MEDIA,
                call_id=held.call_id,
                tenant=held.tenant,
                lifetime_s=overflow.max_wait_s + TOKEN_S if queued else None,
            )
            connection_id = await control.answer(
                call.context,
                callback_url,
                f"{settings.media_base}/acs/{media}",
                self.config.agents[route.agent].audio,
                held.call_id,
                first_sent=held.first_at,
                start=not queued,
                cognitive_services=recovery.cognitive_services or overflow.cognitive_services,
            )
        answered = self.now()
        if not await self.calls.bind_connection(held.call_id, connection_id):
            logger.error(
                "call %s: ACS answered with another connection than its callbacks name", held.call_id
            )
        data: dict[str, Json] = {
            "callConnectionId": connection_id,
            "ms": round((answered - begun) * 1000, 1),
        }
        await self.calls.append(
            held.tenant, held.call_id, CallEvent("answered", EventKind.ANSWERED, answered, data)
        )
        logger.info("call %s: answered in %.0f ms", held.call_id, (answered - begun) * 1000)

    async def _begin_ivr(self, held: Claim, begun: Begun) -> None:
        """A call that comes back goes on where its return step says."""
        conversation = begun.conversation_id or held.call_id
        state = IvrState(
            variables={**begun.variables},
            conversation=conversation,
            return_step=begun.return_step,
        )
        await self.ivr.begin(held.tenant, held.call_id, state)

    @traces.traced("overflow")
    async def _overflow(self, call: IncomingCall, route: Route, held: Claim, reason: str) -> Handled:
        logger.warning("call %s: not admitted: %s", held.call_id, reason)
        if route.overflow.action == "redirect":
            to = route.overflow.to
            await self.control.of(held.tenant).redirect(
                call.context, to, held.call_id, first_sent=held.first_at
            )
            await self.calls.note(
                held.tenant, held.call_id, "redirected", EventKind.REDIRECTED, reason=reason, to=to
            )
            return Handled.REDIRECTED
        if route.overflow.action == "queue" and await self.waiting.join(
            held.tenant, held.call_id, route.overflow
        ):
            await self._answer(call, route, held, queued=True)
            return Handled.QUEUED
        return await self._reject(call, held, reason)

    async def _reject(self, call: IncomingCall, held: Claim, reason: str) -> Handled:
        await self.control.of(held.tenant).reject(
            call.context, "busy", held.call_id, first_sent=held.first_at
        )
        await self.calls.note(held.tenant, held.call_id, "rejected", EventKind.REJECTED, reason=reason)
        return Handled.REJECTED

    async def _is_decided(self, held: Claim) -> bool:
        """Whether there is any sign that the first delivery got through to ACS."""
        record = await self.calls.get(held.tenant, held.call_id)
        return record is not None and record.state not in (CallState.RECEIVED, CallState.ANSWERING)

    async def _unknown(self, tenant: str, call: IncomingCall) -> bool:
        return await self.store.get("claims", tenant, claim_key(call)) is None

    async def _failed(self, held: Claim, reason: str) -> None:
        await self.calls.note(
            held.tenant, held.call_id, "answer_failed", EventKind.ANSWER_FAILED, reason=str(reason)
        )

    async def _put_aside(self, event: GridEvent, reason: str, detail: str) -> None:
        await put_aside(
            self.store,
            event_id=event.id,
            event_type=event.type,
            reason=str(reason),
            detail=detail,
            at=self.now(),
        )

    async def _joined(self, held: Claim, begun: Begun) -> Begun:
        found = await self.conversations.join(
            held.tenant, begun.conversation_id, held.call_id, begun.variables
        )
        previous = tuple(call_id for call_id in found.calls if call_id != held.call_id)
        return replace(begun, variables=found.variables, previous_calls=previous)

    async def _begin(
        self,
        call: IncomingCall,
        route: Route,
        held: Claim,
        request_id: str,
        begun: Begun,
        moved: Moved | None,
    ) -> None:
        received = self._received(call, route, held, request_id, begun)
        if moved is not None:  # the numbers of the first call: this one was dialled by nobody
            before = moved.before
            data: dict[str, Json] = {**received.data}
            data |= {"from": before.person, "to": before.our_number, "movedFrom": before.call_id}
            data |= {"moves": begun.moves, "previousCalls": [*begun.previous_calls]}
            received = replace(received, data=data)
        await begin_traced(self.calls, held.tenant, held.call_id, received)
        traces.past("incoming event", call.time.timestamp(), held.first_at)

    def _received(
        self, call: IncomingCall, route: Route, held: Claim, request_id: str, begun: Begun
    ) -> CallEvent:
        data: dict[str, Json] = {
            "callId": held.call_id,
            "tenant": held.tenant,
            "environment": self.settings.environment,
            "from": call.caller.value or call.caller.raw_id,
            "to": call.callee.value or call.callee.raw_id,
            "correlationId": call.correlation_id,
            "serverCallId": call.server_call_id,
            "route": route.name,
            "agent": route.agent,
            "task": begun.task or route.task,
            "inputVariables": {**begun.variables},
            "requestId": request_id,
            "eventTime": call.time.timestamp(),
        }
        if begun.transfer_id:
            data["callTransferId"] = begun.transfer_id
        if begun.conversation_id:
            data["externalConversationId"] = begun.conversation_id
            data["previousCalls"] = [*begun.previous_calls]
        if route.ivr:
            data["ivr"] = route.ivr
        if begun.return_to:
            data["returnTo"] = begun.return_to
        if begun.return_step:
            data["returnStep"] = begun.return_step
        return CallEvent("received", EventKind.RECEIVED, held.first_at, data)


def _parse(event: GridEvent) -> IncomingCall:
    try:
        return parse_incoming_call(event)
    except InvalidInput as error:
        if error.field == "data.incomingCallContext":
            raise MissingContext(error.field, error.expected) from None
        raise
