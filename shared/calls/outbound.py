"""Calls that we make: check, admit, record, call.

As with answering, what is written comes before what is done. Table `outbound` (partition tenant, row the client's id) ties a
request to its call id before anything else happens, and that id alone makes the Repeatability-Request-ID. So when a process
dies at any point, the same request goes on with the same call; without one, the sweep ends the record as failed.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from shared.calls.admission import NoMediaHost, admit_call
from shared.calls.controls import CallControls
from shared.calls.destinations import check_destination
from shared.calls.events import CallEvent, EventKind, Json, row_key
from shared.calls.outbound_request import NewCall
from shared.calls.rate import give_turn_back, take_turn
from shared.calls.record import CallRecord, CallState
from shared.calls.repository import Calls, new_call_id
from shared.calls.tracing import begin_traced, follow_call
from shared.config.document import Config
from shared.config.outbound import OutboundConfig
from shared.conversations.conversations import ConversationBusy, Conversations
from shared.errors import (
    Conflict,
    EntityExists,
    Forbidden,
    InvalidInput,
    LimitReached,
    PatchcordError,
    Unavailable,
)
from shared.security.tokens import Audience, TokenMinter
from shared.settings import FunctionAppSettings
from shared.store.entities import Entity, EntityStore, Value
from shared.telemetry import mask_number, traces

logger = logging.getLogger(__name__)

TABLE = "outbound"

MEDIA_TOKEN_S = 30
"""Seconds beyond the ring time for which the media token lives: ACS dials us only at pick-up (design.md, decision 4)."""


class CallerIdForbidden(Forbidden):
    """The tenant has no such number to call from."""

    code = "403-04"


@dataclass(frozen=True, slots=True)
class _Placed:
    """A request and its call: `at` is when it came first (Unix seconds)."""

    call_id: str
    fingerprint: str
    at: float


@dataclass(frozen=True, slots=True)
class Outbound:
    """Makes calls.

    Args:
        settings: of the function app.
        config: agents and tenants.
        store: for requests, turns and heartbeats.
        calls: the same store's calls.
        control: ACS.
        minter: for the call's two tokens.
        conversations: what joins calls.
        now: the clock, Unix seconds.
    """

    settings: FunctionAppSettings
    config: Config
    store: EntityStore
    calls: Calls
    control: CallControls
    minter: TokenMinter
    conversations: Conversations
    now: Callable[[], float]

    async def create(self, tenant: str, new: NewCall, request_id: str) -> CallRecord:
        """Call somebody; asked again with the same content, it is the same call, however far that has got.

        Raises:
            Forbidden: the tenant may not call, not with this agent, not there (`DestinationForbidden`), or not from this
                number (`CallerIdForbidden`).
            InvalidInput: there can be no such number.
            Conflict: the id belongs to another request.
            ConversationBusy: its conversation has a live call.
            LimitReached: too many calls a minute, or at once; the id may be used again.
            NoMediaHost: nobody could carry it now; the id may be used again.
            Unavailable: store, keys or ACS do not answer; the same request goes on.
        """
        rules, caller_id = self._allowed(tenant, new)
        placed = await self._known(tenant, new) or await self._place(tenant, new, rules)
        record = await self.calls.get(tenant, placed.call_id)
        if record is None:
            await self._begin(tenant, new, placed, caller_id, request_id)
        else:
            follow_call(record)
        if record is None or record.state in (CallState.RECEIVED, CallState.CALLING):
            await self._call(tenant, new, placed, caller_id, rules)
            record = await self.calls.get(tenant, placed.call_id)
        if record is None:
            raise Unavailable("the call's record cannot be read")
        return record

    def _allowed(self, tenant: str, new: NewCall) -> tuple[OutboundConfig, str]:
        """The tenant's rules and the caller id, if the rules allow this call at any time."""
        entry = self.config.tenant(tenant)
        rules = entry.outbound
        if rules is None:
            raise Forbidden("outbound calls are not set up for this tenant")
        if not entry.may_use(new.agent):
            raise Forbidden("this tenant may not use that agent")
        if new.agent not in self.config.agents:
            raise InvalidInput("agent", "the name of an agent")
        check_destination(new.number, rules.countries)
        ours = rules.caller_ids or ([] if entry.acs else [self.settings.phone_number])
        caller_id = new.caller_id or next(iter(ours), "")
        if not caller_id or caller_id not in ours:
            raise CallerIdForbidden("the caller id must be one of this tenant's numbers")
        return rules, caller_id

    async def _known(self, tenant: str, new: NewCall) -> _Placed | None:
        row = await self.store.get(TABLE, tenant, row_key(new.id))
        if row is None:
            return None
        values = row.values
        if values["fingerprint"] != new.fingerprint:
            raise Conflict("this id belongs to another call")
        return _Placed(str(values["callId"]), str(values["fingerprint"]), float(values["at"]))

    async def _place(self, tenant: str, new: NewCall, rules: OutboundConfig) -> _Placed:
        """Take the request on, within the rate."""
        now = self.now()
        placed = _Placed(new_call_id(now), new.fingerprint, now)
        await take_turn(self.store, tenant, placed.call_id, rules.calls_per_minute, now)
        values: dict[str, Value] = {
            "callId": placed.call_id,
            "fingerprint": placed.fingerprint,
            "at": placed.at,
        }
        try:
            await self.store.insert(TABLE, Entity(tenant, row_key(new.id), values))
        except EntityExists:  # the same id, sent twice at once: the other one was faster
            await give_turn_back(self.store, tenant, placed.call_id)
            return await self._known(tenant, new) or await self._place(tenant, new, rules)
        return placed

    async def _begin(
        self, tenant: str, new: NewCall, placed: _Placed, caller_id: str, request_id: str
    ) -> None:
        """Admit and record it; a refusal leaves nothing behind."""
        await self.calls.watch(tenant, placed.call_id)
        try:
            await self._admit(tenant, placed)
            received = await self._received(tenant, new, placed, caller_id, request_id)
        except (LimitReached, NoMediaHost, ConversationBusy):
            await self.store.delete(TABLE, tenant, row_key(new.id))
            await give_turn_back(self.store, tenant, placed.call_id)
            await self.calls.unwatch(tenant, placed.call_id)
            raise
        await begin_traced(self.calls, tenant, placed.call_id, received)

    async def _admit(self, tenant: str, placed: _Placed) -> None:
        limit = self.config.concurrent_calls(tenant, self.settings.max_concurrent_calls)
        admission = await admit_call(
            self.store,
            self.calls,
            tenant=tenant,
            call_id=placed.call_id,
            limit=limit,
            tenants=self.config.tenant_names,
            now=self.now(),
        )
        if admission.reason == "tenant_limit":
            raise LimitReached(f"at most {limit} calls may go on at once")
        if not admission:
            raise NoMediaHost(f"no media host takes a call now: {admission.reason}")

    async def _received(
        self, tenant: str, new: NewCall, placed: _Placed, caller_id: str, request_id: str
    ) -> CallEvent:
        data: dict[str, Json] = {
            "callId": placed.call_id,
            "direction": "outbound",
            "tenant": tenant,
            "environment": self.settings.environment,
            "from": caller_id,
            "to": new.number,
            "agent": new.agent,
            "task": new.task,
            "inputVariables": {**new.input_variables},
            "requestId": request_id,
        }
        if new.conversation_id:
            joined = await self.conversations.join(
                tenant, new.conversation_id, placed.call_id, new.input_variables
            )
            data["externalConversationId"] = new.conversation_id
            data["previousCalls"] = [call_id for call_id in joined.calls if call_id != placed.call_id]
            data["inputVariables"] = {**joined.variables}
        return CallEvent("received", EventKind.RECEIVED, placed.at, data)

    @traces.traced("create call")
    async def _call(
        self, tenant: str, new: NewCall, placed: _Placed, caller_id: str, rules: OutboundConfig
    ) -> None:
        call_id = placed.call_id
        media = await self.minter.mint(
            Audience.ACS_MEDIA, call_id=call_id, tenant=tenant, lifetime_s=rules.ring_s + MEDIA_TOKEN_S
        )
        callback = await self.minter.mint(Audience.ACS_CALLBACK, call_id=call_id, tenant=tenant)
        await self.calls.note(tenant, call_id, "calling", EventKind.CALLING)
        try:
            made = await self.control.of(tenant).create(
                new.number,
                caller_id,
                f"{self.settings.callback_base}/api/call-events/{callback}",
                f"{self.settings.media_base}/acs/{media}",
                self.config.agents[new.agent].audio,
                call_id,
                first_sent=placed.at,
                cognitive_services=self.config.recovery.cognitive_services,
            )
        except PatchcordError as error:
            if error.retryable:
                raise
            # ACS will not have it, now or later: the record says so, as of a call that nobody picked up.
            logger.error("call %s: cannot be made: %s", call_id, error.message)
            await self.calls.note(tenant, call_id, "create_failed", EventKind.CREATE_FAILED, reason="refused")
            return
        if not await self.calls.bind_connection(call_id, made.call_connection_id):
            logger.error("call %s: ACS made it with another connection than its callbacks name", call_id)
        await self.calls.note(
            tenant,
            call_id,
            "ringing",
            EventKind.RINGING,
            callConnectionId=made.call_connection_id,
            correlationId=made.correlation_id,
            serverCallId=made.server_call_id,
        )
        logger.info("call %s: %s rings", call_id, mask_number(new.number))
