"""A Twilio call's audio has come: who is it, may it come in, and what does the agent get to know?

To everything behind the line it is a call lent to us by a call transfer, which begins here. Its signed webhook (engage) and
the token in the stream's address say whose it is; the start message must agree with both.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.calls.admission import NoMediaHost, admit_call
from shared.calls.begun import input_variables
from shared.calls.events import CallEvent, EventKind, Json
from shared.calls.record import CallRecord, fold
from shared.calls.replay import spend
from shared.calls.repository import Calls, new_call_id
from shared.calls.tracing import begin_traced
from shared.config.document import Config
from shared.config.twilio import TwilioConfig
from shared.conversations.conversations import ConversationBusy, Conversations
from shared.errors import Conflict, LimitReached, TokenRejected
from shared.security.tokens import Claims
from shared.store.entities import EntityStore
from shared.telemetry.current import TraceContext
from shared.transfers.numbers import NumberPool
from shared.transfers.record import TransferKind
from shared.transfers.transfers import NewTransfer, Transfers
from shared.twilio.engagements import Engagement, Engagements
from shared.wire import custom_context
from shared.wire.json_input import client_id, line
from shared.wire.twilio_media import CALL_SID, Start

logger = logging.getLogger(__name__)

ANY_CALL = "*"
"""The call of a token that serves for every call of its tenant (the address that our API gives out)."""

TRANSFER_NAMES = ("asapp_callTransferId", "callTransferId")
CONVERSATION_NAMES = ("asapp_externalConversationId", "externalConversationId")
CUSTOMER_NAMES = ("customerId", "asapp_customerId")
TASK_NAMES = ("taskName", "asapp_taskName")
RESERVED = frozenset(
    (*TRANSFER_NAMES, *CONVERSATION_NAMES, *CUSTOMER_NAMES, *TASK_NAMES, *custom_context.RESERVED)
)
"""Parameters with a meaning of their own: they never become input variables (requirements 141-145)."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the start message's parameters say."""

    transfer_id: str
    conversation_id: str
    customer_id: str
    task: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TwilioCalls:
    """Lets calls in; the media host has one.

    Args:
        store: for engagements, used tokens and heartbeats.
        config: patchcord.yaml.
        calls: the same store's calls.
        environment: name of the deployment.
        max_concurrent_calls: of one tenant, unless patchcord.yaml says otherwise.
        now: Unix seconds.
    """

    store: EntityStore
    config: Config
    calls: Calls
    environment: str
    max_concurrent_calls: int
    now: Callable[[], float]
    _engagements: Engagements = field(init=False, repr=False)
    _transfers: Transfers = field(init=False, repr=False)
    _conversations: Conversations = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make the parts that share the store."""
        store, calls, now = self.store, self.calls, self.now
        object.__setattr__(self, "_engagements", Engagements(store, now))
        object.__setattr__(self, "_transfers", Transfers(store, NumberPool(store, now), calls, now))
        object.__setattr__(self, "_conversations", Conversations(store, calls, now))

    async def begin(self, claims: Claims, start: Start) -> CallRecord:
        """Let the call in and begin its record and its transfer.

        Args:
            claims: of the verified token in the stream's address.
            start: the stream's start message.

        Raises:
            TokenRejected: another account's or another call's token, or one that this call has used.
            InvalidInput: a parameter that names a transfer, a conversation, a customer or a task is malformed.
            Conflict: the transfer's id is taken; `ConversationBusy`: its conversation has a live call.
            LimitReached: the tenant has too many calls; NoMediaHost: there is no room.
            StoreUnavailable: nobody can know, so nobody comes in.
        """
        tenant = claims.tenant
        entry = self._entry(claims, start)
        engaged = None
        if claims.call_id != ANY_CALL:
            engaged = await self._engagements.get(tenant, start.call_sid)
        asked = _asked(start)
        if not await spend(self.store, f"{claims.jti}.{start.call_sid}", claims.expires_at):
            raise TokenRejected("replayed")
        at = self.now()
        call_id = new_call_id(at)
        await self.calls.watch(tenant, call_id)
        try:
            await self._begin_transfer(tenant, start, call_id, asked)
        except Conflict:
            await self.calls.unwatch(tenant, call_id)
            raise
        await self._engagements.begin(tenant, start.call_sid, asked.transfer_id)
        return await self._begin_record(tenant, start, call_id, at, entry, engaged, asked, claims.trace)

    def _entry(self, claims: Claims, start: Start) -> TwilioConfig:
        """The tenant's entry, if token and start message agree with it and with each other."""
        entry = self.config.twilio.get(claims.tenant)
        if entry is None:
            raise TokenRejected("tenant")
        if start.account_sid != entry.account_sid:
            raise TokenRejected("account")
        if claims.call_id not in (ANY_CALL, start.call_sid) or not CALL_SID.fullmatch(start.call_sid):
            raise TokenRejected("call")
        return entry

    async def _begin_transfer(self, tenant: str, start: Start, call_id: str, asked: _Asked) -> None:
        new = NewTransfer(
            asked.transfer_id,
            asked.conversation_id,
            TransferKind.TWILIO,
            task_name=asked.task,
            input_variables=dict(asked.variables),
        )
        await self._transfers.begin(tenant, new, call_key=start.call_sid, call_id=call_id)

    async def _begin_record(
        self,
        tenant: str,
        start: Start,
        call_id: str,
        at: float,
        entry: TwilioConfig,
        engaged: Engagement | None,
        asked: _Asked,
        trace: TraceContext | None,
    ) -> CallRecord:
        data = self._data(tenant, start, call_id, entry, engaged, asked)
        busy: ConversationBusy | None = None
        try:
            joined = await self._conversations.join(
                tenant,
                asked.conversation_id,
                call_id,
                asked.variables,
                customer_id=str(data["customerId"]),
            )
        except ConversationBusy as error:
            busy = error
        else:
            data["previousCalls"] = [known for known in joined.calls if known != call_id]
            data["inputVariables"] = {**joined.variables}
        received = CallEvent("received", EventKind.RECEIVED, at, data)
        received = await begin_traced(self.calls, tenant, call_id, received, trace)
        if busy is not None:
            await self._reject(tenant, call_id, asked, "conversation_busy")
            raise busy
        await self._admit(tenant, call_id, asked)
        logger.info("call %s: begun on the Twilio line", call_id)
        return fold([received])

    def _data(
        self,
        tenant: str,
        start: Start,
        call_id: str,
        entry: TwilioConfig,
        engaged: Engagement | None,
        asked: _Asked,
    ) -> dict[str, Json]:
        known = engaged or Engagement(call_sid=start.call_sid, at=self.now())
        by_route = bool(known.agent) and known.agent in self.config.agents
        task = known.task if by_route else entry.task
        return {
            "callId": call_id,
            "tenant": tenant,
            "environment": self.environment,
            "line": "twilio",
            "from": known.caller,
            "to": known.callee,
            "correlationId": start.call_sid,
            "streamSid": start.stream_sid,
            "route": known.route if by_route else "twilio",
            "agent": known.agent if by_route else entry.agent,
            "task": asked.task or task,
            "inputVariables": {**asked.variables},
            "eventTime": known.at,
            "callTransferId": asked.transfer_id,
            "externalConversationId": asked.conversation_id,
            "customerId": asked.customer_id or known.caller,
        }

    async def _admit(self, tenant: str, call_id: str, asked: _Asked) -> None:
        limit = self.config.concurrent_calls(tenant, self.max_concurrent_calls)
        admission = await admit_call(
            self.store,
            self.calls,
            tenant=tenant,
            call_id=call_id,
            limit=limit,
            tenants=self.config.tenant_names,
            now=self.now(),
        )
        if admission:
            return
        await self._reject(tenant, call_id, asked, admission.reason)
        if admission.reason == "tenant_limit":
            raise LimitReached(f"at most {limit} calls may go on at once")
        raise NoMediaHost(f"no media host takes a call now: {admission.reason}")

    async def _reject(self, tenant: str, call_id: str, asked: _Asked, reason: str) -> None:
        """The record says so, and with it the transfer: to a person, with `reason` as the error."""
        logger.warning("call %s: not let in: %s", call_id, reason)
        await self.calls.note(tenant, call_id, "rejected", EventKind.REJECTED, reason=reason)
        await self._transfers.get(tenant, asked.transfer_id)


def _asked(start: Start) -> _Asked:
    given = start.parameters

    def first(names: tuple[str, str]) -> str | None:
        return next((value for name in names if (value := given.get(name, ""))), None)

    return _Asked(
        client_id(first(TRANSFER_NAMES) or start.call_sid, field=TRANSFER_NAMES[0]),
        line(first(CONVERSATION_NAMES), field=CONVERSATION_NAMES[0], limit=256, default=start.call_sid),
        line(first(CUSTOMER_NAMES), field=CUSTOMER_NAMES[0], limit=256, default=""),
        line(first(TASK_NAMES), field=TASK_NAMES[0], limit=128, default=""),
        input_variables({name: value for name, value in given.items() if name not in RESERVED}),
    )
