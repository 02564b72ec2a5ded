"""Whatever fails, the caller is not left in silence for more than 3 s, and the record says why."""

import asyncio
import io
import signal
import sqlite3
import time
import wave
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus

import numpy as np
import pytest

from cli.processes import ROOT, free_port
from emulator.faults import Faults
from emulator.phone.script import load_script
from tests.support.echo_model import EchoModel
from tests.support.realtime_server import RealtimeServer
from tests.support.stack import kinds, running_stack, settled
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

KEYS_FOR_HUMAN = {
    "steps": [
        {"listen": {"within_s": 30}},
        {"press": "0"},
        "listen",
        {"press": "1"},
        "listen",
        {"listen": {"within_s": 60, "quiet_ms": 2500}},
        {"press": "9"},
        {"expect_hang_up": {"within_s": 60}},
    ]
}
"""A human is asked for, and when there is none, the agent that comes back is told goodbye."""

PATIENT = {"steps": [{"expect_hang_up": {"within_s": 60}}]}
SILENCE_MS = 3000
APOLOGY_MS = 1500
"""Every notice of the host is longer than this."""

MODEL = "kind: realtime, service: openai, auth: none, model: none"
AGENTS = """
agents:
  refused: {{{model}, endpoint: {refused}}}
  refused-helped: {{{model}, endpoint: {refused}, transfers: {{fallback: "+18005550198"}}}}
  mute: {{{model}, endpoint: {mute}}}
  broken: {{{model}, endpoint: {broken}}}
  broken-helped: {{{model}, endpoint: {broken}, transfers: {{fallback: "+18005550198"}}}}
routes:
  - {{name: refused, to: ["+18005550001"], agent: refused}}
  - {{name: refused-helped, to: ["+18005550002"], agent: refused-helped}}
  - {{name: mute, to: ["+18005550003"], agent: mute}}
  - {{name: broken, to: ["+18005550004"], agent: broken}}
  - {{name: broken-helped, to: ["+18005550005"], agent: broken-helped}}
"""

ECHO = """
agents:
  mirror: {{kind: realtime, service: openai, endpoint: {url}, auth: none, model: echo}}
routes:
  - {{name: all, to: ["*"], agent: mirror}}
"""


async def called(stack, script, **faults):
    """One call from dialling to its record."""
    call = await stack.emulator.dial(script, faults=Faults(**faults))
    return call, await finished(stack, call)


async def finished(stack, call):
    await asyncio.wait_for(call.ended(), patience(30))
    return await settled(stack, call.correlation_id)


def loud_ms(call):
    return call.summary()["heard_ms"]


def quiet_frames(call, after_s):
    """For each 20 ms that the caller heard, from `after_s` of the call on: whether they were silent."""
    with wave.open(io.BytesIO(call.heard_wav())) as wav:
        rate = wav.getframerate()
        samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2").astype(float)
    frame = rate // 50
    frames = samples[int(after_s * rate) :]
    frames = frames[: len(frames) // frame * frame].reshape(-1, frame)
    return np.sqrt((frames**2).mean(axis=1)) < 100


def loud_after_ms(call, after_s):
    return int((~quiet_frames(call, after_s)).sum()) * 20


def longest_silence_ms(call, after_s=0.0):
    longest = run = 0
    for quiet in quiet_frames(call, after_s):
        run = run + 20 if quiet else 0
        longest = max(longest, run)
    return longest


def seconds_into(record, kind):
    """When the first event of a kind happened, counted from the first audio connection (s)."""
    first = {entry["kind"]: datetime.fromisoformat(entry["at"]) for entry in reversed(record["timeline"])}
    return (first[kind] - first["media_connected"]).total_seconds()


def codes(record):
    return [fault["code"] for fault in record["faults"]]


async def begin_a_sentence_and_break(server, all_speak):
    """The model says a second of its first sentence, then its connection is gone, and there is no other."""
    session = await server.session()
    await session.next("response.create")
    await session.created("r1")
    tone = (8000 * np.sin(np.arange(24000) * 2 * np.pi * 440 / 24000)).astype("<i2").tobytes()
    await session.delta("r1", "i1", tone)
    await all_speak.wait()
    await asyncio.sleep(0.5)
    server.refuse = HTTPStatus.SERVICE_UNAVAILABLE
    session.socket.transport.abort()


async def test_the_agent_cannot_start_or_breaks_off(tmp_path):
    async with (
        RealtimeServer(updated=lambda _event: None) as mute,
        RealtimeServer() as broken,
    ):
        config = tmp_path / "patchcord.yaml"
        refused = f"ws://127.0.0.1:{free_port()}"
        config.write_text(
            AGENTS.format(model=MODEL, refused=refused, mute=mute.endpoint, broken=broken.endpoint)
        )
        async with running_stack(tmp_path / "stack", config=config) as stack, asyncio.TaskGroup() as tasks:
            all_speak = asyncio.Barrier(2)
            for _ in range(2):
                tasks.create_task(begin_a_sentence_and_break(broken, all_speak))
            calls = [
                tasks.create_task(called(stack, PATIENT | {"to": f"+1800555000{number}"}))
                for number in range(1, 6)
            ]
            results = await asyncio.gather(*calls)
    for call, record in results:
        agent = record["agent"]
        expected = {"mute": "agent_timeout", "broken": "agent_lost", "broken-helped": "agent_lost"}
        reason = expected.get(agent, "agent_unavailable")
        assert call.failed is None, (agent, call.failed)
        assert call.summary()["first_audio_ms"] <= patience(SILENCE_MS), agent
        assert longest_silence_ms(call) <= patience(SILENCE_MS), agent
        assert loud_ms(call) > APOLOGY_MS, agent
        sought = ["agent_reconnecting"] if reason == "agent_lost" else []
        assert codes(record) == [*sought, reason], agent
        assert record["outcome"]["reason"] == reason
        if agent.endswith("-helped"):
            assert [event["to"] for event in call.events if event["kind"] == "transferred"] == [
                "+18005550198"
            ]
            assert record["outcome"]["transferType"] == "AGENT"
            assert record["ended"]["reason"] == "transferred"
        else:
            assert record["outcome"]["transferType"] == "SYSTEM"
            assert (record["ended"]["by"], record["ended"]["reason"]) == ("system", reason)


async def test_acs_does_not_take_the_answer_or_does_not_get_through(tmp_path):
    async with running_stack(tmp_path) as stack:
        greeted = {"steps": [{"listen": {"within_s": 30}}, "hang_up"]}
        (busy, busy_record), (once, once_record), (twice, twice_record) = await asyncio.gather(
            called(stack, greeted, rest_status={"answer": [429]}),
            called(stack, greeted, media_refused=1),
            called(stack, PATIENT, media_refused=2),
        )
        assert busy.failed is None
        assert stack.emulator.operations["answer", 429] == 1
        assert kinds(busy_record).count("answered") == 1
        assert kinds(busy_record).count("media_connected") == 1
        assert busy_record["ended"]["reason"] == "caller_hung_up"

        assert once.failed is None
        assert once.summary()["first_audio_ms"] <= patience(SILENCE_MS)
        assert once.summary()["media"]["dials"] == 2
        assert {"media_failed", "media_lost", "recovery", "media_connected"} <= set(kinds(once_record))

        assert twice.failed is None
        (silence_ms,) = twice.summary()["silent_after_media_loss_ms"]
        assert silence_ms <= patience(SILENCE_MS)
        assert twice_record["ended"]["reason"] == "transferred"
        assert twice_record["outcome"]["reason"] == "media_lost"

        stack.emulator.operations.clear()
        gone, gone_record = await called(stack, PATIENT | {"gives_up_ms": 800}, rest_status={"answer": [404]})
        assert gone_record["state"] == "failed"
        assert gone_record["ended"]["reason"] == "caller_gone"
        assert "answer_failed" in kinds(gone_record)
        assert len([event for event in gone.events if event["kind"] == "delivered"]) == 1, "acknowledged"
        assert stack.emulator.operations["answer", 404] == 1

        assert await stack.media_hosts[0].stop() == 0
        begun = time.monotonic()
        unheard, unheard_record = await called(stack, PATIENT)
        assert time.monotonic() - begun < patience(3)
        assert unheard.summary()["ended"] == {"reason": "rejected: busy", "by": "agent"}
        assert unheard_record["state"] == "rejected"
        assert unheard_record["ended"]["reason"] == "no_media_host"


async def test_store_and_function_app_are_away_in_mid_call(tmp_path):
    async with EchoModel() as model:
        config = tmp_path / "patchcord.yaml"
        config.write_text(ECHO.format(url=model.endpoint))
        async with running_stack(tmp_path / "stack", config=config) as stack:
            script = {"steps": [{"tone": {"hz": 440, "seconds": 8, "within_s": 60}}, "hang_up"]}
            call = await stack.emulator.dial(script)
            await asyncio.wait_for(call.first("agent_audio"), patience(20))
            await asyncio.sleep(0.5)
            with closing(sqlite3.connect(stack.folder / "patchcord.db", isolation_level=None)) as database:
                database.execute("BEGIN EXCLUSIVE")
                locked = datetime.now(UTC)
                call.press_key("1")
                await asyncio.sleep(3)
                unlocked = datetime.now(UTC)
                database.execute("ROLLBACK")
            stack.functions.signal(signal.SIGKILL)
            await stack.functions.wait()
            await stack.start_functions()
            record = await finished(stack, call)
            assert call.failed is None
            assert call.summary()["media"]["dials"] == 1
            assert longest_silence_ms(call, after_s=2) <= patience(200), "the audio went on"
            (keys,) = (entry for entry in record["timeline"] if entry["kind"] == "keys")
            assert locked <= datetime.fromisoformat(keys["at"]) <= unlocked
            assert record["keysPressed"] == 1
            assert record["faults"] == []
            assert record["ended"]["reason"] == "caller_hung_up"
            assert record["media"]["lost"] is False
            assert "media_closed" in kinds(record)


async def test_the_media_host_must_stop_before_the_call_is_over(tmp_path):
    async with running_stack(tmp_path, env={"MEDIA_DRAIN_S": "1"}) as stack:
        (host,) = stack.media_hosts
        call = await stack.emulator.dial(PATIENT)
        await asyncio.wait_for(call.first("agent_audio"), patience(20))
        host.signal(signal.SIGTERM)
        told_s = len(call.heard_wav()) / 48_000
        record = await finished(stack, call)
        assert call.failed is None
        assert longest_silence_ms(call, after_s=told_s) <= patience(SILENCE_MS)
        assert [event["to"] for event in call.events if event["kind"] == "transferred"] == ["+18005550198"]
        assert record["outcome"]["transferType"] == "AGENT"
        assert record["outcome"]["reason"] == "drain"
        assert record["ended"]["reason"] == "transferred"
        assert await asyncio.wait_for(host.wait(), patience(10)) == 0


async def test_a_transfer_to_a_person_and_one_that_fails(tmp_path):
    human = load_script(ROOT / "emulator" / "scripts" / "human.yaml")
    async with running_stack(tmp_path) as stack:
        (through, through_record), (refused, refused_record) = await asyncio.gather(
            called(stack, human),
            called(stack, KEYS_FOR_HUMAN, failing_targets=frozenset({"+18005550199"})),
        )
        assert through.failed is None and refused.failed is None
        assert through_record["outcome"]["transferType"] == "AGENT"
        assert through_record["outcome"]["reason"] == "asked_for_human"
        assert [event["to"] for event in through.events if event["kind"] == "transferred"] == ["+18005550199"]
        assert "transfer_accepted" in kinds(through_record)
        assert through_record["ended"]["reason"] == "transferred"

        assert "transfer_failed" in kinds(refused_record)
        assert refused_record["outcome"]["reason"] == "goodbye"
        failed_s = seconds_into(refused_record, "transfer_failed")
        assert longest_silence_ms(refused, after_s=failed_s) <= patience(SILENCE_MS)
        assert loud_after_ms(refused, failed_s) > APOLOGY_MS, "it was told that nobody could be reached"
