"""Event subscriptions: where events go, which ones, in which of the two schemas, and with which headers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from emulator.event_grid.filters import MISSING, AdvancedFilter, check_filters, look_up, matches
from shared.errors import ConfigurationError

ORIGIN = "eventgrid.azure.net"
MAX_HEADERS = 10
MAX_HEADER_VALUE = 4096
MAX_EVENTS = 5000
MAX_BATCH_KB = 1024

type Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subscription:
    """One event subscription (acs.md 5.3 to 5.5).

    Attributes:
        name: its name.
        endpoint: the webhook's address; may hold a key, so it is never printed.
        schema: `eventgrid` or `cloudevents`.
        included_event_types: full type names; empty means all.
        filters: advanced filters, joined by AND.
        headers: static delivery properties; may be secret, so their values are never printed.
        max_attempts: deliveries of one event (Event Grid's default: 30).
        ttl_s: an event is not delivered any more when it is older (s; Event Grid's default: 1440 minutes).
        dynamic_headers: delivery properties whose value comes from the event: name to key (`data.from.rawId`); left out when
            the event has no text, number or bool there. With the static ones at most 10.
        subject_begins_with: only subjects that begin with it; case is ignored.
        subject_ends_with: only subjects that end with it; case is ignored.
        filter_arrays: filters look into arrays (`enableAdvancedFilteringOnArrays`).
        max_events: events in one request, 1 to 5000; 1 is no batching. Batches are not waited for: what is there goes out.
        preferred_batch_kb: a batch is full at this size, 1 to 1024 KiB; a larger event goes alone.
        topic: the custom topic's name (its schema is cloudevents), or "" for the ACS resource's own topic.
    """

    name: str
    endpoint: str = field(repr=False)
    schema: Literal["eventgrid", "cloudevents"] = "eventgrid"
    included_event_types: Sequence[str] = ()
    filters: Sequence[AdvancedFilter] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    max_attempts: int = 30
    ttl_s: float = 1440 * 60
    dynamic_headers: Mapping[str, str] = field(default_factory=dict)
    subject_begins_with: str = ""
    subject_ends_with: str = ""
    filter_arrays: bool = False
    max_events: int = 1
    preferred_batch_kb: int = 64
    topic: str = ""

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
        if self.topic and self.schema != "cloudevents":
            raise ConfigurationError(f"{where}.schema", "cloudevents, as that of its topic", self.schema)
        if len(self.headers) + len(self.dynamic_headers) > MAX_HEADERS or any(
            len(value.encode()) > MAX_HEADER_VALUE for value in self.headers.values()
        ):
            raise ConfigurationError(
                f"{where}.headers", f"at most {MAX_HEADERS} of {MAX_HEADER_VALUE} bytes each"
            )
        for name, value in [*self.headers.items(), *((name, "") for name in self.dynamic_headers)]:
            if not name or not name.isascii() or any(sign in name + value for sign in "\r\n\0"):
                raise ConfigurationError(f"{where}.headers", "header names and values of one line")
        if not 1 <= self.max_attempts <= 30:
            raise ConfigurationError(f"{where}.max_attempts", "1 to 30", str(self.max_attempts))
        if not 1 <= self.max_events <= MAX_EVENTS:
            raise ConfigurationError(f"{where}.max_events", f"1 to {MAX_EVENTS}", str(self.max_events))
        if not 1 <= self.preferred_batch_kb <= MAX_BATCH_KB:
            raise ConfigurationError(
                f"{where}.preferred_batch_kb", f"1 to {MAX_BATCH_KB}", str(self.preferred_batch_kb)
            )
        check_filters(self.filters, f"{where}.filters")

    @property
    def batching(self) -> bool:
        """Whether several events may come in one request."""
        return self.max_events > 1

    def wants(self, event: Json) -> bool:
        """Whether an event (Event Grid schema) passes the filters."""
        subject = str(event["subject"]).casefold()
        return (
            subject.startswith(self.subject_begins_with.casefold())
            and subject.endswith(self.subject_ends_with.casefold())
            and matches(event, self.included_event_types, self.filters, arrays=self.filter_arrays)
        )

    def render_one(self, event: Json) -> bytes:
        """One event in the subscription's schema."""
        if self.schema == "eventgrid":
            return json.dumps(event).encode()
        if "cloudEvent" in event:  # published as one
            return json.dumps(event["cloudEvent"]).encode()
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

    def render(self, *events: Json) -> bytes:
        """The body of a delivery: an array, or in the CloudEvents schema without batching a single CloudEvent."""
        if self.schema == "cloudevents" and not self.batching:
            return self.render_one(events[0])
        return b"[" + b",".join(map(self.render_one, events)) + b"]"

    def delivery_headers(self, event: Json, attempt: int) -> dict[str, str]:
        """The headers of attempt number `attempt` (from 1); `event` is the first one of a batch."""
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
            batch = "-batch" if self.batching else ""
            own |= {"Content-Type": f"application/cloudevents{batch}+json; charset=utf-8", "Origin": ORIGIN}
        return {**self.headers, **self._dynamic(event), **own}

    def _dynamic(self, event: Json) -> dict[str, str]:
        found = {name: look_up(event, key.removeprefix("$.")) for name, key in self.dynamic_headers.items()}
        return {
            name: json.dumps(value) if isinstance(value, bool) else str(value)[:MAX_HEADER_VALUE]
            for name, value in found.items()
            if value is not MISSING
            and isinstance(value, str | int | float)
            and str(value).isprintable()
            and str(value).isascii()
        }
