"""The whole of Patchcord for end-to-end tests: real processes, and a look for secrets in what they wrote."""

import json
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cli.stack import Stack, StackOptions
from shared.calls.events import CallEvent, EventKind
from shared.calls.repository import Calls, new_call_id
from tests.support.scan import scan
from tests.support.timing import patience

QUICK_RETRIES = 0.05
"""Event Grid's 10 s, 30 s, … become 0.5 s, 1.5 s, …"""

ANSWERED_AT = 1_795_218_629.0
"""2026-11-20T23:50:29Z, a second before the first callback's time."""


@asynccontextmanager
async def running_stack(
    folder: Path, *, known: Iterable[str] = (), retry_scale: float = QUICK_RETRIES, **options: Any
) -> AsyncIterator[Stack]:
    """A stack in `folder`; its logs must hold no secret and no unexpected exception, and nothing may be left open.

    Args:
        folder: an empty folder.
        known: further secrets to look for (keys that the caller presses).
        retry_scale: see `StackOptions`.
        options: the other fields of `StackOptions`.
    """
    stack = Stack(StackOptions(folder, retry_scale=retry_scale, **options))
    async with stack:
        yield stack
    secrets = [
        stack.control_key,
        stack.emulator.config.access_key,
        stack.credentials["api-secret"],
        *json.loads((folder / "keys" / "functions.json").read_text())["system"].values(),
        *known,
    ]
    assert scan([stack.logs], secrets) == []
    for log in stack.logs.iterdir():
        text = log.read_text(errors="replace")
        assert "Traceback" not in text and "Unclosed" not in text, text[-4000:]


async def settled(stack: Stack, correlation_id: str, within_s: float = 20) -> dict[str, Any]:
    """The call's record once it is complete, through the function app's own API."""
    client = stack.client()
    try:
        return dict(await client.settled(correlation_id, patience(within_s)))
    finally:
        await client.close()


def kinds(record: dict[str, Any]) -> list[str]:
    """The kinds of a record's timeline, in its order."""
    return [entry["kind"] for entry in record["timeline"]]


async def answered_call(calls: Calls, number: int = 0) -> tuple[str, str]:
    """A call as `incoming_call` leaves it; returns its id and its connection id."""
    call_id, connection_id = new_call_id(time.time() + number), f"connection-{number}"
    received = {
        "callId": call_id,
        "tenant": "default",
        "from": "+14255550100",
        "to": "+18005550000",
        "agent": "reception",
    }
    await calls.append(
        "default", call_id, CallEvent("received", EventKind.RECEIVED, ANSWERED_AT - 1, received)
    )
    assert await calls.bind_connection(call_id, connection_id)
    answered = {"callConnectionId": connection_id}
    await calls.append("default", call_id, CallEvent("answered", EventKind.ANSWERED, ANSWERED_AT, answered))
    return call_id, connection_id
