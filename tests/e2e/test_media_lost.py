"""A media host dies in mid-call: the caller is not left in silence."""

import asyncio
import signal

import pytest

from cli.processes import ROOT
from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

SCRIPT = {"steps": [{"listen": {"within_s": 60}}, {"expect_hang_up": {"within_s": 60}}]}


async def talking(stack):
    """A call in which the agent has begun to speak."""
    call = await stack.emulator.dial(SCRIPT)
    await asyncio.wait_for(call.first("agent_audio"), patience(20))
    return call


async def test_without_another_host_and_a_person_the_call_is_hung_up_with_a_reason(tmp_path):
    config = tmp_path / "patchcord.yaml"
    text = (ROOT / "patchcord.yaml").read_text().replace("dialogues/", f"{ROOT}/dialogues/")
    config.write_text(text.replace('      fallback: "+18005550198"\n', ""))
    async with running_stack(tmp_path / "stack", config=config) as stack:
        call = await talking(stack)
        stack.media_hosts[0].signal(signal.SIGKILL)
        lost = await asyncio.wait_for(call.first("media_lost"), patience(5))
        await asyncio.wait_for(call.ended(), patience(10))
        record = await settled(stack, call.correlation_id)
        (silence_ms,) = call.summary()["silent_after_media_loss_ms"]
        assert silence_ms <= patience(3000), (lost, record["timeline"])
        assert record["ended"]["reason"] == "media_lost"
        assert record["media"]["lost"] is True
        assert "media_lost" in kinds(record)


async def test_another_host_goes_on_with_the_call(tmp_path):
    async with running_stack(tmp_path) as stack:
        call = await talking(stack)
        await stack.add_media_host()
        stack.media_hosts[0].signal(signal.SIGKILL)
        await asyncio.wait_for(call.first("media_lost"), patience(5))
        async with asyncio.timeout(patience(10)):
            while not call.summary()["silent_after_media_loss_ms"]:
                await asyncio.sleep(0.05)
        (silence_ms,) = call.summary()["silent_after_media_loss_ms"]
        assert silence_ms <= patience(3000)
        await asyncio.sleep(2.5)  # the transcript holds what was heard: "Sorry, the line was interrupted."
        call.hang_up()
        await asyncio.wait_for(call.ended(), patience(10))
        record = await settled(stack, call.correlation_id)
        assert kinds(record).count("media_connected") == 2
        assert record["media"]["hostId"] == "media-host-2"
        assert record["media"]["lost"] is True
        assert record["ended"]["reason"] == "caller_hung_up"
        assert any("interrupted" in turn["text"] for turn in record["transcript"] if turn["who"] == "agent")
