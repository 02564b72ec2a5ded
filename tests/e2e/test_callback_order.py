"""Callbacks in every order, each doubled, give the same final record: over HTTP, into the running function app."""

import itertools
import time

import aiohttp
import pytest

from cli.stack import Stack
from shared.calls.repository import Calls
from shared.security.keyring import KeyRing, open_key_source
from shared.security.tokens import Audience, TokenMinter
from shared.store import open_store
from tests.support.callbacks import four_callbacks
from tests.support.stack import answered_call, running_stack

pytestmark = pytest.mark.e2e


async def post(session: aiohttp.ClientSession, stack: Stack, token: str, event: dict[str, object]) -> None:
    url = f"{stack.functions_base}/api/call-events/{token}"
    headers = {"Authorization": stack.emulator.signer.callback_header()}
    async with session.post(url, json=[event], headers=headers) as response:
        assert response.status == 200, await response.text()


async def test_every_order_of_four_doubled_callbacks_gives_the_same_record(tmp_path):
    async with running_stack(tmp_path) as stack:
        store = open_store(stack.store_address)
        client = stack.client()
        try:
            calls = Calls(store, time.time)
            keys = open_key_source(f"file:{tmp_path / 'keys' / 'signing.json'}", "")
            minter = TokenMinter(KeyRing(keys, time.time), time.time)
            records = []
            async with aiohttp.ClientSession() as session:
                for number, order in enumerate(itertools.permutations(range(4))):
                    call_id, connection_id = await answered_call(calls, number)
                    token = await minter.mint(Audience.ACS_CALLBACK, call_id=call_id, tenant="default")
                    events = four_callbacks(connection_id)
                    for position in (*order, *order):
                        await post(session, stack, token, events[position])
                    record = dict(await client.call(call_id))
                    assert record["callId"] == call_id
                    assert record["callConnectionId"] == connection_id
                    records.append({**record, "callId": "", "callConnectionId": ""})
        finally:
            await client.close()
            await store.close()
        assert len(records) == 24
        assert records[0]["state"] == "ended"
        assert records[0]["ended"] == {
            "reason": "caller_hung_up",
            "by": "caller",
            "code": 200,
            "subCode": 7000,
        }
        assert [entry["kind"] for entry in records[0]["timeline"]] == [
            "received", "answered", "connected", "participants", "media_started", "disconnected",
        ]  # fmt: skip
        for record in records[1:]:
            assert record == records[0]
