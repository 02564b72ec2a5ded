"""From an IncomingCall event to an answered call: claim, record, admit, mint two tokens, answer.

What is written comes before what is done, so a process that dies at any point leaves a state from which the redelivered
event goes on: with the same call id, and with the same Repeatability-Request-ID towards ACS.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.calls.admission import admit_call
from shared.calls.claims import Claim, claim, claim_key, give_back
from shared.calls.control import CallControl
from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.poison import put_aside
from shared.calls.record import CallState
from shared.calls.repository import Calls
from shared.config.document import Config
from shared.config.routes import Route, route_for
from shared.conversations.conversations import ConversationBusy, Conversations
from shared.errors import CallGone, InvalidInput, PatchcordError
from shared.security.tokens import Audience, TokenMinter
from shared.settings import FunctionAppSettings
from shared.store.entities import EntityStore
from shared.transfers.api import TRANSFER_HEADER
from shared.transfers.desk import Lent, TransferDesk
from shared.transfers.record import CallTransfer, Refusal
from shared.wire.acs_events import GridEvent, IncomingCall, parse_incoming_call

logger = logging.getLogger(__name__)

VARIABLES, VARIABLE_NAME, VARIABLE_TEXT = 20, 64, 1024
"""At most so many input variables, of so many characters each (requirement 52)."""

CONVERSATION_HEADER = "externalConversationId"
"""The voip header by which an ACS call goes on with a conversation."""

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
        now: the clock, Unix seconds.
    """

    settings: FunctionAppSettings
    config: Config
    store: EntityStore
    calls: Calls
    control: CallControl
    minter: TokenMinter
    desk: TransferDesk
    conversations: Conversations
    now: Callable[[], float]

    async def incoming(self, event: GridEvent, *, tenant: str | None, request_id: str) -> Handled:
        """Handle one event. `tenant` is whose credentials came with it; None takes the route's.

        Raises:
            InvalidInput: the event is malformed (`MissingContext` without a context); nothing was done.
            PatchcordError: a retryable one; a redelivery may try again at once.
        """
        call = _parse(event)
        lent = await self.desk.match(call, tenant)
        route = lent.route if lent else route_for(self.config.routes, tenant, call.callee)
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
            return await self._take(call, route, held, request_id, lent, too_old=too_old)
        except PatchcordError as error:
            if error.retryable:
                await give_back(self.store, held)
                raise
            logger.error("call %s: cannot be answered: %s", held.call_id, error.message)
            await self._failed(held, "caller_gone" if isinstance(error, CallGone) else error.code)
            return Handled.FAILED

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
        begun = _begun(call, lent_out)
        try:
            if begun.conversation_id and not too_old and not isinstance(transfer, Refusal):
                begun = await self._joined(held, begun)
        except ConversationBusy:
            await self._begin(call, route, held, request_id, begun)
            return await self._reject(call, held, "conversation_busy")
        await self._begin(call, route, held, request_id, begun)
        if too_old:
            # Begun in time by a delivery that died, but nobody is ringing any more.
            await self._failed(held, Handled.TOO_OLD)
            return Handled.TOO_OLD
        if isinstance(transfer, Refusal):
            return await self._reject(call, held, f"call_transfer_{transfer}")
        admission = await admit_call(
            self.store,
            self.calls,
            tenant=held.tenant,
            call_id=held.call_id,
            limit=self.config.concurrent_calls(held.tenant, self.settings.max_concurrent_calls),
            tenants=self.config.tenant_names,
            now=self.now(),
        )
        if not admission:
            return await self._overflow(call, route, held, admission.reason)
        await self._answer(call, route, held)
        return Handled.ANSWERED

    async def _answer(self, call: IncomingCall, route: Route, held: Claim) -> None:
        settings = self.settings
        media = await self.minter.mint(Audience.ACS_MEDIA, call_id=held.call_id, tenant=held.tenant)
        callback = await self.minter.mint(Audience.ACS_CALLBACK, call_id=held.call_id, tenant=held.tenant)
        await self.calls.note(held.tenant, held.call_id, "answering", EventKind.ANSWERING)
        begun = self.now()
        connection_id = await self.control.answer(
            call.context,
            f"{settings.callback_base}/api/call-events/{callback}",
            f"{settings.media_base}/acs/{media}",
            self.config.agents[route.agent].audio,
            held.call_id,
            first_sent=held.first_at,
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

    async def _overflow(self, call: IncomingCall, route: Route, held: Claim, reason: str) -> Handled:
        logger.warning("call %s: not admitted: %s", held.call_id, reason)
        if route.overflow.action == "redirect":
            to = route.overflow.to
            await self.control.redirect(call.context, to, held.call_id, first_sent=held.first_at)
            await self.calls.note(
                held.tenant, held.call_id, "redirected", EventKind.REDIRECTED, reason=reason, to=to
            )
            return Handled.REDIRECTED
        return await self._reject(call, held, reason)

    async def _reject(self, call: IncomingCall, held: Claim, reason: str) -> Handled:
        await self.control.reject(call.context, "busy", held.call_id, first_sent=held.first_at)
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

    async def _joined(self, held: Claim, begun: "_Begun") -> "_Begun":
        found = await self.conversations.join(
            held.tenant, begun.conversation_id, held.call_id, begun.variables
        )
        previous = tuple(call_id for call_id in found.calls if call_id != held.call_id)
        return replace(begun, variables=found.variables, previous_calls=previous)

    async def _begin(
        self, call: IncomingCall, route: Route, held: Claim, request_id: str, begun: "_Begun"
    ) -> None:
        received = self._received(call, route, held, request_id, begun)
        await self.calls.append(held.tenant, held.call_id, received)

    def _received(
        self, call: IncomingCall, route: Route, held: Claim, request_id: str, begun: "_Begun"
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
        return CallEvent("received", EventKind.RECEIVED, held.first_at, data)


@dataclass(frozen=True, slots=True)
class _Begun:
    """What the agent is to know when the call begins, from wherever it comes."""

    task: str
    variables: Mapping[str, str]
    transfer_id: str = ""
    conversation_id: str = ""
    previous_calls: tuple[str, ...] = ()


def _begun(call: IncomingCall, transfer: CallTransfer | None) -> _Begun:
    """A transfer's variables win over those that the call itself brings."""
    variables = input_variables(call.voip_headers)
    variables.pop(TRANSFER_HEADER, None)
    conversation_id = variables.pop(CONVERSATION_HEADER, "")
    if transfer is None:
        return _Begun("", variables, conversation_id=conversation_id)
    return _Begun(
        transfer.task_name, variables | transfer.input_variables, transfer.id, transfer.conversation_id
    )


def _parse(event: GridEvent) -> IncomingCall:
    try:
        return parse_incoming_call(event)
    except InvalidInput as error:
        if error.field == "data.incomingCallContext":
            raise MissingContext(error.field, error.expected) from None
        raise


def input_variables(headers: Mapping[str, str]) -> dict[str, str]:
    """Custom context as input variables: without control characters, and cut to the limits above (the call goes on)."""
    clean = {_printable(name): _printable(value) for name, value in headers.items()}
    kept = {name: value[:VARIABLE_TEXT] for name, value in clean.items() if 0 < len(name) <= VARIABLE_NAME}
    if (
        len(kept) > VARIABLES
        or len(kept) < len(headers)
        or any(len(v) > VARIABLE_TEXT for v in clean.values())
    ):
        logger.warning("input variables cut: %d given, limits are %d pairs of %d+%d characters",
                       len(headers), VARIABLES, VARIABLE_NAME, VARIABLE_TEXT)  # fmt: skip
    return dict(list(kept.items())[:VARIABLES])


def _printable(text: str) -> str:
    return "".join(c for c in text if c >= " " and c != "\x7f")
