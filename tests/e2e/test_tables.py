"""The whole stack over Azure Tables (Azurite) instead of SQLite: what the two processes share in the cloud."""

import asyncio

import pytest

from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = [pytest.mark.e2e, pytest.mark.azurite]


async def test_a_call_over_azure_tables(tmp_path, azurite):
    async with running_stack(tmp_path, store=azurite) as stack:
        script = {"steps": [{"listen": {"within_s": 60}}, {"press": "0"}, {"wait_ms": 500}, "hang_up"]}
        call = await stack.emulator.dial(script)
        await asyncio.wait_for(call.ended(), patience(60))
        assert call.failed is None
        record = await settled(stack, call.correlation_id)
        assert record["ended"] == {"reason": "caller_hung_up", "by": "caller", "code": 200, "subCode": 7000}
        assert record["keysPressed"] == 1
        assert {"received", "answered", "media_connected", "keys", "media_closed", "disconnected"} <= {
            *kinds(record)
        }
        assert not (tmp_path / "patchcord.db").exists()
