"""What an app may ask of the emulated Twilio beside streams."""

import asyncio

import aiohttp
import pytest

from emulator.twilio.config import StudioFlow, TwilioNumber
from shared.errors import ConfigurationError, InvalidInput
from tests.emulator.twilio.test_streams import STAYS, TONE, over
from tests.support.app import emulated_app
from tests.support.twilio_app import TOKEN, twilio_app

PERSON = "+14255550111"
CALLER = {
    "line": "twilio",
    "steps": [{"tone": {"hz": 440, "seconds": 0.3}}, {"expect_hang_up": {"within_s": 10}}],
}


def kinds(call) -> list[str]:
    return [event["kind"] for event in call.events]


class Voice:
    """A quick one that says a tone for every text."""

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        return b"\x00\x20\x00\xe0" * (sample_rate // 20)


async def test_dial_joins_the_caller_with_a_telephone_and_goes_on_when_it_hangs_up():
    async with twilio_app() as (emulator, app):
        await emulator.add_phone(
            {"at": PERSON, "steps": [{"tone": {"hz": 800, "seconds": 0.2}}, {"press": "1"}]}
        )
        app.twiml["voice"] = f'<Response><Dial action="/dialled">{PERSON}</Dial></Response>'
        call = await emulator.dial(CALLER)
        await over(call)
        callee = next(item for item in emulator.calls.values() if item is not call)
        await over(callee)
        assert [form["DialCallStatus"] for form in app.forms("/dialled")] == ["completed"]
        assert (
            "transferred" in kinds(call) and "agent_audio" in kinds(call) and "agent_audio" in kinds(callee)
        )
        assert callee.summary()["from"] == "+14255550100"
        assert callee.summary()["ended"] == {"reason": "caller_hung_up", "by": "caller"}
        assert call.summary()["ended"] == {"reason": "agent_hung_up", "by": "agent"}


async def test_a_caller_who_hangs_up_leaves_the_person():
    async with twilio_app() as (emulator, app):
        await emulator.add_phone({"at": PERSON})
        app.twiml["voice"] = f"<Response><Dial><Number>{PERSON}</Number></Dial></Response>"
        call = await emulator.dial({"line": "twilio", "steps": [{"wait_ms": 300}, {"press": "5"}, "hang_up"]})
        await over(call)
        callee = next(item for item in emulator.calls.values() if item is not call)
        assert (await over(callee))["ended"] == {"reason": "other_hung_up", "by": "other"}
        assert "keys_heard" in kinds(callee)


@pytest.mark.parametrize(
    ("phone", "seconds", "status"),
    [
        ("decline", 5, "busy"),
        ("busy", 5, "busy"),
        ("unreachable", 5, "failed"),
        ("no_answer", 0, "no-answer"),
    ],
)
async def test_a_telephone_that_is_not_picked_up(phone, seconds, status):
    async with twilio_app() as (emulator, app):
        await emulator.add_phone({"at": PERSON, "on_ring": phone, "after_ms": 10})
        app.twiml["voice"] = f'<Response><Dial action="/next" timeout="{seconds}">{PERSON}</Dial></Response>'
        await over(await emulator.dial(STAYS))
        assert [form["DialCallStatus"] for form in app.forms("/next")] == [status]


async def test_a_number_outside_takes_the_caller_away():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = (
            '<Response><Dial action="/next">+14255550199</Dial><Redirect>/n</Redirect></Response>'
        )
        call = await emulator.dial(STAYS)
        assert (await over(call))["ended"] == {"reason": "transferred", "by": "agent"}
        assert [event["to"] for event in call.events if event["kind"] == "transferred"] == ["+14255550199"]
        assert app.forms("/status")[0]["CallStatus"] == "completed"


async def test_dial_without_a_number_fails_and_goes_on():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = '<Response><Dial action="/next">support</Dial></Response>'
        call = await emulator.dial(STAYS)
        await over(call)
        assert [form["DialCallStatus"] for form in app.forms("/next")] == ["failed"]
        assert [notice.code for notice in call.call.notices] == [13227]


async def test_queues_with_somebody_and_with_nobody():
    async with twilio_app(queues={"support": PERSON}) as (emulator, app):
        await emulator.add_phone({"at": PERSON, "steps": [{"wait_ms": 50}]})
        app.twiml["voice"] = '<Response><Enqueue action="/after">support</Enqueue></Response>'
        await over(await emulator.dial(STAYS))
        assert [form["QueueResult"] for form in app.forms("/after")] == ["bridged"]
        app.twiml["voice"] = "<Response><Enqueue>nobody</Enqueue></Response>"
        call = await emulator.dial({"line": "twilio", "steps": [{"wait_ms": 100}, "hang_up"]})
        assert (await over(call))["ended"]["by"] == "caller"
        assert "enqueued" in kinds(call)


async def test_say_play_and_pause_are_heard_in_order():
    twiml = "<Response><Say>technical difficulties</Say><Pause length='0'/><Play>/nothing.wav</Play><Say/><Hangup/></Response>"
    async with twilio_app() as (emulator, app):
        emulator._speaker._given = Voice()
        app.twiml["voice"] = twiml
        call = await emulator.dial({"line": "twilio", "steps": ["listen", "expect_hang_up"]})
        summary = await over(call)
        assert summary["failed"] is None and summary["heard_ms"] == 100
        verbs = [event["verb"] for event in call.events if event["kind"] == "twiml"]
        assert verbs == ["Say", "Pause", "Play", "Say", "Hangup"]
        assert [notice.code for notice in call.call.notices] == [11200], "there is no such file"


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_reject(reason, status):
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = f'<Response><Reject reason="{reason}"/></Response>'
        call = await emulator.dial(STAYS)
        summary = await over(call)
        assert summary["answered_ms"] is None and summary["failed"] == f"not answered: rejected: {reason}"
        assert app.forms("/status")[0]["CallStatus"] == status


@pytest.mark.parametrize(
    ("twiml", "code"),
    [
        ("<Response>", 12100),
        ("<Say/>", 12100),
        ('<!DOCTYPE x [<!ENTITY a "b">]><Response/>', 12100),
        ("<Response>" + "<a>" * 10 + "</a>" * 10 + "</Response>", 12100),
        ("<Response>" + " " * 65536 + "</Response>", 12100),
        ("<Response><Redirect>/voice</Redirect></Response>", 12100),
        ("<Response><Redirect>http://127.0.0.1:1/</Redirect></Response>", 11205),
    ],
)
async def test_twiml_that_is_none_ends_the_call(twiml, code):
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = twiml
        call = await emulator.dial(STAYS)
        summary = await over(call)
        assert summary["ended"] == {"reason": "application_error", "by": "service"}
        assert [notice.code for notice in call.call.notices] == [code]


@pytest.mark.parametrize(
    ("status", "kind", "code"), [(403, "text/xml", 11200), (200, "application/json", 12300)]
)
async def test_answers_that_are_no_twiml(status, kind, code):
    async with twilio_app() as (emulator, app):
        app.status, app.content_type = status, kind
        call = await emulator.dial(STAYS)
        await over(call)
        assert code in [notice.code for notice in call.call.notices]


async def test_verbs_that_are_not_emulated_are_skipped_and_named():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = (
            "<Response><Gather/><Connect><Room/></Connect><Redirect>/after</Redirect></Response>"
        )
        call = await emulator.dial(STAYS)
        await over(call)
        assert [notice.code for notice in call.call.notices] == [12200, 12200]
        assert app.forms("/after")


async def test_get_and_the_newer_signature():
    secret = "another secret, of a shared key"
    async with twilio_app(secret=secret, signing_key=secret) as (emulator, app):
        emulator.twilio.set_number("+18005550001", TwilioNumber(f"{app.base}/voice?a=b", voice_method="GET"))
        app.twiml["voice"] = app.connect()
        summary = await over(await emulator.dial(TONE | {"to": "+18005550001"}))
        assert summary["failed"] is None
        assert app.methods[0] == "GET" and "CallSid=CA" in app.requests[0][0]
        assert all(app.signed) and len(app.signed) == 4
        assert (
            app.streams[0].headers["X-Twilio-Webhooks-Signature-Settings"].endswith("algorithm=HMAC_SHA256")
        )


async def test_a_studio_flow_comes_back_and_reads_the_transfer_state():
    state = '{"callTransferStatus": "COMPLETED", "transferType": "AGENT"}'
    async with twilio_app() as (emulator, app):
        flow = StudioFlow(
            f"{app.base}/voice?FlowEvent=return",
            f"{app.base}/state",
            then={
                "AGENT": "<Response><Redirect>{base}/agent</Redirect></Response>".replace("{base}", app.base)
            },
        )
        emulator.twilio.set_flow("desk", flow)
        emulator.twilio.set_number("+18005550001", TwilioNumber(flow="desk"))
        back = emulator.twilio.flow_address("desk") + "?FlowEvent=return"
        app.twiml["voice"] = f"<Response><Redirect>{back}</Redirect></Response>"
        app.twiml["state"] = state
        call = await emulator.dial(STAYS | {"to": "+18005550001"})
        await over(call)
        assert app.requests[0][0] == "/voice?FlowEvent=return"
        assert app.forms("/state")[0]["CallSid"] == call.correlation_id and all(app.signed)
        assert app.forms("/agent") and [a.what for a in call.call.asked].count("flow") == 1

        async with aiohttp.ClientSession() as stranger:
            for form in ({}, {"CallSid": "CA" + "0" * 32}):
                async with stranger.post(emulator.twilio.flow_address("desk"), data=form) as response:
                    assert response.status == 404, "a flow takes calls of the account only"

        app.twiml["state"] = "no JSON"
        second = await emulator.dial(STAYS | {"to": "+18005550001"})
        await over(second)
        assert [notice.code for notice in second.call.notices] == [81016]
        assert len(app.forms("/agent")) == 1, "hung up: the flow has nothing for an answer without a type"


async def test_numbers_that_are_not_the_accounts_and_emulators_without_one():
    async with twilio_app() as (emulator, app):
        summary = await over(await emulator.dial(STAYS | {"to": "+18005559999"}))
        assert summary["failed"] == "not answered: nobody_subscribed" and not app.requests
        for at, number in (
            ("123", TwilioNumber(app.base)),
            ("+18005550001", TwilioNumber()),
            ("+18005550001", TwilioNumber(flow="no such")),
            ("+18005550001", TwilioNumber("ftp://x")),
            ("+18005550001", TwilioNumber(app.base, voice_method="PUT")),
        ):
            with pytest.raises(ConfigurationError):
                emulator.twilio.set_number(at, number)
        with pytest.raises(ConfigurationError):
            emulator.twilio.set_flow("a b", StudioFlow(app.base))
    async with emulated_app() as other:
        with pytest.raises(InvalidInput, match="line"):
            await other.emulator.dial(STAYS)


async def test_closing_the_emulator_ends_calls_that_go_on():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect()
        call = await emulator.dial(STAYS)
        await app.until(lambda: bool(app.streams))
    assert call.summary()["ended"]["reason"] == "stopped"
    assert app.streams[0].messages[-1]["event"] == "stop"


async def test_secrets_are_not_shown():
    async with twilio_app() as (emulator, _):
        assert TOKEN not in repr(emulator.config) + repr(emulator.twilio.config)
    await asyncio.sleep(0)
