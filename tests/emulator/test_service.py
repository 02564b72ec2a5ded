"""Whole calls: Microsoft's own client answers what the emulated phone dials."""

import asyncio
import contextlib
import io
import itertools
import json
import socket
import wave

import pytest

from emulator.phone.audio import share_at
from emulator.service import Emulator
from media_host.speech.synthesiser import Synthesiser
from shared.errors import ConfigurationError, InvalidInput
from tests.support.app import ACCESS_KEY, CONTROL_KEY, App, Media, emulated_app, emulator_config, sine
from tests.support.timing import patience

# Microsoft's client signs with `datetime.utcnow`.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

WAIT = {"wait_ms": 60_000}


class Whistle:
    """A voice that costs nothing: 400 ms of a tone for any text."""

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        return sine(600, 400, sample_rate)


def script(*steps: object, **more: object) -> dict:
    return {"from": "+14255550100", "to": "+18005550000", "steps": list(steps), **more}


async def ended(call) -> None:
    async with asyncio.timeout(patience(20)):
        await call.ended()


def pcm_of(wav: bytes) -> tuple[bytes, int]:
    with wave.open(io.BytesIO(wav)) as file:
        return file.readframes(file.getnframes()), file.getframerate()


async def test_a_call_from_dialling_to_its_end(app: App) -> None:
    async def agent(media: Media) -> None:
        await media.speak(sine(440, 600))

    app.on_media = agent
    call = await app.emulator.dial(
        script("listen", {"press": "42#"}, {"tone": {"hz": 700, "seconds": 0.3}}, "hang_up")
    )
    await ended(call)
    summary = call.summary()
    assert summary["failed"] is None
    assert summary["ended"] == {"reason": "caller_hung_up", "by": "caller"}
    assert [event["kind"] for event in call.events if event["kind"] != "delivered"] == [
        "dialled", "ringing", "answered", "agent_audio", "agent_silent", "keys", "tone", "hang_up", "ended",
    ]  # fmt: skip
    assert summary["first_audio_ms"] is not None
    media = app.media[0]
    assert media.messages[0] == {
        "kind": "AudioMetadata",
        "audioMetadata": {
            "subscriptionId": app.answers[0].media_streaming_subscription.id,
            "encoding": "PCM",
            "sampleRate": 24000,
            "channels": 1,
            "length": 960,
        },
    }
    assert [m["dtmfData"]["data"] for m in media.messages if m["kind"] == "DtmfData"] == ["4", "2", "#"]
    assert "42#" not in str(call.events) + str(summary)
    assert app.kinds()[-1] == "CallDisconnected"
    assert app.kinds()[-3:] == ["MediaStreamingStopped", "ParticipantsUpdated", "CallDisconnected"]
    assert media.close_code == 1000
    assert summary["media"]["playedMs"] == 600
    assert summary["callbacks"]["failed"] == []


async def test_both_sides_hear_what_the_other_says(app: App) -> None:
    async def agent(media: Media) -> None:
        await media.speak(sine(440, 500))

    app.on_media = agent
    call = await app.emulator.dial(script("listen", {"tone": {"hz": 900, "seconds": 0.4}}, "hang_up"))
    await ended(call)
    heard, rate = pcm_of(call.heard_wav())
    said, _ = pcm_of(call.said_wav())
    assert rate == 24000
    assert sine(440, 500) in heard
    assert share_at(said, rate, 900) > 0.9
    assert app.media[0].pcm().strip(b"\0") == said.strip(b"\0")
    silent = {m["audioData"]["silent"] for m in app.media[0].messages if m["kind"] == "AudioData"}
    assert silent == {True, False}


async def test_frames_come_every_20_ms_and_quiet_ones_are_zeros(app: App) -> None:
    call = await app.emulator.dial(script(WAIT))
    media = await app.connected()
    await media.until(lambda media: len(media.messages) > 50)
    call.hang_up()
    await ended(call)
    frames = [message["audioData"] for message in media.messages[1:]]
    assert all(frame["silent"] and "participantRawID" not in frame for frame in frames)
    assert set(media.pcm()) == {0}
    took = media.times[50] - media.times[1]
    assert took == pytest.approx(49 * 0.020, rel=0.5 * patience(1))


async def test_16_khz_when_asked_for(app: App) -> None:
    app.audio_format = "pcm16KMono"
    call = await app.emulator.dial(script({"tone": {"hz": 500, "seconds": 0.1}}))
    await ended(call)
    metadata = app.media[0].messages[0]["audioMetadata"]
    assert (metadata["sampleRate"], metadata["length"]) == (16000, 640)
    assert pcm_of(call.said_wav())[1] == 16000


async def test_stop_audio_empties_the_queue_at_once(app: App) -> None:
    call = await app.emulator.dial(script(WAIT))
    media = await app.connected()
    await media.speak(sine(440, 5000))
    await call.first("agent_audio")
    await media.stop_audio()
    event = await call.first("agent_silent")
    call.hang_up()
    await ended(call)
    counts = call.summary()["media"]
    assert counts["stops"] == 1
    assert counts["playedMs"] + counts["flushedMs"] == 5000
    assert counts["flushedMs"] > 3000
    assert event["since"] < 3000


async def test_an_interruption_measures_the_time_to_silence() -> None:
    async with emulated_app(voice=Whistle()) as app:

        async def agent(media: Media) -> None:
            await media.speak(sine(440, 20_000))
            await media.until(
                lambda media: any(
                    m["kind"] == "AudioData" and not m["audioData"]["silent"] for m in media.messages
                )
            )
            await asyncio.sleep(0.1)
            await media.stop_audio()

        app.on_media = agent
        call = await app.emulator.dial(script({"interrupt": {"after_ms": 300, "say": "stop"}}, "hang_up"))
        await ended(call)
        summary = call.summary()
        assert summary["failed"] is None
        [silence] = summary["barge_in_ms"]
        assert 60 <= silence <= 1000 * patience(1)
        assert next(event for event in call.events if event["kind"] == "barge_in")["stopped"]


async def test_an_agent_that_cannot_be_interrupted_fails_the_step() -> None:
    async with emulated_app(voice=Whistle()) as app:

        async def agent(media: Media) -> None:
            await media.speak(sine(440, 20_000))

        app.on_media = agent
        step = {"interrupt": {"after_ms": 100, "say": "stop", "within_s": 0.5}}
        call = await app.emulator.dial(script(step))
        await ended(call)
        assert call.failed == "step 1 (interrupt): the agent went on speaking for 0.5 s"


async def test_a_refused_media_connection_fails_and_leaves_the_call_up(app: App) -> None:
    app.refuse_media = True
    call = await app.emulator.dial(script(WAIT))
    data = await app.callback("MediaStreamingFailed")
    assert data["resultInformation"]["code"] == 400
    assert data["resultInformation"]["subCode"] == 8581
    assert data["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == "initialWebSocketConnectionFailed"
    await app.callback("CallConnected")
    assert (await app.connection.get_call_properties()).call_connection_state == "connected"
    assert (await call.first("media_lost"))["reason"] == "refused"


async def test_a_broken_media_connection_is_reported_and_dialled_again(app: App) -> None:
    call = await app.emulator.dial(script(WAIT))
    first = await app.connected()
    await app.until(lambda: len(app.kinds()) == 3)
    first.abort()
    async with asyncio.timeout(patience(1)):
        failed = await app.callback("MediaStreamingFailed")
    assert failed["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == "streamConnectionInterrupted"
    await app.connection.start_media_streaming(operation_context="again")
    await app.until(lambda: app.kinds().count("MediaStreamingStarted") == 2)
    again = app.callbacks[-1]["data"]
    assert again["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == "streamConnectionReestablished"
    assert again["operationContext"] == "again"
    second = app.media[1]
    assert second.path == first.path
    await second.speak(sine(440, 200))
    await call.first("agent_audio")
    call.hang_up()
    await ended(call)
    summary = call.summary()
    assert summary["media"]["dials"] == 2
    assert len(summary["silent_after_media_loss_ms"]) == 1


async def test_the_phone_can_break_the_media_connection(app: App) -> None:
    call = await app.emulator.dial(script(WAIT))
    media = await app.connected()
    call.abort_media()
    await app.callback("MediaStreamingFailed")
    await media.until(lambda media: media.close_code is not None)
    assert media.close_code == 1006


async def test_streaming_can_be_started_late_and_stopped(app: App) -> None:
    app.start_media = False
    call = await app.emulator.dial(script(WAIT))
    await app.callback("CallConnected")
    assert not app.media
    await app.connection.start_media_streaming()
    await app.callback("MediaStreamingStarted")
    with pytest.raises(Exception, match="8585"):
        await app.connection.start_media_streaming()
    await app.connection.stop_media_streaming()
    data = await app.callback("MediaStreamingStopped")
    assert data["mediaStreamingUpdate"]["mediaStreamingStatusDetails"] == "subscriptionStopped"
    with pytest.raises(Exception, match="8585"):
        await app.connection.stop_media_streaming()
    call.hang_up()
    await ended(call)
    assert app.kinds().count("MediaStreamingStopped") == 1


async def test_streaming_that_was_never_configured_cannot_start(app: App) -> None:
    app.start_media = None
    await app.emulator.dial(script(WAIT))
    await app.callback("CallConnected")
    with pytest.raises(Exception, match="8522") as caught:
        await app.connection.start_media_streaming()
    assert caught.value.status_code == 405


async def test_an_app_that_closes_its_socket_does_not_end_the_call(app: App) -> None:
    await app.emulator.dial(script(WAIT))
    media = await app.connected()
    await media.socket.close(code=1000)
    await app.callback("MediaStreamingStopped")
    assert (await app.connection.get_call_properties()).call_connection_state == "connected"


@pytest.mark.parametrize("everyone", [False, True], ids=["hang-up", "terminate"])
async def test_the_app_hangs_up(app: App, everyone: bool) -> None:
    call = await app.emulator.dial(script({"expect_hang_up": {}}))
    await app.connected()
    await app.connection.hang_up(is_for_everyone=everyone)
    await ended(call)
    assert call.failed is None
    assert call.summary()["ended"] == {"reason": "agent_hung_up", "by": "agent"}
    assert app.callbacks[-1]["data"]["resultInformation"]["subCode"] == 7000
    with pytest.raises(Exception, match="8522") as caught:
        await app.connection.get_call_properties()
    assert caught.value.status_code == 404


async def test_nothing_follows_call_disconnected(app: App) -> None:
    call = await app.emulator.dial(script({"wait_ms": 1}))  # hangs up while the first callbacks go out
    await ended(call)
    await app.until(lambda: "CallDisconnected" in app.kinds())
    count = len(app.callbacks)
    assert app.kinds()[-1] == "CallDisconnected"
    await asyncio.sleep(0.05)
    assert len(app.callbacks) == count


@pytest.mark.parametrize("reason", ["busy", "forbidden", "none"])
async def test_the_app_rejects(app: App, reason: str) -> None:
    async def reject(data: dict) -> None:
        await app.client.reject_call(data["incomingCallContext"], call_reject_reason=reason)

    app.on_call = reject
    call = await app.emulator.dial(script("listen"))
    await ended(call)
    assert (await call.first("rejected"))["reason"] == reason
    assert call.failed == f"not answered: rejected: {reason}"
    assert not app.callbacks


async def test_the_app_redirects_within_the_emulator(app: App) -> None:
    async def redirect(data: dict) -> None:
        if data["to"]["rawId"] == "4:+18005550000":
            from azure.communication.callautomation import CommunicationUserIdentifier

            await app.client.redirect_call(
                data["incomingCallContext"], CommunicationUserIdentifier("8:acs:res_agent")
            )
        else:
            await app.answer(data)

    app.on_call = redirect
    call = await app.emulator.dial(script({"wait_ms": 50}))
    await ended(call)
    assert call.failed is None
    assert (await call.first("redirected"))["to"] == "8:acs:res_agent"
    first, second = app.events
    assert second["data"]["to"]["kind"] == "communicationUser"
    assert first["data"]["incomingCallContext"] != second["data"]["incomingCallContext"]
    assert first["data"]["correlationId"] == second["data"]["correlationId"]


@pytest.mark.parametrize("fails", [False, True], ids=["accepted", "failed"])
async def test_a_transfer(fails: bool) -> None:
    from azure.communication.callautomation import PhoneNumberIdentifier

    from emulator.faults import Faults

    faults = Faults(failing_targets=frozenset({"+14255550199"} if fails else ()))
    async with emulated_app(faults=faults) as app:
        call = await app.emulator.dial(script("expect_hang_up"))
        await app.connected()
        answer = await app.connection.transfer_call_to_participant(
            PhoneNumberIdentifier("+14255550199"), operation_context="move"
        )
        assert answer.operation_context == "move"
        if fails:
            data = await app.callback("CallTransferFailed")
            assert data["operationContext"] == "move"
            assert (await app.connection.get_call_properties()).call_connection_state == "connected"
            await app.connection.hang_up(True)
            await ended(call)
            assert "CallTransferAccepted" not in app.kinds()
            return
        await ended(call)
        data = await app.callback("CallTransferAccepted")
        assert data["transferTarget"]["rawId"] == "4:+14255550199"
        assert data["transferee"]["rawId"] == "4:+14255550100"
        kinds = app.kinds()
        assert kinds.index("CallTransferAccepted") < kinds.index("CallDisconnected")
        assert call.summary()["ended"]["reason"] == "transferred"
        assert call.failed is None


async def test_participants(app: App) -> None:
    from azure.communication.callautomation import PhoneNumberIdentifier

    await app.emulator.dial(script(WAIT))
    await app.connected()
    added = await app.connection.add_participant(PhoneNumberIdentifier("+14255550111"), operation_context="a")
    assert added.invitation_id
    data = await app.callback("AddParticipantSucceeded")
    assert data["participant"]["rawId"] == "4:+14255550111"
    everyone = [item async for item in app.connection.list_participants()]
    assert [item.identifier.raw_id for item in everyone][0::2] == ["4:+14255550100", "4:+14255550111"]
    one = await app.connection.get_participant(PhoneNumberIdentifier("+14255550100"))  # signs another path
    assert one.identifier.raw_id == "4:+14255550100"
    with pytest.raises(Exception, match="8522"):
        await app.connection.get_participant(PhoneNumberIdentifier("+19995550100"))


async def test_an_unanswered_call_is_gone() -> None:
    async with emulated_app(ring_timeout_s=0.05) as app:
        contexts = []

        async def keep(data: dict) -> None:
            contexts.append(data["incomingCallContext"])

        app.on_call = keep
        call = await app.emulator.dial(script("listen"))
        await ended(call)
        assert call.failed == "not answered: unanswered"
        with pytest.raises(Exception, match="8522") as caught:
            await app.client.answer_call(contexts[0], f"http://{app.base}/callbacks/c1")
        assert caught.value.status_code == 404


async def test_a_caller_gives_up_while_it_rings(app: App) -> None:
    async def nothing(data: dict) -> None:
        return None

    app.on_call = nothing
    call = await app.emulator.dial(script("listen", gives_up_ms=50))
    await ended(call)
    assert call.failed is None
    assert call.summary()["ended"] == {"reason": "caller_hung_up", "by": "caller"}


async def test_a_call_that_nobody_subscribed_to() -> None:
    async with emulated_app(subscribe=False) as app:
        call = await app.emulator.dial(script("listen"))
        await ended(call)
        assert call.failed == "not answered: nobody_subscribed"


async def test_the_context_is_used_up_by_the_first_answer(app: App) -> None:
    async def twice(data: dict) -> None:
        await app.answer(data)
        with pytest.raises(Exception, match="8522"):
            await app.answer(data)

    app.on_call = twice
    call = await app.emulator.dial(script({"wait_ms": 100}))
    await ended(call)
    assert len(app.answers) == 1


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([{"listen": {"within_s": 0.2}}], "step 1 (listen): the agent said nothing within 0.2 s"),
        ([{"wait_ms": 1}, {"expect_hang_up": {"within_s": 0.1}}],
         "step 2 (expect_hang_up): the other side did not hang up within 0.1 s"),
    ],
)  # fmt: skip
async def test_a_failed_step_is_named(app: App, steps: list, why: str) -> None:
    call = await app.emulator.dial(script(*steps))
    await ended(call)
    assert call.failed == why
    assert [event["kind"] for event in call.events][-3:] == ["failed", "hang_up", "ended"]


async def test_a_hang_up_that_the_script_does_not_expect_fails_it(app: App) -> None:
    call = await app.emulator.dial(script("listen", {"press": "1"}))
    await app.connected()
    await app.connection.hang_up(True)
    await ended(call)
    assert call.failed == "step 1 (listen): the call ended"


async def test_twenty_calls_at_once_each_hears_its_own(app: App) -> None:
    async def echo(media: Media) -> None:
        for sent in itertools.count():
            await media.until(lambda media, sent=sent: len(media.messages) > sent, 30)
            if media.messages[sent]["kind"] == "AudioData":
                audio = {"data": media.messages[sent]["audioData"]["data"]}
                await media.socket.send_str(json.dumps({"kind": "audioData", "audioData": audio}))

    app.on_media = echo
    tones = [400 + 50 * number for number in range(20)]
    calls = await asyncio.gather(
        *(app.emulator.dial(script({"tone": {"hz": hz, "seconds": 1.0}}, {"wait_ms": 300})) for hz in tones)
    )
    for call in calls:
        await ended(call)
        assert call.failed is None
    for call, hz in zip(calls, tones, strict=True):
        heard, rate = pcm_of(call.heard_wav())
        assert share_at(heard, rate, hz) > 0.5
        assert all(share_at(heard, rate, other) < 0.05 for other in tones if other != hz)
        assert call.summary()["media"]["framesDropped"] == 0
    assert len({call.id for call in calls}) == 20


async def test_a_caller_with_a_synthesised_voice(app: App) -> None:
    if not Synthesiser.installed():
        pytest.skip("espeakng-loader is not installed")
    call = await app.emulator.dial(script({"say": "hello there"}, "hang_up"))
    await ended(call)
    said, rate = pcm_of(call.said_wav())
    assert call.failed is None
    assert rate == 24000
    assert (
        max(abs(int.from_bytes(said[i : i + 2], "little", signed=True)) for i in range(0, len(said), 2))
        > 3000
    )
    assert call.summary()["said_ms"] > 300


async def test_the_same_seed_gives_the_same_order() -> None:
    orders = []
    for _ in range(2):
        async with emulated_app(seed=11) as app:
            call = await app.emulator.dial(script(WAIT))
            await app.until(lambda app=app: len(app.kinds()) == 3)
            orders.append(call.summary()["callbacks"]["sent"])
    assert orders[0] == orders[1]


async def test_different_seeds_give_different_orders() -> None:
    orders = set()
    for seed in range(6):
        async with emulated_app(seed=seed) as app:
            call = await app.emulator.dial(script(WAIT))
            await app.until(lambda app=app: len(app.kinds()) == 3)
            orders.add(tuple(call.summary()["callbacks"]["sent"]))
    assert len(orders) > 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"host": "192.0.2.1"}, "host"),
        ({"access_key": "not base64!"}, "access_key"),
        ({"control_key": "short"}, "control_key"),
        ({"resource_id": ""}, "resource_id"),
    ],
)
def test_a_wrong_configuration_is_named(change: dict, named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Emulator(emulator_config(**change))
    assert caught.value.setting == named


def test_keys_are_not_shown() -> None:
    config = emulator_config()
    assert ACCESS_KEY not in repr(config)
    assert CONTROL_KEY not in repr(config)


def test_addresses_are_known_only_after_the_start() -> None:
    emulator = Emulator(emulator_config())
    for name in ("endpoint", "signer", "grid"):
        with pytest.raises(RuntimeError):
            getattr(emulator, name)


async def test_nothing_secret_is_logged(app: App, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    app.refuse_media = True
    call = await app.emulator.dial(script({"press": "42#71*"}, voip_headers={"pin": "hush"}))
    await ended(call)
    app.emulator.grid.subscriptions.append(
        app.subscription(name="lost", endpoint="http://127.0.0.1:1/?code=hush")
    )
    await app.emulator.dial(script(WAIT))
    await app.until(lambda: len(app.events) == 2)
    await asyncio.sleep(0.05)
    logged = "\n".join(
        record.getMessage() for record in caplog.records if record.name.startswith(("emulator", "websockets"))
    )
    assert "lost" in logged  # something was logged at all
    for secret in (ACCESS_KEY, CONTROL_KEY, "eyJ", "/media/", "42#71*", "hush", "code="):
        assert secret not in logged


async def test_a_wrong_script_is_not_dialled(app: App) -> None:
    with pytest.raises(InvalidInput):
        await app.emulator.dial({"steps": ["dance"]})
    assert not app.events


async def test_closing_ends_running_calls(app: App) -> None:
    calls = [await app.emulator.dial(script(WAIT)) for _ in range(3)]
    await app.until(lambda: app.kinds().count("CallConnected") == 3)
    await app.emulator.close()
    assert [call.summary()["ended"]["reason"] for call in calls] == ["emulator_stopped"] * 3
    assert app.kinds().count("CallDisconnected") == 3


async def test_a_client_that_keeps_its_tls_connection_is_cut_off_at_the_end(tmp_path):
    async with Emulator(emulator_config(tls_folder=tmp_path)) as emulator:
        trust = emulator.authority.client_context()
        port = int(emulator.endpoint.rpartition(":")[2])

        def connect() -> socket.socket:
            plain = socket.create_connection(("127.0.0.1", port))
            secure = trust.wrap_socket(plain, server_hostname="127.0.0.1")
            secure.sendall(b"GET /calling/keys HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert secure.recv(4096)
            return socket.socket(fileno=secure.detach())  # what is sent to say goodbye is not answered

        kept = await asyncio.to_thread(connect)
    kept.settimeout(patience(5))

    def rest() -> bytes:
        with contextlib.suppress(ConnectionResetError):
            while kept.recv(4096):
                pass
        return b""

    with kept:
        assert await asyncio.to_thread(rest) == b""
