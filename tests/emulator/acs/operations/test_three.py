"""Media operations among three: two phones and an app, and an app that talks to another app."""

import asyncio

import pytest
from azure.communication.callautomation import (
    DtmfTone,
    PhoneNumberIdentifier,
    RecognizeInputType,
    TextSource,
)

from tests.support.media_calls import Connection, heard_ms, talking
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utc.*:DeprecationWarning")

SECOND = "+14255550177"
TEXT = TextSource(text="just for you")


async def second_phone(app: Connection):
    """Bring a second telephone into the call."""
    before = set(app.app.emulator.calls)
    await app.app.emulator.add_phone({"at": SECOND, "steps": [{"wait_ms": 60_000}]})
    await app(
        "add_participant",
        PhoneNumberIdentifier(SECOND),
        source_caller_id_number=PhoneNumberIdentifier("+18005550000"),
    )
    await app.callback("AddParticipantSucceeded")
    [added] = set(app.app.emulator.calls) - before
    return app.app.emulator.calls[added]


async def test_a_play_to_one_is_heard_by_nobody_else() -> None:
    async with talking() as (app, first):
        second = await second_phone(app)
        await app("play_media", TEXT, [PhoneNumberIdentifier(SECOND)])
        await app.callback("PlayCompleted")
        assert heard_ms(second) == pytest.approx(300, abs=41)
        assert heard_ms(first) == 0
        await app("play_media", TEXT)
        await app.callback("PlayCompleted", 1)
        assert heard_ms(second) == pytest.approx(600, abs=82)
        assert heard_ms(first) == pytest.approx(300, abs=41)


async def test_only_the_targets_keys_count() -> None:
    async with talking() as (app, first):
        second = await second_phone(app)
        target = PhoneNumberIdentifier(SECOND)
        await app("start_continuous_dtmf_recognition", target)
        await app("start_recognizing_media", RecognizeInputType.DTMF, target, dtmf_max_tones_to_collect=2)
        await asyncio.sleep(0.1)
        first.press_key("9")
        for key in "12":
            second.press_key(key)
        completed = await app.callback("RecognizeCompleted")
        assert completed["dtmfResult"]["tones"] == ["one", "two"]
        await app.callback("ContinuousDtmfRecognitionToneReceived", 1)
        tones = {data["tone"] for data in app.callbacks("ContinuousDtmfRecognitionToneReceived")}
        assert tones == {"one", "two"}


async def test_a_target_that_leaves_ends_its_operations() -> None:
    async with talking() as (app, _):
        second = await second_phone(app)
        target = PhoneNumberIdentifier(SECOND)
        await app("start_continuous_dtmf_recognition", target, operation_context="keys")
        await app("start_recognizing_media", RecognizeInputType.DTMF, target)
        await asyncio.sleep(0.1)
        second.hang_up()
        failed = await app.callback("RecognizeFailed")
        assert failed["resultInformation"]["subCode"] == 8522
        assert (await app.callback("ContinuousDtmfRecognitionStopped"))["operationContext"] == "keys"
        assert (await app("get_call_properties")).call_connection_state == "connected"


async def test_tones_that_one_app_sends_are_keys_for_the_other() -> None:
    number = "+18005550042"
    async with talking(numbers=(number,)) as (app, _):
        world = app.app
        seen = set()

        async def answer(data: dict) -> None:
            seen.add(data["to"]["rawId"])
            await world.answer(data)

        world.on_call = answer
        caller = PhoneNumberIdentifier("+18005550000")
        callback_url = f"http://{world.base}/callbacks/out"
        made = await world.client.create_call(
            PhoneNumberIdentifier(number), callback_url, source_caller_id_number=caller
        )
        await world.until(lambda: len(world.answers) == 2)
        assert seen == {f"4:{number}"}
        out = Connection(world, made.call_connection_id, "aio")
        into = Connection(world, world.answers[-1].call_connection_id, "aio")
        for connection in (out, into):
            await connection.callback("CallConnected")
        await into("start_continuous_dtmf_recognition", caller)
        await out("send_dtmf_tones", [DtmfTone.FOUR, DtmfTone.TWO], PhoneNumberIdentifier(number))
        await out.callback("SendDtmfTonesCompleted")
        await into.callback("ContinuousDtmfRecognitionToneReceived", 1)
        tones = into.callbacks("ContinuousDtmfRecognitionToneReceived")
        assert sorted((data["sequenceId"], data["tone"]) for data in tones) == [(1, "four"), (2, "two")]
        await out("hang_up", True)
        async with asyncio.timeout(patience(5)):
            await into.callback("CallDisconnected")
