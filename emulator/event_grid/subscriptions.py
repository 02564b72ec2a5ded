"""Event subscriptions: where events go, which ones, and in which of the two schemas."""

import asyncio
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import aiohttp

from emulator.event_grid.filters import AdvancedFilter, check_filters, matches
from shared.errors import ConfigurationError, PatchcordError

ORIGIN = "eventgrid.azure.net"
MAX_HEADERS = 10
MAX_HEADER_VALUE = 4096
VALIDATION_TIMEOUT_S = 30.0

type Json = Mapping[str, Any]


class SubscriptionRefused(PatchcordError):
    """The endpoint did not pass the validation handshake; the message names the subscription, never the address."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """One event subscription (acs.md 5.3 to 5.5).

    Attributes:
        name: its name.
        endpoint: the webhook's address; may hold a key, so it is never printed.
        schema: `eventgrid` or `cloudevents`.
        included_event_types: full type names; empty means all.
        filters: advanced filters, joined by AND.
        headers: static delivery properties, at most 10; may be secret, so they are never printed.
        max_attempts: deliveries of one event (Event Grid's default: 30).
        ttl_s: an event is not delivered any more when it is older (s; Event Grid's default: 1440 minutes).
    """

    name: str
    endpoint: str = field(repr=False)
    schema: Literal["eventgrid", "cloudevents"] = "eventgrid"
    included_event_types: Sequence[str] = ()
    filters: Sequence[AdvancedFilter] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_attempts: int = 30
    ttl_s: float = 1440 * 60

    def check(self) -> None:
        """See that Event Grid would take it.

        Raises:
            ConfigurationError: names the wrong part.
        """
        where = f"subscriptions.{self.name}"
        if not self.endpoint.startswith(("http://", "https://")):
            raise ConfigurationError(f"{where}.endpoint", "an http or https address")
        if self.schema not in ("eventgrid", "cloudevents"):
            raise ConfigurationError(f"{where}.schema", "eventgrid or cloudevents", self.schema)
        if len(self.headers) > MAX_HEADERS or any(
            len(value) > MAX_HEADER_VALUE for value in self.headers.values()
        ):
            raise ConfigurationError(
                f"{where}.headers", f"at most {MAX_HEADERS} of {MAX_HEADER_VALUE} bytes each"
            )
        if not 1 <= self.max_attempts <= 30:
            raise ConfigurationError(f"{where}.max_attempts", "1 to 30", str(self.max_attempts))
        check_filters(self.filters, f"{where}.filters")

    def wants(self, event: Json) -> bool:
        """Whether an event (Event Grid schema) passes the filters."""
        return matches(event, self.included_event_types, self.filters)

    def render(self, event: Json) -> bytes:
        """The body of a delivery of one event: an array in the Event Grid schema, a single CloudEvent otherwise."""
        if self.schema == "eventgrid":
            return json.dumps([event]).encode()
        cloud_event = {
            "id": event["id"],
            "source": event["topic"],
            "subject": event["subject"],
            "type": event["eventType"],
            "specversion": "1.0",
            "time": event["eventTime"],
            "data": event["data"],
        }
        return json.dumps(cloud_event).encode()

    def delivery_headers(self, event: Json, attempt: int) -> dict[str, str]:
        """The headers of attempt number `attempt` (from 1)."""
        own = {
            "aeg-subscription-name": self.name.upper(),
            "aeg-delivery-count": str(attempt - 1),
            "aeg-event-type": "Notification",
            "aeg-output-event-id": str(event["id"]),
        }
        if self.schema == "eventgrid":
            own |= {
                "Content-Type": "application/json; charset=utf-8",
                "aeg-metadata-version": str(event["metadataVersion"]),
                "aeg-data-version": str(event["dataVersion"]),
            }
        else:
            own |= {"Content-Type": "application/cloudevents+json; charset=utf-8", "Origin": ORIGIN}
        return {**self.headers, **own}


async def validate(session: aiohttp.ClientSession, subscription: Subscription, topic: str) -> None:
    """The handshake that proves that the endpoint wants events (acs.md 5.4).

    Raises:
        SubscriptionRefused: it does not answer, or not as it has to.
    """
    shake = _validate_event if subscription.schema == "eventgrid" else _validate_origin
    try:
        async with asyncio.timeout(VALIDATION_TIMEOUT_S):
            problem = await shake(session, subscription, topic)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        problem = f"no answer ({type(error).__name__})"
    if problem:
        raise SubscriptionRefused(f"subscription {subscription.name}: validation failed: {problem}")


async def _validate_event(session: aiohttp.ClientSession, subscription: Subscription, topic: str) -> str:
    code = str(uuid.uuid4())
    event = {
        "id": str(uuid.uuid4()),
        "topic": topic,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    headers = {
        **subscription.headers,
        "aeg-event-type": "SubscriptionValidation",
        "aeg-subscription-name": subscription.name.upper(),
        "Content-Type": "application/json; charset=utf-8",
    }
    async with session.post(
        subscription.endpoint, data=json.dumps([event]), headers=headers, allow_redirects=False
    ) as response:
        if response.status != 200:
            return f"status {response.status} instead of 200"
        try:
            answer = json.loads(await response.read())
        except ValueError:
            return "the answer is no JSON"
        if not isinstance(answer, dict) or answer.get("validationResponse") != code:
            return "the answer does not hold the validation code"
        return ""


async def _validate_origin(session: aiohttp.ClientSession, subscription: Subscription, _: str) -> str:
    headers = {
        **subscription.headers,
        "WebHook-Request-Origin": ORIGIN,
        "WebHook-Request-Rate": "120",
    }
    async with session.options(subscription.endpoint, headers=headers, allow_redirects=False) as response:
        if response.status != 200:
            return f"status {response.status} instead of 200"
        allowed = response.headers.get("WebHook-Allowed-Origin", "")
        return "" if allowed in ("*", ORIGIN) else "WebHook-Allowed-Origin does not allow Event Grid"
