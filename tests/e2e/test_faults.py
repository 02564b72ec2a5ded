"""Every fault that the emulator makes on demand, met by our own stack: each call's end is the defined one."""

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from cli.stack import Stack, StackOptions
from emulator.faults import parse_faults
from tests.support.scan import scan
from tests.support.stack import kinds
from tests.support.timing import patience

pytestmark = pytest.mark.e2e

GREETED = {"steps": [{"listen": {"within_s": 50}}, {"hang_up": {}}]}
PATIENT = {"steps": [{"expect_hang_up": {"within_s": 55}}]}
BY_CALLER = ("caller_hung_up", "caller")
TO_A_PERSON = ("transferred", "system")
"""The agent's `fallback`: there is no other media host, and a caller whose audio is lost gets a person."""
NOT_REPORTED = ("disconnect_not_reported", "system")


@dataclass(frozen=True)
class Case:
    """A fault, the call in which it happens, and the end that is defined for it.

    Attributes:
        faults: knobs.
        end: reason and by whom, as in the record; None: the call never reached us, there is no record.
        script: of the caller.
        also: kinds that the record's timeline has so often.
    """

    faults: dict
    end: tuple[str, str] | None = BY_CALLER
    script: dict = field(default_factory=lambda: GREETED)
    also: dict = field(default_factory=dict)


CASES = {
    "duplicate events and callbacks": Case(
        {"duplicate_events": 2, "duplicate_callbacks": 1}, also={"answered": 1}
    ),
    "late event": Case({"late_events_s": 1}),
    "lost event": Case({"lost_events": 1}, None, GREETED | {"gives_up_ms": 1500}),
    "event after the next one": Case({"reorder_events": True}),
    "event that is two minutes old": Case({"event_age_s": 120}, None, GREETED | {"gives_up_ms": 1500}),
    "late callbacks": Case({"late_callbacks_s": {"*": 1}}),
    "lost CallConnected": Case({"drop_callbacks": ["CallConnected"]}, also={"connected": 0}),
    "lost CallDisconnected": Case({"drop_callbacks": ["CallDisconnected"]}, NOT_REPORTED),
    "reordered callbacks": Case(
        {"callback_order": ["CallDisconnected", "ParticipantsUpdated", "CallConnected"]}
    ),
    "callbacks of unknown types": Case({"unknown_callbacks": 3}, also={"callback": 3}),
    "429 with Retry-After": Case({"rest_status": {"answer": [429]}}, also={"answered": 1}),
    "429 without it": Case(
        {"rest_status": {"answer": [429]}, "rest_retry_after_s": None}, also={"answered": 1}
    ),
    "500": Case({"rest_status": {"answer": [500]}}, also={"answered": 1}),
    "answer is never answered": Case({"rest_timeout": {"answer": 1}}, also={"answered": 1}),
    "500 to the hang-up": Case(
        {"rest_status": {"hangUp": [500, 500], "terminate": [500, 500]}},
        ("agent_done", "agent"),
        {"steps": [{"say": "goodbye"}, {"expect_hang_up": {"within_s": 50}}]},
    ),
    "socket refused twice": Case({"media_refused": 2}, TO_A_PERSON, PATIENT),
    "socket aborted": Case(
        {},
        TO_A_PERSON,
        {"steps": [{"wait_ms": 1500}, {"fault": {"media_fault": "abort"}}, *PATIENT["steps"]]},
    ),
    "socket half-open": Case({"media_fault": "half_open", "media_fault_after_ms": 500}, TO_A_PERSON, PATIENT),
    "socket slow": Case({"media_fault": "slow"}, script={"steps": [{"wait_ms": 6000}, {"hang_up": {}}]}),
    "socket reconnected": Case(
        {"media_fault": "reconnect", "media_fault_after_ms": 1000},
        script={
            "steps": [{"wait_ms": 6000}, {"hang_up": {}}]
        },  # who only listens takes a slow reconnection for the end
        also={"media_connected": 2, "media_lost": 0},
    ),
    "clock four minutes ahead": Case({"clock_skew_s": 240}),
    "clock four minutes behind": Case({"clock_skew_s": -240}),
    "clock a quarter of an hour ahead": Case({"clock_skew_s": 900}, NOT_REPORTED, PATIENT),
    "frames of odd sizes": Case({"odd_frames": 60}),
    "messages of unknown kinds": Case({"unknown_kinds": 100}),
}


async def test_each_fault_ends_as_defined(tmp_path):
    stack = Stack(StackOptions(tmp_path, retry_scale=0.3))
    async with stack:
        client = stack.client()
        try:
            found = await asyncio.gather(*(end_of(stack, client, case) for case in CASES.values()))
        finally:
            await client.close()
    wrong = {name: problem for name, problem in zip(CASES, found, strict=True) if problem}
    assert wrong == {}
    assert scan([stack.logs], [stack.control_key, stack.emulator.config.access_key]) == []
    for log in stack.logs.iterdir():
        raised = [line for line in log.read_text(errors="replace").splitlines() if "Traceback" in line]
        assert all("CallControlUnavailable" in line for line in raised), raised


async def end_of(stack, client, case: Case) -> str:
    """Make the call; says what is not as it should be, or nothing."""
    call = await stack.emulator.dial(case.script, faults=parse_faults(case.faults))
    await asyncio.wait_for(call.ended(), patience(60))
    if call.failed:
        return f"the phone: {call.failed}"
    if case.end is None:
        return f"a record: {record}" if (record := await client.find(call.correlation_id)) else ""
    record, reached = await reached_end(client, call.correlation_id, case.end)
    if not reached:
        return f"{record['state']} {record['ended']}, {kinds(record)}"
    counts = {kind: kinds(record).count(kind) for kind in case.also}
    return "" if counts == case.also else f"{counts}: {kinds(record)}"


async def reached_end(client, correlation_id: str, end: tuple[str, str]) -> tuple[dict, bool]:
    """The call's record as soon as it has this end, or as it is when that takes too long."""
    until = time.monotonic() + patience(40)
    async for record in client.follow(correlation_id, 0.5):
        ended = record["ended"]
        if ended is not None and (ended["reason"], ended["by"]) == end:
            return dict(record), True
        if time.monotonic() > until:
            return dict(record), False
    raise AssertionError("follow never ends by itself")
