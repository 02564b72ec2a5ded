"""Events at our HTTP door: a tenant's own Event Grid subscription posts here, with credentials in two headers.

Two handshakes belong to it (acs.md 5.4): the validation event of Event Grid's schema, and `OPTIONS` of CloudEvents. Both
want the credentials too, unless REQUIRE_HEADERS_ON_VALIDATION is off. `validationUrl` and `WebHook-Request-Callback` are
never fetched: we call no address that a request names.
"""

import asyncio
import logging
import re
from dataclasses import dataclass
from itertools import batched

from shared.calls.answering import Answering
from shared.calls.lifecycle import report
from shared.calls.poison import put_aside
from shared.errors import InvalidInput, PatchcordError, Unauthenticated
from shared.http import Reply, Request, json_reply
from shared.security.tenants import Scope, TenantDoor
from shared.telemetry import metrics
from shared.wire.acs_events import (
    INCOMING_CALL,
    GridEvent,
    Malformed,
    parse_grid_body,
    validation_code,
)

COMPATIBLE_HEADERS = ("asapp-api-id", "asapp-api-secret")
"""Header names of subscriptions made for the system that Patchcord replaces; taken on its path only (requirement 4)."""

RATE_PER_MINUTE = "120"

AT_ONCE = 16
"""Events of one delivery that are handled at the same time."""

_ORIGIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GridDoor:
    """The handler of `/api/acs-events` and its other names."""

    answering: Answering
    door: TenantDoor

    async def handshake(self, asked: Request, *, compatible: bool = False) -> Reply:
        """CloudEvents' abuse protection (`OPTIONS`): allow the asking origin."""
        if self.answering.settings.headers_on_validation:
            await self._authenticate(asked, compatible=compatible)
        origin = asked.header("webhook-request-origin") or ""
        if not _ORIGIN.fullmatch(origin):
            raise InvalidInput("WebHook-Request-Origin", "a host name")
        headers = {
            "allow": "POST, OPTIONS",
            "webhook-allowed-origin": origin,
            "webhook-allowed-rate": RATE_PER_MINUTE,
        }
        return Reply(200, b"", headers)

    async def events(self, asked: Request, *, compatible: bool = False) -> Reply:
        """A delivery: authenticated as a whole, then each event by itself.

        Raises:
            Unauthenticated: no or wrong credentials; nothing was done.
            InvalidInput: the body cannot be read, or not one of its events.
            PatchcordError: a retryable one, after all other events were handled.
        """
        if self.answering.settings.headers_on_validation:
            tenant = await self._authenticate(asked, compatible=compatible)
            events = parse_grid_body(asked.body)
            if (reply := _validation(asked, events)) is not None:
                return reply
        else:
            events = parse_grid_body(asked.body)
            if (reply := _validation(asked, events)) is not None:
                return reply
            tenant = await self._authenticate(asked, compatible=compatible)
        return await self._handle(asked, tenant, events)

    async def _handle(self, asked: Request, tenant: str, events: list[GridEvent | Malformed]) -> Reply:
        """Each event by itself, a few at a time: the last caller of a batch must not wait until all others are answered."""
        faults: list[PatchcordError] = []
        for some in batched(events, AT_ONCE, strict=False):
            done = await asyncio.gather(*(self._one(asked, tenant, event) for event in some))
            faults += [fault for fault in done if fault is not None]
        mistakes = [fault for fault in faults if isinstance(fault, InvalidInput)]
        others = [fault for fault in faults if not isinstance(fault, InvalidInput)]
        if others:
            raise next((fault for fault in others if fault.retryable), others[0])
        if mistakes and len(mistakes) == len(events):
            raise mistakes[0]
        return json_reply({"requestId": asked.request_id, "events": len(events)})

    async def _one(self, asked: Request, tenant: str, event: GridEvent | Malformed) -> PatchcordError | None:
        """Handle one event; what went wrong with it, if anything, is for the whole delivery's answer."""
        try:
            try:
                await self._take(asked, tenant, event)
            except InvalidInput as error:
                await self._put_aside(asked, event, "malformed", error.message)
                return error
            except PatchcordError:
                raise
            except Exception as error:  # a mistake of ours must cost this event only (design.md, decision 6)
                logger.exception("request %s: an event failed", asked.request_id)
                await self._put_aside(asked, event, "internal", type(error).__name__)
        except PatchcordError as error:
            return error
        return None

    async def _take(self, asked: Request, tenant: str, event: GridEvent | Malformed) -> None:
        if isinstance(event, Malformed):
            raise InvalidInput(f"[{event.index}].{event.field}", event.expected)
        if event.type == INCOMING_CALL:
            done = await self.answering.incoming(event, tenant=tenant, request_id=asked.request_id)
            metrics.EVENTS.add(result=done)
        else:
            report(event)

    async def _put_aside(
        self, asked: Request, event: GridEvent | Malformed, reason: str, detail: str
    ) -> None:
        await put_aside(
            self.answering.store,
            event_id=event.id if isinstance(event, GridEvent) else f"{asked.request_id}.{event.index}",
            event_type=event.type if isinstance(event, GridEvent) else "",
            reason=reason,
            detail=detail,
            at=self.answering.now(),
        )

    async def _authenticate(self, asked: Request, *, compatible: bool) -> str:
        settings = self.answering.settings
        return await authenticate(
            self.door,
            asked,
            (settings.api_id_header, settings.api_secret_header),
            Scope.EVENTS,
            compatible=compatible,
        )


async def authenticate(
    door: TenantDoor, asked: Request, names: tuple[str, str], scope: Scope, *, compatible: bool = False
) -> str:
    """The tenant whose credentials the request carries.

    Raises:
        Unauthenticated: missing, wrong or ambiguous ones.
        OutOfScope: they were not made for `scope`.
    """
    pairs = [names, COMPATIBLE_HEADERS] if compatible else [names]
    present = [
        pair for pair in pairs if asked.header(pair[0]) is not None or asked.header(pair[1]) is not None
    ]
    if len(present) > 1 and present[0] != present[1]:
        raise Unauthenticated("ambiguous")
    id_name, secret_name = present[0] if present else names
    return await door.authenticate(asked.header(id_name), asked.header(secret_name), scope)


def _validation(asked: Request, events: list[GridEvent | Malformed]) -> Reply | None:
    """The answer to a validation event that stands alone; None when there is none."""
    codes = [validation_code(event) for event in events if isinstance(event, GridEvent)]
    wanted = (asked.header("aeg-event-type") or "").lower() == "subscriptionvalidation"
    if not any(codes):
        if wanted:
            raise InvalidInput("eventType", "a validation event, as aeg-event-type says")
        return None
    if len(events) != 1:
        raise InvalidInput("body", "a validation event alone")
    logger.info("request %s: subscription validated", asked.request_id)
    return json_reply({"validationResponse": codes[0]})
