"""The HTTP side of the Twilio line: a stream's address, and the four webhooks of calls that stay at Twilio.

Whatever is wrong on our side, the caller hears a word and then gets what `next.failed` says: TwiML with status 200. Only a
request that Twilio has not signed gets an error (403).
"""

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from shared.calls.admission import NoMediaHost, admit
from shared.calls.events import CallEvent, EventKind
from shared.calls.repository import Calls, new_call_id
from shared.calls.tracing import follow_call
from shared.config.agents import AgentConfig
from shared.config.document import Config
from shared.config.twilio import NextStep, TwilioConfig
from shared.errors import Forbidden, InvalidInput, NotFound, PatchcordError, SignatureRejected
from shared.http import Reply, Request, json_reply
from shared.security.tokens import Audience, TokenMinter
from shared.settings import FunctionAppSettings
from shared.store.entities import EntityStore
from shared.telemetry import traces
from shared.telemetry.current import follow
from shared.twilio.after import HANG_UP, state_json, twiml_after
from shared.twilio.begin import ANY_CALL
from shared.twilio.engagements import Engagement
from shared.twilio.settle import Settling, is_ongoing
from shared.twilio.signed import Signatures, Signed
from shared.wire.json_input import as_object, client_id, decode
from shared.wire.twilio_media import CALL_SID
from shared.wire.twilio_params import (
    FORM_LIMIT,
    CallParams,
    StreamEvent,
    call_params,
    form_params,
    stream_event,
)
from shared.wire.twiml import apology, engage, next_step

logger = logging.getLogger(__name__)

ENGAGE, COMPLETE = "/api/twilio/engage", "/api/twilio/call-complete"
STATE, STREAM = "/api/twilio/transfer-state", "/api/twilio/stream-status"
"""The paths that Twilio is told, and signs."""

MODES = ("cascade", "s2s")
"""Values of `voiceAgentMode` that existing clients send; what answers is for patchcord.yaml to say."""

ENDED = frozenset({"completed", "canceled", "failed", "busy", "no-answer"})
"""Values of `CallStatus` of a call that is over."""

_NO_PARAMETERS = frozenset({"FlowEvent", "bodySHA256"})
_IDENTS = ("callTransferId", "CallSid")


@dataclass(frozen=True, slots=True)
class TwilioDoor:
    """Answers the requests.

    Args:
        settings: of the function app.
        config: patchcord.yaml.
        store: for heartbeats.
        calls: the same store's calls.
        minter: for the tokens in streams' addresses.
        signatures: who has signed what.
        settling: what calls have come to.
        now: Unix seconds.
    """

    settings: FunctionAppSettings
    config: Config
    store: EntityStore
    calls: Calls
    minter: TokenMinter
    signatures: Signatures
    settling: Settling
    now: Callable[[], float]

    async def stream_url(self, tenant: str, asked: Request) -> Reply:
        """An address for the tenant's streams, good for five minutes; with `callSid`, for that call only.

        Raises:
            Forbidden: the tenant has no Twilio account here.
            InvalidInput: a parameter.
            NoMediaHost: nobody could carry the audio.
        """
        if tenant not in self.config.twilio:
            raise Forbidden("the Twilio line is not set up for this tenant")
        if asked.params.get("voiceAgentMode", MODES[0]) not in MODES:
            raise InvalidInput("voiceAgentMode", " or ".join(MODES))
        call_sid = asked.params.get("callSid", ANY_CALL)
        if call_sid != ANY_CALL and not CALL_SID.fullmatch(call_sid):
            raise InvalidInput("callSid", "CA and 32 hexadecimal digits")
        admission = await admit(self.store, self.now())
        if not admission:
            raise NoMediaHost(f"no media host takes a call now: {admission.reason}")
        return json_reply({"streamingUrl": await self._address(tenant, call_sid)})

    async def engage(self, asked: Request) -> Reply:
        """A call has come: stream its audio to us.

        Raises:
            SignatureRejected: Twilio has not signed it.
            InvalidInput: it has, but a field of ours is malformed.
        """

        async def answer(signed: Signed, call: CallParams) -> str:
            # The call does not exist yet: the token of its stream carries the trace to it.
            follow("", traces.fresh())
            began = self.now()
            twiml = await self._engage(signed, call, asked)
            traces.past("engage", began, self.now())
            return twiml

        return await self._spoken(ENGAGE, asked, answer)

    async def _engage(self, signed: Signed, call: CallParams, asked: Request) -> str:
        tenant, entry = signed.tenant, signed.entry
        # The call may come back to the agent: its last stream is over then, and takes no place any more.
        before = await self.settling.settle(tenant, call.call_sid, over=False)
        if reason := await self._no_room(tenant):
            logger.warning("a Twilio call is not admitted: %s", reason)
            return self._failed(entry, asked)
        known = await self.settling.engagements.get(tenant, call.call_sid)
        if known is not None and before is not None and is_ongoing(before, self.now()):
            turn = known.turn  # its stream goes on: sent again, this request changes nothing of it
        else:
            turn = secrets.token_hex(8)
            await self.settling.engagements.engage(tenant, self._engagement(tenant, entry, call, turn))
        query = parse_qsl(asked.query, keep_blank_values=True)
        returns = _returns(asked)
        return engage(
            await self._address(tenant, call.call_sid),
            {name: value for name, value in query if name not in _NO_PARAMETERS},
            action="" if returns else f"{self.settings.callback_base}{COMPLETE}?turn={turn}",
            status_callback=self.settings.callback_base + STREAM,
            return_to=entry.studio_return if returns else "",
        )

    async def _no_room(self, tenant: str) -> str:
        """Why no further call can be taken now; the media host asks again, for this is no reservation."""
        limit = self.config.concurrent_calls(tenant, self.settings.max_concurrent_calls)
        if await self.calls.older_live(tenant, new_call_id(self.now()), limit) >= limit:
            return "tenant_limit"
        return (await admit(self.store, self.now())).reason

    def _engagement(self, tenant: str, entry: TwilioConfig, call: CallParams, turn: str) -> Engagement:
        """Who answers: the route that names the dialled number, or else what the tenant's entry says."""
        routes = [
            route
            for route in self.config.routes
            if route.agent and route.tenant == tenant and call.to in route.to
        ]
        route = routes[0] if routes else None
        return Engagement(
            call_sid=call.call_sid,
            at=self.now(),
            agent=route.agent if route else entry.agent,
            task=route.task if route else entry.task,
            route=route.name if route else "twilio",
            caller=call.from_,
            callee=call.to,
            turn=turn,
        )

    def _failed(self, entry: TwilioConfig, asked: Request) -> str:
        """The TwiML for a caller whom no agent takes: back into the flow that has sent it here, or else `next.failed`."""
        if _returns(asked) and entry.studio_return:
            return apology(NextStep(redirect=entry.studio_return))
        return apology(entry.step("failed", self._agent(entry.agent)))

    async def call_complete(self, asked: Request) -> Reply:
        """The stream is over: what is the caller to have next?

        Raises:
            SignatureRejected, InvalidInput: as `engage`.
        """

        async def answer(signed: Signed, call: CallParams) -> str:
            return await self._complete(signed, call, dict(parse_qsl(asked.query)).get("turn"))

        return await self._spoken(COMPLETE, asked, answer)

    async def _complete(self, signed: Signed, call: CallParams, turn: str | None) -> str:
        """`turn` is what `engage` put into the address; None in a customer's own TwiML."""
        began, gone = self.now(), call.status in ENDED
        engaged = await self.settling.engagements.get(signed.tenant, call.call_sid)
        newest = turn is None or engaged is None or turn == engaged.turn
        found = await self.settling.settle(
            signed.tenant, call.call_sid, caller_gone=gone and newest, over=newest
        )
        if found is not None and traces.on():
            await self._asked_about(signed.tenant, found.call_id, "call-complete", began)
        if gone:
            return next_step(HANG_UP)
        record = None if found is None else await self.calls.get(signed.tenant, found.call_id)
        agent = self._agent(record.agent if record else signed.entry.agent)
        outcome = (record.outcome if record else None) or {}
        return twiml_after(signed.entry, found, agent, str(outcome.get("target", "")))

    async def transfer_state(self, asked: Request, authenticate: Callable[[], Awaitable[str]]) -> Reply:
        """What a call has come to, for a Studio flow or a customer's own function.

        Args:
            asked: signed by Twilio, or with API credentials.
            authenticate: the tenant of the request's credentials.

        Raises:
            SignatureRejected: it has a signature, which does not hold.
            Unauthenticated, OutOfScope: it has none, and no good credentials.
            InvalidInput: it names no call.
        """
        kind = (asked.header("content-type") or "").partition(";")[0].strip().lower()
        is_json = kind == "application/json"
        signed = asked.header("x-twilio-signature") is not None
        if signed:
            tenant = (await self.signatures.any_body(STATE, asked, is_json=is_json)).tenant
        else:
            tenant = await authenticate()
            if tenant not in self.config.twilio:
                raise Forbidden("the Twilio line is not set up for this tenant")
        # Twilio asks when it goes on with a call, so its stream is over; a client may ask at any time.
        began = self.now()
        found = await self.settling.settle(tenant, _ident(asked, is_json=is_json), over=signed)
        if found is not None and traces.on():
            await self._asked_about(tenant, found.call_id, "transfer-state", began)
        return json_reply(state_json(found, self.now()))

    async def _asked_about(self, tenant: str, call_id: str, what: str, began: float) -> None:
        """Twilio, or a client, has asked about a call: a span of the call's trace, whose context the record has."""
        try:
            record = await self.calls.get(tenant, call_id)
        except PatchcordError as error:  # the answer is known already, and is worth more
            logger.warning("call %s: no span of a question: %s", call_id, error.message)
            return
        if record is not None:
            follow_call(record)
            traces.past(what, began, self.now())

    async def stream_status(self, asked: Request) -> Reply:
        """A stream has begun, ended or failed: recorded with its call.

        Raises:
            SignatureRejected, InvalidInput: as `engage`.
        """
        signed = await self.signatures.form(STREAM, asked)
        told = stream_event(signed.params)
        if told.error:
            logger.warning("Twilio reports an error of a stream: %s", told.event)
        call_id = await self._call_id(signed.tenant, told)
        if call_id:
            data = {"name": told.event, "streamSid": told.stream_sid, "message": told.error}
            event = CallEvent(
                f"twilio-{told.event}-{told.stream_sid}", EventKind.CALLBACK, self.now(), {**data}
            )
            await self.calls.append(signed.tenant, call_id, event)
        return Reply(204)

    async def _call_id(self, tenant: str, told: StreamEvent) -> str:
        """Our id of the call that the newest stream of Twilio's is; "" before its audio has come, and for another stream.

        A call may come back to the agent: a late report on its former stream must not end the record of the new one.
        """
        engaged = await self.settling.engagements.get(tenant, told.call_sid)
        if engaged is None or not engaged.transfer_id:
            return ""
        try:
            call_id = (await self.settling.transfers[tenant].get(tenant, engaged.transfer_id)).call_id
        except NotFound:
            return ""
        events = await self.calls.events(call_id)
        is_its = any(
            event.kind is EventKind.RECEIVED and event.data.get("streamSid") == told.stream_sid
            for event in events
        )
        return call_id if is_its else ""

    async def _address(self, tenant: str, call_sid: str) -> str:
        token = await self.minter.mint(Audience.TWILIO_MEDIA, call_id=call_sid, tenant=tenant)
        return f"{self.settings.media_base}/twilio/{token}"

    def _agent(self, name: str) -> AgentConfig | None:
        return self.config.agents.get(name)

    async def _spoken(
        self, path: str, asked: Request, make: Callable[[Signed, CallParams], Awaitable[str]]
    ) -> Reply:
        """The TwiML that `make` gives for a signed webhook; an apology and `next.failed` for every trouble of ours."""
        try:
            signed = await self.signatures.form(path, asked)
        except SignatureRejected as rejected:
            logger.warning("request %s: not signed by Twilio: %s", asked.request_id, rejected.reason)
            raise
        except PatchcordError as error:
            logger.error("request %s: no signature can be checked: %s", asked.request_id, error.message)
            return _twiml(apology(None))  # who asks is unknown, so nothing of the tenant's is told
        call = call_params(signed.params)
        try:
            return _twiml(await make(signed, call))
        except PatchcordError as error:
            logger.error("request %s: %s", asked.request_id, error.message)
        except Exception:  # the caller must hear a word, whatever mistake of ours this is
            logger.exception("request %s failed", asked.request_id)
        return _twiml(self._failed(signed.entry, asked))


def _returns(asked: Request) -> bool:
    """Whether a Studio flow has sent the call here, and wants it back."""
    return ("FlowEvent", "return") in parse_qsl(asked.query)


def _twiml(text: str) -> Reply:
    return Reply(200, text.encode(), {"content-type": "text/xml; charset=utf-8", "cache-control": "no-store"})


def _ident(asked: Request, *, is_json: bool) -> str:
    """The CallSid or the transfer's id that the body names, once."""
    if is_json:
        given = list(as_object(decode(asked.body, field="body", limit=FORM_LIMIT), field="body").items())
    else:
        given = [*form_params(asked.body)]
    for wanted in _IDENTS:
        values = [value for name, value in given if name == wanted]
        if len(values) > 1:
            raise InvalidInput(wanted, "one value")
        if values and values[0] not in ("", None):
            return client_id(values[0], field=wanted)
    raise InvalidInput("CallSid", "Twilio's CallSid, or callTransferId")
