"""The handshakes that prove that an endpoint wants events: by code, by address, by CloudEvents `OPTIONS` (acs.md 5.4)."""

import asyncio
import json
import secrets
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import aiohttp

from emulator.event_grid.subscriptions import ORIGIN, Subscription
from shared.errors import PatchcordError

ANSWER_WITHIN_S = 30.0
BY_ADDRESS_WITHIN_S = 600.0
"""So long (s) Event Grid waits for a GET of `validationUrl`."""
RATE = "120"


class SubscriptionRefused(PatchcordError):
    """The endpoint did not pass the validation handshake; the message names the subscription, never the address."""


class Validator:
    """Makes handshakes, and takes the GETs of validation addresses.

    Args:
        session: makes the requests.
        topic: the resource id of the topic.
        address: makes the address at which the emulator waits for a GET, from its one-time key; None when it serves none.
        wait_s: how long it waits for that (s).
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        topic: str,
        address: Callable[[str], str] | None = None,
        wait_s: float = BY_ADDRESS_WITHIN_S,
    ) -> None:
        self._session = session
        self._topic = topic
        self._address = address
        self._wait_s = wait_s
        self._waiting: dict[str, asyncio.Event] = {}

    def confirm(self, key: str) -> bool:
        """Somebody asked for a validation address; returns whether it was one that is waited for."""
        event = self._waiting.get(key)
        if event is not None:
            event.set()
        return event is not None

    async def validate(self, subscription: Subscription) -> None:
        """Shake hands with the subscription's endpoint.

        Raises:
            SubscriptionRefused: it does not answer, not as it has to, or not in time.
        """
        shake = self._by_event if subscription.schema == "eventgrid" else self._by_options
        key = secrets.token_urlsafe(24)
        asked = self._waiting[key] = asyncio.Event()
        try:
            try:
                async with asyncio.timeout(ANSWER_WITHIN_S):
                    problem, may_wait = await shake(subscription, key)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                problem, may_wait = f"no answer ({type(error).__name__})", asked.is_set()
            if problem and may_wait and self._address is not None:
                problem = await self._asked(asked, problem)
        finally:
            del self._waiting[key]
        if problem:
            raise SubscriptionRefused(f"subscription {subscription.name}: validation failed: {problem}")

    async def _asked(self, asked: asyncio.Event, problem: str) -> str:
        try:
            async with asyncio.timeout(self._wait_s):
                await asked.wait()
        except TimeoutError:
            return f"{problem}, and nobody asked for the validation address within {self._wait_s:g} s"
        return ""

    async def _by_event(self, subscription: Subscription, key: str) -> tuple[str, bool]:
        """The Event Grid schema: an event with a code. Returns the problem, and whether a GET may still solve it."""
        code = str(uuid.uuid4())
        data = {"validationCode": code}
        if self._address is not None:
            data["validationUrl"] = self._address(key)
        event = {
            "id": str(uuid.uuid4()),
            "topic": self._topic,
            "subject": "",
            "data": data,
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
        async with self._session.post(
            subscription.endpoint, data=json.dumps([event]), headers=headers, allow_redirects=False
        ) as response:
            if response.status != 200:
                return f"status {response.status} instead of 200", False
            text = await response.read()
        answer = _json(text)
        given = answer.get("validationResponse") if isinstance(answer, dict) else None
        if given == code:
            return "", False
        if text and answer is None:
            return "the answer is no JSON", True
        return "the answer does not hold the validation code", given is None

    async def _by_options(self, subscription: Subscription, key: str) -> tuple[str, bool]:
        """The CloudEvents schema: `OPTIONS`, which the endpoint answers at once, or by asking for a callback address."""
        headers = {
            **subscription.headers,
            "WebHook-Request-Origin": ORIGIN,
            "WebHook-Request-Rate": RATE,
        }
        if self._address is not None:
            headers["WebHook-Request-Callback"] = self._address(key)
        async with self._session.options(
            subscription.endpoint, headers=headers, allow_redirects=False
        ) as response:
            if response.status != 200:
                return f"status {response.status} instead of 200", False
            allowed = response.headers.get("WebHook-Allowed-Origin", "")
        if allowed in ("*", ORIGIN):
            return "", False
        return "WebHook-Allowed-Origin does not allow Event Grid", not allowed


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
