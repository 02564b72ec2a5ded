"""The scenes of `make chaos` under a few calls, on as few stacks as possible; the table's figures come from the command."""

import asyncio
import signal
import time

import pytest

from cli.stack import Stack, StackOptions
from shared.calls.admission import MAX_AGE_S, heartbeats
from shared.security.keyring import open_key_source, rotate_keys
from shared.store import open_store
from tests.e2e.chaos.callers import IDENTITY, Callers, configuration
from tests.e2e.chaos.run import SILENCE_MS, wrong_with
from tests.e2e.chaos.scenes import LEAD_S
from tests.support.echo_model import EchoModel
from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

CALLS, SECONDS = 2, 24
WAYS = """
agents:
  alone: &agent {{kind: realtime, service: openai, endpoint: "{model}", auth: none, model: echo, silence: {{after_s: 0}}}}
  helped: {{<<: *agent, transfers: {{fallback: "+18005550198"}}}}
recovery:
  identity: "{identity}"
  lost: [self_transfer, fallback, notice]
  cognitive_services: https://speech.example
  waiting: One moment.
  notice: Please call again.
routes:
  - {{name: alone, to: ["+18005550000"], agent: alone}}
  - name: helped
    to: ["+18005550001"]
    agent: helped
    overflow: {{action: queue, message: Please hold., cognitive_services: "https://speech.example"}}
"""


async def test_rotation_restart_update_and_crash_one_after_the_other(tmp_path):
    """The same callers live through all of it, on three media hosts and two function apps."""
    async with EchoModel() as model:
        config = tmp_path / "patchcord.yaml"
        config.write_text(configuration(model.endpoint))
        env = {"MEDIA_DRAIN_S": "1"}
        async with Stack(StackOptions(tmp_path / "s", config=config, env=env, retry_scale=0.1)) as stack:
            callers = Callers(stack)
            await callers.heard(await callers.dial(CALLS, SECONDS))

            sources = [open_key_source(address, "") for address in stack.key_addresses]
            assert await rotate_keys(*sources, time.time(), lead_s=LEAD_S, min_age_s=0)
            # A host that has just read its keys looks again after 5 s at the earliest.
            await asyncio.sleep(LEAD_S)
            stack.functions.signal(signal.SIGKILL)
            await stack.functions.wait()
            ringing = await callers.dial(1, SECONDS)
            await stack.start_functions()
            await stack.add_media_host()
            stack.media_hosts[0].signal(signal.SIGTERM)
            await callers.heard(ringing)
            assert await asyncio.wait_for(stack.media_hosts[0].wait(), patience(30)) == 0

            await stack.add_media_host()
            stack.media_hosts[1].signal(signal.SIGKILL)
            await callers.ended()
            told = await callers.told()
    assert [wrong_with(one) for one in told] == [""] * (CALLS + 1)
    assert all(one.moved for one in told[:CALLS]), "they began on a host that had to stop"
    assert max(one.gap_ms for one in told) <= patience(SILENCE_MS)


async def stale(stack: Stack, host_id: str) -> None:
    """Until nobody takes this host for living."""
    store = open_store(stack.store_address)
    try:
        async with asyncio.timeout(patience(MAX_AGE_S + 5)):
            while any(
                one.host_id == host_id and time.time() - one.at <= MAX_AGE_S
                for one in await heartbeats(store)
            ):
                await asyncio.sleep(0.1)
    finally:
        await store.close()


def caller(to: str, hz: int, seconds: float = 60):
    return {"to": to, "steps": [{"tone": {"hz": hz, "seconds": seconds, "within_s": 120}}, "hang_up"]}


async def test_a_queue_a_self_transfer_a_person_and_last_words(tmp_path):
    async with EchoModel() as model:
        config = tmp_path / "patchcord.yaml"
        config.write_text(WAYS.format(model=model.endpoint, identity=IDENTITY))
        async with running_stack(tmp_path / "s", config=config, env={"MEDIA_CAPACITY": "2"}) as stack:
            dial = stack.emulator.dial
            first, alone = await dial(caller("+18005550000", 400)), await dial(caller("+18005550000", 500))
            for call in (first, alone):
                await asyncio.wait_for(call.first("agent_audio"), patience(20))
            waiting = await dial(caller("+18005550001", 600))
            await asyncio.wait_for(waiting.first("agent_audio"), patience(20))  # the message, spoken by ACS
            assert len(model.sessions) == 2
            first.hang_up()
            async with asyncio.timeout(patience(20)):
                while len(model.sessions) < 3:
                    await asyncio.sleep(0.05)

            await stack.add_media_host(MEDIA_CAPACITY="10")
            stack.media_hosts[0].signal(signal.SIGKILL)
            async with asyncio.timeout(patience(20)):
                while len(model.sessions) < 5:
                    await asyncio.sleep(0.05)
            await stale(stack, "media-host-1")
            stack.media_hosts[1].signal(signal.SIGKILL)
            await asyncio.wait_for(waiting.first("transferred"), patience(20))
            await asyncio.gather(*(asyncio.wait_for(call.ended(), patience(30)) for call in (alone, waiting)))

            records = {call: await settled(stack, call.correlation_id) for call in (first, alone, waiting)}
            client = stack.client()
            try:
                every = [await client.call(one["callId"]) for one in await client.calls()]
            finally:
                await client.close()
    assert records[first]["ended"]["reason"] == "caller_hung_up"
    assert kinds(records[waiting]).count("queued") == 2
    last = {}
    for call in (alone, waiting):
        assert records[call]["ended"]["reason"] == "moved"
        assert records[call]["outcome"] is None
        (last[call],) = [one for one in every if one["movedFrom"] == records[call]["callId"]]
        assert last[call]["previousCalls"] == [records[call]["callId"]]
        assert last[call]["from"] == records[call]["from"]
    assert last[alone]["ended"]["reason"] == "media_lost"
    assert [entry["reason"] for entry in last[alone]["timeline"] if entry["kind"] == "recovery"] == [
        "notice",
        "media_lost",
    ]
    assert last[waiting]["ended"]["reason"] == "transferred"
    assert last[waiting]["outcome"]["reason"] == "media_lost"
    assert last[waiting]["outcome"]["transferType"] == "AGENT"
