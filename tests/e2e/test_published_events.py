"""One call over real processes: a subscriber hears of its answer, its end and its recording."""

import asyncio

import pytest

from cli.stack import TOPIC
from emulator.event_grid.subscriptions import Subscription
from tests.emulator.event_grid.test_topics import Subscriber
from tests.support.api_schemas import event_problems
from tests.support.serving import serving
from tests.support.stack import running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

DIALOGUE = """
name: desk
start: menu
no_match: bye
no_input: bye
listen: {no_input_ms: 60000}
states:
  menu: {say: Hello., keys: {"1": bye}}
  bye: {say: Bye., end: {outcome: SYSTEM, reason: goodbye}}
"""
CONFIG = """
agents:
  desk: {kind: embedded, dialogue: desk.yaml}
routes:
  - {name: desk, to: ["+18005550000"], agent: desk}
"""
CALLER = {
    "to": "+18005550000",
    "steps": [{"listen": {"within_s": 30}}, {"press": "1"}, {"expect_hang_up": {"within_s": 30}}],
}


async def test_a_subscriber_hears_of_a_call(tmp_path):
    (tmp_path / "desk.yaml").write_text(DIALOGUE)
    (tmp_path / "patchcord.yaml").write_text(CONFIG)
    subscriber = Subscriber()
    subscriber.statuses = [500]
    async with (
        serving(subscriber.answer) as base,
        running_stack(tmp_path / "stack", config=tmp_path / "patchcord.yaml", publish=True) as stack,
    ):
        await stack.emulator.subscribe(Subscription("s", base, "cloudevents", topic=TOPIC))
        call = await stack.emulator.dial(CALLER)
        record = await settled(stack, call.correlation_id)
        async with asyncio.timeout(patience(30)):  # the media host's row may wait for the sweep
            while not {"io.patchcord.call.ended", "io.patchcord.call.answered"} <= types(subscriber):
                await asyncio.sleep(0.05)
    for event in subscriber.taken:
        assert event_problems(event) == []
        assert event["subject"] == record["callId"]
    [ended] = [event["data"] for event in subscriber.taken if event["type"] == "io.patchcord.call.ended"]
    assert (ended["transferType"], ended["endedReason"]) == ("SYSTEM", record["endedReason"])


def types(subscriber):
    return {event["type"] for event in subscriber.taken}
