"""Keys through Microsoft's Python clients: subscriptions to what is pressed, and tones that are sent."""

import pytest
from azure.communication.callautomation import (
    DtmfTone,
)
from azure.core.exceptions import HttpResponseError

from emulator.acs.operations.tones import FREQUENCIES
from emulator.phone.audio import share_at
from tests.support.media_calls import WAIT, codes, heard, talking

pytestmark = [
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning"),
]

BOTH = pytest.mark.parametrize("flavour", ["aio", "sync"])


@BOTH
async def test_every_key_is_reported_until_the_end_of_the_subscription(flavour: str) -> None:
    async with talking(flavour, [{"wait_ms": 300}, {"press": "7*d"}, WAIT]) as (app, call):
        await app("start_continuous_dtmf_recognition", app.caller, operation_context="keys")
        await app.callback("ContinuousDtmfRecognitionToneReceived", 2)
        tones = app.callbacks("ContinuousDtmfRecognitionToneReceived")
        assert sorted((data["sequenceId"], data["tone"]) for data in tones) == [
            (1, "seven"), (2, "asterisk"), (3, "d"),
        ]  # fmt: skip
        assert {data["operationContext"] for data in tones} == {"keys"}
        await app("stop_continuous_dtmf_recognition", app.caller, operation_context="enough")
        stopped = await app.callback("ContinuousDtmfRecognitionStopped")
        assert stopped["operationContext"] == "enough"
        call.press_key("1")
        with pytest.raises(HttpResponseError) as caught:
            await app("stop_continuous_dtmf_recognition", app.caller)
        assert caught.value.error.code == "8585"
        assert len(app.callbacks("ContinuousDtmfRecognitionToneReceived")) == 3


async def test_the_end_of_the_call_stops_the_subscription() -> None:
    async with talking() as (app, call):
        await app("start_continuous_dtmf_recognition", app.caller, operation_context="keys")
        call.hang_up()
        await app.callback("CallDisconnected")
        [stopped] = app.callbacks("ContinuousDtmfRecognitionStopped")
        assert stopped["operationContext"] == "keys"


@BOTH
async def test_tones_are_heard_by_the_phone(flavour: str) -> None:
    async with talking(flavour) as (app, call):
        sent = await app(
            "send_dtmf_tones", [DtmfTone.ONE, DtmfTone.POUND], app.caller, operation_context="code"
        )
        assert sent.operation_context == "code"
        completed = await app.callback("SendDtmfTonesCompleted")
        assert (codes(completed), completed["operationContext"]) == ((200, 0), "code")
        pcm, rate = heard(call)
        tenth = rate // 10 * 2
        for key, part in (("1", pcm[:tenth]), ("#", pcm[-tenth:])):
            for hz in FREQUENCIES[key]:
                assert share_at(part, rate, hz) > 0.35
        assert [event["kind"] for event in call.events].count("keys_heard") >= 1


async def test_a_second_subscription_to_the_same_keys_is_refused() -> None:
    async with talking() as (app, _):
        await app("start_continuous_dtmf_recognition", app.caller)
        with pytest.raises(HttpResponseError) as caught:
            await app("start_continuous_dtmf_recognition", app.caller)
        assert (caught.value.status_code, caught.value.error.code) == (400, "8585")


async def test_a_caller_who_hangs_up_does_not_get_the_rest_of_the_tones() -> None:
    async with talking() as (app, call):
        await app("send_dtmf_tones", [DtmfTone.ONE] * 18, app.caller)
        await call.first("keys_heard")
        call.hang_up()
        await app.callback("CallDisconnected")
        assert app.kinds("SendDtmf") == ["SendDtmfTonesFailed"]
