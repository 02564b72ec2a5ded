"""Calls in a real store for the tests of post-call hooks."""

import contextlib
import time

import msgspec

from shared.calls.events import EventKind
from shared.calls.repository import Calls, new_call_id
from shared.config.document import Config
from shared.store import open_store


def config_of(hook):
    agents = {"desk": {"kind": "embedded", "dialogue": "d.yaml"}}
    if hook is not None:
        agents["desk"]["post_call"] = hook
    return msgspec.convert({"agents": agents, "routes": []}, Config)


@contextlib.asynccontextmanager
async def open_calls(folder):
    store = open_store(f"sqlite:{folder / 'calls.db'}")
    try:
        yield Calls(store, time.time)
    finally:
        await store.close()


async def a_call(calls, variables=None, *, over=True):
    """A call whose audio has ended; with `over` ACS has said so as well."""
    call_id = new_call_id(time.time())
    note = calls.note
    await note(
        "default",
        call_id,
        "received",
        EventKind.RECEIVED,
        callId=call_id,
        tenant="default",
        agent="desk",
        to="+18005550000",
        **{"from": "+14255550100", "inputVariables": dict(variables or {})},
    )
    await note("default", call_id, "media", EventKind.MEDIA_CONNECTED, hostId="host-a")
    await note("default", call_id, "closed", EventKind.MEDIA_CLOSED, reason="line_closed", durationMs=5)
    if over:
        await disconnect(calls, call_id)
    return call_id


async def disconnect(calls, call_id):
    await calls.note("default", call_id, "acs-1", EventKind.DISCONNECTED, code=200)
