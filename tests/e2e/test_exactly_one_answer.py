"""One call is answered once, however often Event Grid delivers its event."""

import asyncio
import signal

import pytest

from emulator.faults import Faults
from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

GREETED = {"steps": [{"listen": {"within_s": 60}}, {"hang_up": {}}]}


async def test_sixteen_parallel_deliveries_and_one_after_ten_seconds(tmp_path):
    async with running_stack(tmp_path) as stack:
        script = {"steps": [{"wait_ms": {"ms": 11_000, "within_s": 60}}, {"hang_up": {}}]}
        call = await stack.emulator.dial(script, faults=Faults(duplicate_events=15))
        await asyncio.wait_for(call.first("answered"), patience(10))
        await asyncio.sleep(10)
        call.deliver_again()
        await asyncio.wait_for(call.ended(), patience(20))
        record = await settled(stack, call.correlation_id)
        assert call.failed is None
        answers = {status: n for (what, status), n in stack.emulator.operations.items() if what == "answer"}
        assert answers == {200: 1}
        assert kinds(record).count("answered") == 1
        assert record["ended"]["reason"] == "caller_hung_up"
        client = stack.client()
        try:
            assert len(await client.calls()) == 1
        finally:
            await client.close()


async def test_the_function_app_is_killed_between_answer_and_acknowledgement(tmp_path):
    async with running_stack(tmp_path) as stack:
        # The answer takes effect, but its response is held back: the function app dies while it waits for it.
        call = await stack.emulator.dial(GREETED, faults=Faults(rest_delay_s={"answer": 60}))
        await asyncio.wait_for(call.first("answered"), patience(10))
        stack.functions.signal(signal.SIGKILL)
        await stack.functions.wait()
        await stack.start_functions()
        await asyncio.wait_for(call.ended(), patience(60))
        record = await settled(stack, call.correlation_id)
        assert call.failed is None, call.failed
        assert stack.emulator.operations["answer", 200] == 1
        assert record["ended"]["reason"] == "caller_hung_up"
        assert record["callConnectionId"] == call.connection_id


async def test_the_function_app_is_killed_before_it_answers_and_the_redelivery_answers(tmp_path):
    async with running_stack(tmp_path, retry_scale=0.7) as stack:
        stack.functions.signal(signal.SIGSTOP)  # it takes the event, and gets no further
        call = await stack.emulator.dial(GREETED)
        await asyncio.sleep(0.5)
        stack.functions.signal(signal.SIGKILL)
        await stack.functions.wait()
        await stack.start_functions()
        await asyncio.wait_for(call.ended(), patience(60))
        assert call.failed is None, call.failed
        assert stack.emulator.operations["answer", 200] == 1
