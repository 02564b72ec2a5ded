"""Every fault on demand: by command line, by script, in mid-call, for all calls; seen by an app with Microsoft's client."""

import asyncio
import base64
import time

import jwt
import pytest

from emulator.faults import Faults, fault_argument, parse_faults
from shared.errors import InvalidInput
from tests.support.app import App, emulated_app, sine
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

WAIT = {"wait_ms": 60_000}


def script(*steps: object, **more: object) -> dict:
    return {"steps": list(steps), **more}


async def finish(app: App, call) -> None:
    call.hang_up()
    await asyncio.wait_for(call.ended(), patience(15))


# --- setting them ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("media_fault=abort", {"media_fault": "abort"}),
        ("duplicate_events=2", {"duplicate_events": 2}),
        ("rest_status={answer: [429, 500]}", {"rest_status": {"answer": [429, 500]}}),
        (
            "callback_order=[CallDisconnected, CallConnected]",
            {"callback_order": ["CallDisconnected", "CallConnected"]},
        ),
        ("clock_skew_s=-600", {"clock_skew_s": -600}),
        ("reorder_events=true", {"reorder_events": True}),
        ("rest_retry_after_s=null", {"rest_retry_after_s": None}),
    ],
)
def test_a_knob_on_the_command_line(text: str, expected: dict) -> None:
    assert fault_argument(text) == expected
    parse_faults(expected)


@pytest.mark.parametrize("text", ["media_fault", "x=[", ""])
def test_a_knob_that_is_none(text: str) -> None:
    with pytest.raises(InvalidInput):
        fault_argument(text)


@pytest.mark.parametrize(
    ("knobs", "named"),
    [
        ({"speed": 1}, "faults.speed"), ({"media_fault": "melt"}, "faults.media_fault"),
        ({"duplicate_events": -1}, "faults.duplicate_events"), ({"late_events_s": 1e9}, "faults.late_events_s"),
        ({"callback_order": "any"}, "faults.callback_order"), ({"slow_bytes_s": 0}, "faults.slow_bytes_s"),
        ({"rest_status": {"answer": [200]}}, "faults.rest_status"), ({"odd_frames": "many"}, "faults.odd_frames"),
        ([], "faults"),
    ],
)  # fmt: skip
def test_a_wrong_knob_is_named(knobs: object, named: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_faults(knobs)
    assert caught.value.field == named


def test_faults_survive_json() -> None:
    faults = Faults(drop_callbacks=frozenset({"B", "A"}), rest_status={"answer": [500]}, media_fault="slow")
    assert parse_faults(faults.to_json()) == faults
    assert faults.to_json()["drop_callbacks"] == ["A", "B"]


def test_a_wrong_change_changes_nothing() -> None:
    faults = Faults()
    with pytest.raises(InvalidInput):
        faults.set({"duplicate_events": 3, "odd_frames": -1})
    assert faults == Faults()


def test_a_copy_is_on_its_own() -> None:
    faults = Faults(media_refused=2, rest_status={"answer": (500,)})
    copy = faults.copy()
    assert copy.take("media_refused")
    assert copy.take_status("answer") == 500
    assert copy.take_status("answer") is None
    assert (faults.media_refused, faults.rest_status) == (2, {"answer": (500,)})


async def test_in_a_script_and_as_a_step(app: App) -> None:
    async def once(data: dict) -> None:
        if not app.answers:
            app.on_call = ignore
            await app.answer(data)

    async def ignore(data: dict) -> None:
        return None

    app.on_call = once
    call = await app.emulator.dial(
        script({"wait_ms": 50}, {"fault": {"odd_frames": 3}}, WAIT, faults={"duplicate_events": 1})
    )
    await app.until(lambda: len(app.events) == 2)
    await app.connected()
    async with asyncio.timeout(patience(5)):
        async for event in call.story():
            if event["kind"] == "fault" and "odd_frames" in event["knobs"]:
                break
    assert app.emulator.faults == Faults(), "other calls are not touched"
    await finish(app, call)


@pytest.mark.parametrize("steps", [[{"fault": {"speed": 1}}], [{"fault": "abort"}]])
async def test_a_wrong_step_is_named(app: App, steps: list) -> None:
    with pytest.raises(InvalidInput, match="fault"):
        await app.emulator.dial(script(*steps))


async def test_of_all_calls(app: App) -> None:
    app.emulator.faults.set({"duplicate_callbacks": 1})
    call = await app.emulator.dial(script(WAIT))
    await app.until(lambda: app.kinds().count("CallConnected") == 2)
    assert len({event["id"] for event in app.callbacks if event["type"].endswith("CallConnected")}) == 1
    await finish(app, call)


# --- callbacks ---


async def test_a_late_callback(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(late_callbacks_s={"CallConnected": 0.3}))
    await app.callback("MediaStreamingStarted")
    await app.callback("CallConnected")
    assert app.kinds()[-1] == "CallConnected"
    await finish(app, call)


async def test_a_lost_callback(app: App) -> None:
    call = await app.emulator.dial(
        script(WAIT), faults=Faults(drop_callbacks=frozenset({"CallDisconnected"}))
    )
    await app.connected()
    await finish(app, call)
    assert "CallDisconnected" not in app.kinds()


async def test_reordered_callbacks(app: App) -> None:
    order = ("MediaStreamingStarted", "CallConnected")
    call = await app.emulator.dial(script(WAIT), faults=Faults(callback_order=order))
    await app.callback("CallConnected")
    assert [kind for kind in app.kinds() if kind in order] == list(order)
    await finish(app, call)


async def test_a_callback_of_an_unknown_type(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(unknown_callbacks=1))
    data = await app.callback("SomethingNew")
    assert data["callConnectionId"] == call.connection_id
    await app.connected()
    assert app.kinds().count("SomethingNew") == 1
    await finish(app, call)


# --- events ---


async def test_a_late_event(app: App) -> None:
    begun = time.monotonic()
    call = await app.emulator.dial(script({"wait_ms": 1}), faults=Faults(late_events_s=0.3))
    await app.until(lambda: bool(app.events))
    assert time.monotonic() - begun >= 0.3
    await asyncio.wait_for(call.ended(), patience(15))


async def test_a_lost_event(app: App) -> None:
    call = await app.emulator.dial(script("listen", gives_up_ms=100), faults=Faults(lost_events=1))
    await asyncio.wait_for(call.ended(), patience(15))
    assert not app.events
    assert call.summary()["ended"]["reason"] == "caller_hung_up"


async def test_an_event_after_the_next_one(app: App) -> None:
    first = await app.emulator.dial(script(WAIT, display_name="first"), faults=Faults(reorder_events=True))
    second = await app.emulator.dial(script(WAIT, display_name="second"))
    await app.until(lambda: len(app.events) == 2)
    assert [event["data"]["callerDisplayName"] for event in app.events] == ["second", "first"]
    await app.until(lambda: len(app.answers) == 2)
    for call in (first, second):
        await finish(app, call)


# --- REST ---


@pytest.mark.parametrize(("after_s", "retried"), [(0, True), (None, False)])
async def test_429_with_and_without_retry_after(after_s: int | None, retried: bool) -> None:
    async with emulated_app() as app:
        refused = []

        async def answer(data: dict) -> None:
            try:
                await app.answer(data)
            except Exception as error:  # which one it was is looked at below
                refused.append(error)

        app.on_call = answer
        faults = Faults(rest_status={"answer": [429]}, rest_retry_after_s=after_s)
        call = await app.emulator.dial(script(WAIT), faults=faults)
        await app.until(lambda: bool(app.answers or refused))
        assert bool(app.answers) is retried
        assert app.emulator.operations["answer", 429] == 1
        if refused:
            assert (refused[0].status_code, refused[0].error.code) == (429, "8516")
            assert "Retry-After" not in refused[0].response.headers
        await finish(app, call)


async def test_500_is_tried_again(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(rest_status={"answer": [500, 503]}))
    await app.until(lambda: bool(app.answers))
    assert [app.emulator.operations["answer", status] for status in (500, 503, 200)] == [1, 1, 1]
    await finish(app, call)


async def test_a_request_that_is_never_answered(app: App) -> None:
    outcome = []

    async def impatient(data: dict) -> None:
        try:
            await app.answer(data, retry_total=0, read_timeout=0.2)
        except Exception as error:  # which one it was is looked at below
            outcome.append(error)

    app.on_call = impatient
    call = await app.emulator.dial(script(WAIT), faults=Faults(rest_timeout={"answer": 1}))
    await app.until(lambda: bool(outcome))
    assert call.connection_id is None, "it had no effect"
    assert type(outcome[0]).__name__ == "ServiceResponseTimeoutError"
    await finish(app, call)


# --- media ---


async def test_a_refused_socket(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(media_refused=1))
    assert (await app.callback("MediaStreamingFailed"))["resultInformation"]["subCode"] == 8581
    await finish(app, call)


async def test_an_aborted_socket_in_mid_call(app: App) -> None:
    call = await app.emulator.dial(script({"wait_ms": 100}, {"fault": {"media_fault": "abort"}}, WAIT))
    media = await app.connected()
    await media.until(lambda media: media.close_code is not None)
    assert media.close_code == 1006
    data = await app.callback("MediaStreamingFailed")
    assert data["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == "streamConnectionInterrupted"
    await finish(app, call)


async def test_a_fault_after_a_while(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(media_fault="abort", media_fault_after_ms=300))
    media = await app.connected()
    await media.until(lambda media: media.close_code is not None)
    assert len(media.messages) >= 10
    await finish(app, call)


async def test_a_half_open_socket(app: App) -> None:
    call = await app.emulator.dial(script(WAIT))
    media = await app.connected()
    await media.until(lambda media: len(media.messages) > 5)
    call.fault({"media_fault": "half_open"})
    await asyncio.sleep(0.1)
    count = len(media.messages)
    heard = call.summary()["media"]["messagesReceived"]
    await media.speak(sine(440, 100))
    await asyncio.sleep(0.2)
    assert len(media.messages) == count, "nothing comes any more"
    assert call.summary()["media"]["messagesReceived"] == heard, "nothing is read any more"
    assert media.close_code is None, "and nobody says so"
    assert "MediaStreamingFailed" not in app.kinds()
    await finish(app, call)


async def test_a_slow_socket(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(media_fault="slow", slow_bytes_s=20_000))
    media = await app.connected()
    begun = time.monotonic()
    await media.until(lambda media: len(media.messages) >= 15)
    assert time.monotonic() - begun > 14 * 1300 / 20_000 * 0.8, "14 frames of 1.3 kB at 20 kB/s"
    assert set(media.kinds()[1:]) == {"AudioData"}
    await finish(app, call)


async def test_a_socket_that_comes_back_at_the_same_address(app: App) -> None:
    call = await app.emulator.dial(script(WAIT))
    first = await app.connected()
    call.fault({"media_fault": "reconnect"})
    await app.until(lambda: app.kinds().count("MediaStreamingStarted") == 2)
    update = app.callbacks[-1]["data"]["mediaStreamingUpdate"]
    assert update["mediaStreamingStatusDetails"] == "streamConnectionReestablished"
    assert "MediaStreamingFailed" not in app.kinds()
    assert (first.path, first.close_code) == (app.media[1].path, 1006)
    await app.media[1].speak(sine(440, 200))
    await call.first("agent_audio")
    assert call.summary()["media"]["dials"] == 2
    await finish(app, call)


async def test_frames_of_odd_sizes(app: App) -> None:
    call = await app.emulator.dial(script({"tone": {"hz": 500, "seconds": 0.3}}), faults=Faults(odd_frames=6))
    await asyncio.wait_for(call.ended(), patience(15))
    frames = [
        message["audioData"]["data"] for message in app.media[0].messages if message["kind"] == "AudioData"
    ]
    sizes = [len(base64.b64decode(data)) for data in frames]
    assert sorted(sizes[:6]) == sorted([959, 962, 0, 1, 2880, 481])
    assert set(sizes[6:]) == {960}
    assert call.faults.odd_frames == 0


async def test_messages_of_unknown_kinds(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(unknown_kinds=2))
    await app.until(lambda: bool(app.media))
    media = app.media[0]
    await media.until(lambda media: len(media.messages) >= 8)
    kinds = [message["kind"] for message in media.messages[:8]]
    assert [kind for kind in kinds if kind not in ("AudioMetadata", "AudioData")] == [
        "MarkData",
        "SomethingNew",
    ]
    await finish(app, call)


async def test_the_signing_clock_is_ahead(app: App) -> None:
    call = await app.emulator.dial(script(WAIT), faults=Faults(clock_skew_s=600))
    await app.connected()
    token = app.callback_headers[0]["Authorization"].split()[1]
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["iat"] - time.time() == pytest.approx(600, abs=30)
    await finish(app, call)
