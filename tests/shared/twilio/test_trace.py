"""A Twilio call's trace begins with its webhook, comes to the media host in the stream's token, and is found by the record."""

import pytest

from shared.telemetry.current import follow, parse_trace, scope
from shared.twilio.door import TwilioDoor
from tests.shared.twilio.world import CALL, form
from tests.support.telemetry import told


@pytest.fixture
def seen():
    with told() as found, scope():
        yield found


async def test_it_is_one_trace(twilio, seen):
    with scope():
        record = await twilio.begun()
    follow("", None)
    root = parse_trace(record.trace)
    assert f"{seen.span('engage').context.trace_id:032x}" == root.trace_id
    assert f"{seen.span('engage').parent.span_id:016x}" == root.span_id
    for path, status in (("transfer-state", "in-progress"), ("call-complete", "completed")):
        with scope():
            await twilio.post(path, form(CallStatus=status))
    for name in ("transfer-state", "call-complete"):
        assert f"{seen.span(name).context.trace_id:032x}" == root.trace_id


async def test_a_call_that_has_no_audio_is_asked_about(twilio, seen):
    await twilio.world.host()
    await twilio.engaged()
    with scope():
        reply = await twilio.post("call-complete", form(CALL, CallStatus="completed"))
    assert reply.status == 200
    assert [span.name for span in seen.spans] == ["engage"]


async def test_an_answer_is_worth_more_than_its_span(twilio, seen, caplog):
    record = await twilio.begun()
    twilio.world.fail_store(1, "calls")
    await TwilioDoor._asked_about(twilio.app.twilio, "default", record.call_id, "transfer-state", 0.0)
    assert "no span of a question" in caplog.text
    await TwilioDoor._asked_about(twilio.app.twilio, "default", "unknown", "transfer-state", 0.0)
    assert [span.name for span in seen.spans] == ["engage"]
