"""A caller on the emulated Twilio, an app that is not ours: messages, sound both ways, marks, keys, ends."""

import asyncio
import base64

import pytest

from emulator.phone.audio import share_at
from emulator.twilio import ulaw
from tests.support.timing import patience
from tests.support.twilio_app import ACCOUNT, NUMBER, Stream, twilio_app, ulaw_tone

LISTENS = {"line": "twilio", "steps": ["listen", {"expect_hang_up": {"within_s": 10}}]}
STAYS = {"line": "twilio", "steps": [{"expect_hang_up": {"within_s": 10, "or_hang_up": True}}]}
TONE = {"line": "twilio", "steps": [{"tone": {"hz": 440, "seconds": 0.4}}, "hang_up"]}


def sound(pcm: bytes) -> bytes:
    """The 20 ms frames in which there is any, one after the other."""
    frames = [pcm[at : at + 320] for at in range(0, len(pcm), 320)]
    return b"".join(frame for frame in frames if any(frame))


async def over(call) -> dict:
    async with asyncio.timeout(patience(15)):
        await call.ended()
    return call.summary()


async def test_a_call_from_ringing_to_the_action(tmp_path):
    async def talk(stream: Stream) -> None:
        for start in range(0, 2400, 100):  # in pieces that are not 20 ms
            await stream.say(tone[start : start + 100])
        await stream.mark("end")
        await stream.until(lambda: bool(stream.named("mark")))
        await stream.socket.close(code=1000)

    tone = ulaw_tone(600, 300)
    async with twilio_app(trace_folder=tmp_path) as (emulator, app):
        more = '<Parameter name="taskName" value="a &amp; b"/><Parameter name="é" value="ü"/>'
        app.twiml["voice"] = app.connect(more, 'action="/next?x=1"')
        app.twiml["next"] = "<Response><Pause length='0.1'/><Hangup/></Response>"
        app.on_stream = talk
        call = await emulator.dial(LISTENS)
        summary = await over(call)
        assert summary["failed"] is None, summary
        assert summary["ended"] == {"reason": "agent_hung_up", "by": "agent"}
        assert all(app.signed) and len(app.signed) >= 5
        voice, action = app.requests[0], app.requests[[path for path, _ in app.requests].index("/next?x=1")]
        sid = call.correlation_id
        assert voice[1]["CallStatus"] == "ringing" and action[1]["CallStatus"] == "in-progress"
        for form in (voice[1], action[1]):
            assert form["CallSid"] == sid and form["AccountSid"] == ACCOUNT and form["Direction"] == "inbound"
            assert (form["From"], form["To"]) == ("+14255550100", NUMBER)
        assert app.forms("/status") == [app.forms("/status")[0]]
        assert (
            app.forms("/status")[0]["CallStatus"] == "completed" and "CallDuration" in app.forms("/status")[0]
        )
        assert [form["StreamEvent"] for form in app.forms("/stream")] == ["stream-started", "stream-stopped"]

        [stream] = app.streams
        assert stream.messages[0] == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        assert stream.start["customParameters"] == {"taskName": "a & b", "é": "ü"}
        assert (stream.start["accountSid"], stream.start["callSid"]) == (ACCOUNT, sid)
        assert stream.start["streamSid"] == stream.sid and stream.sid.startswith("MZ")
        assert stream.start["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        numbers = [int(message["sequenceNumber"]) for message in stream.messages[1:]]
        assert numbers == list(range(1, len(numbers) + 1))
        media = [message["media"] for message in stream.named("media")]
        assert [item["chunk"] for item in media] == [str(n) for n in range(1, len(media) + 1)]
        assert {int(item["timestamp"]) for item in media} == set(range(0, 20 * len(media), 20))
        assert {item["track"] for item in media} == {"inbound"}
        assert {len(base64.b64decode(item["payload"])) for item in media} == {160}
        # The mark came back when all of the tone had been played, and not before.
        before = stream.messages.index(stream.named("mark")[0])
        assert sum(message["event"] == "media" for message in stream.messages[:before]) >= 14
        assert share_at(sound(call._heard.pcm), 8000, 600) > 0.9
        assert summary["media"]["playedMs"] == 300 and summary["media"]["underruns"] == 0
    lines = "".join(file.read_text() for file in tmp_path.glob("call-CA*.jsonl"))
    assert '"purpose": "voice"' in lines and '"kind": "start"' in lines
    for secret in ("a & b", "+14255550100", stream.headers["X-Twilio-Signature"]):
        assert secret not in lines


async def test_what_the_caller_says_and_presses_comes_as_mulaw_and_dtmf():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect()
        steps = [{"tone": {"hz": 440, "seconds": 0.4}}, {"press": "5#"}, "hang_up"]
        call = await emulator.dial({"line": "twilio", "steps": steps})
        assert (await over(call))["failed"] is None
        [stream] = app.streams
        assert [message["dtmf"] for message in stream.named("dtmf")] == [
            {"track": "inbound_track", "digit": "5"},
            {"track": "inbound_track", "digit": "#"},
        ]
        assert stream.messages[-1]["event"] == "stop"
        assert stream.messages[-1]["stop"] == {"accountSid": ACCOUNT, "callSid": call.correlation_id}
        assert share_at(sound(ulaw.decode(stream.audio())), 8000, 440) > 0.9
        assert stream.close_code == 1000


async def test_clear_returns_all_marks_and_the_caller_falls_silent():
    async def talk(stream: Stream) -> None:
        await stream.say(ulaw_tone(600, 3000))
        for name in ("one", "two"):
            await stream.mark(name)
        await stream.until(lambda: len(stream.named("media")) > 10)
        await stream.send("clear")
        await stream.until(lambda: len(stream.named("mark")) == 2)
        await stream.mark("three")
        await stream.until(lambda: len(stream.named("mark")) == 3)
        await stream.socket.close()

    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect()
        app.on_stream = talk
        call = await emulator.dial(STAYS)
        media = (await over(call))["media"]
        names = [message["mark"]["name"] for message in app.streams[0].named("mark")]
        assert names == ["one", "two", "three"]
        assert media["stops"] == 1 and media["marks"] == 3
        assert media["playedMs"] + media["flushedMs"] == 3000 and media["flushedMs"] > 1000


@pytest.mark.parametrize("asks", [True, False])
async def test_a_caller_who_hangs_up_ends_connect_as_well(asks):
    async with twilio_app(action_after_hang_up=asks) as (emulator, app):
        app.twiml["voice"] = app.connect("", 'action="{base}/next"', then="<Redirect>/never</Redirect>")
        call = await emulator.dial(TONE)
        summary = await over(call)
        assert summary["ended"] == {"reason": "caller_hung_up", "by": "caller"}
        assert [form["CallStatus"] for form in app.forms("/next")] == ["completed"] * asks
        assert not app.forms("/never")


BAD = {
    "no JSON": "hello",
    "no object": "[]",
    "an event of ours": '{"event":"hangup","streamSid":"SID"}',
    "another stream": '{"event":"clear","streamSid":"MZ0"}',
    "no payload": '{"event":"media","streamSid":"SID","media":{}}',
    "no base64": '{"event":"media","streamSid":"SID","media":{"payload":"?"}}',
    "a WAV header": '{"event":"media","streamSid":"SID","media":{"payload":"UklGRgAA"}}',
    "a mark without a name": '{"event":"mark","streamSid":"SID","mark":{}}',
    "binary": b"\0",
    "no WebSocket frame": b"\xff\xff",
}


@pytest.mark.parametrize("message", BAD.values(), ids=BAD)
async def test_a_bad_message_is_error_31924_and_ends_the_stream(message):
    async def talk(stream: Stream) -> None:
        if message == b"\xff\xff":
            stream.socket._req.transport.write(message)
        elif isinstance(message, bytes):
            await stream.socket.send_bytes(message)
        else:
            await stream.socket.send_str(message.replace("SID", stream.sid))

    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect(then="<Redirect>/after</Redirect>")
        app.on_stream = talk
        call = await emulator.dial(STAYS)
        summary = await over(call)
        assert [notice["code"] for notice in summary["twilio"]["notices"]] == [31924]
        assert app.streams[0].close_code == 1002
        assert app.forms("/after"), "the call goes on"
        events = [form["StreamEvent"] for form in app.forms("/stream")]
        assert events == ["stream-started", "stream-error", "stream-stopped"]
        assert app.forms("/stream")[1]["StreamError"].startswith("31924")
        assert "media_lost" in [event["kind"] for event in call.events]
        assert emulator.twilio.notices[-1]["callSid"] == call.correlation_id


async def test_an_upgrade_that_is_not_taken_is_error_31920():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect(then="<Redirect>/after</Redirect>")
        app.refuse = 401
        summary = await over(await emulator.dial(STAYS))
        assert [notice["code"] for notice in summary["twilio"]["notices"]] == [31920]
        assert app.forms("/after") and "media" not in summary
        assert [form["StreamEvent"] for form in app.forms("/stream")] == ["stream-error"]


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("ws://127.0.0.1:1/x", 31902),
        ("https://127.0.0.1/x", 31920),
        ("ws://example.com/x", 31920),
        ("", 31920),
    ],
)
async def test_addresses_that_lead_nowhere(url, code):
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'
        summary = await over(await emulator.dial(STAYS))
        assert [notice["code"] for notice in summary["twilio"]["notices"]] == [code]


@pytest.mark.parametrize(("code", "notice"), [(1000, []), (1011, [31921]), (None, [31903])])
async def test_how_the_app_ends_the_stream(code, notice):
    async def talk(stream: Stream) -> None:
        if code is None:
            stream.socket._req.transport.abort()
        else:
            await stream.socket.close(code=code)

    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect(then="<Redirect>/after</Redirect>")
        app.on_stream = talk
        summary = await over(await emulator.dial(STAYS))
        assert [item["code"] for item in summary["twilio"]["notices"]] == notice
        assert app.forms("/after")


async def test_the_query_string_of_a_stream_is_left_out():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = '<Response><Connect><Stream url="{ws}/media/one?token=1"/></Connect></Response>'
        summary = await over(await emulator.dial(TONE))
        assert app.streams[0].path == "/media/one" and all(app.signed)
        assert [notice["code"] for notice in summary["twilio"]["notices"]] == [12200]


async def test_a_parameter_that_is_too_long_is_left_out():
    async with twilio_app() as (emulator, app):
        longest = f'<Parameter name="fits" value="{"x" * 496}"/>'
        app.twiml["voice"] = app.connect(longest + longest.replace("fits", "fits."))
        call = await emulator.dial(TONE)
        await over(call)
        assert set(app.streams[0].start["customParameters"]) == {"fits"}
        assert [notice["code"] for notice in call.summary()["twilio"]["notices"]] == [12200]


async def test_faults_of_the_stream():
    faults = {"odd_frames": 6, "unknown_kinds": 2, "media_fault": "abort", "media_fault_after_ms": 400}
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect(then="<Redirect>/after</Redirect>")
        call = await emulator.dial(STAYS | {"faults": faults})
        await over(call)
        [stream] = app.streams
        sizes = [len(base64.b64decode(message["media"]["payload"])) for message in stream.named("media")]
        assert {0, 1, 80, 159, 161, 480} == {size for size in sizes if size != 160}
        assert {"somethingNew", "ping"} <= {message["event"] for message in stream.messages}
        assert stream.close_code != 1000 and app.forms("/after")
        assert [notice.code for notice in call.call.notices] == [31903]


async def test_wrong_signatures_on_demand_and_a_dial_that_fails():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect(
            then=app.connect().removeprefix("<Response>").removesuffix("</Response>")
        )
        call = await emulator.dial(TONE | {"faults": {"bad_signatures": 1, "media_refused": 1}})
        await over(call)
        assert app.signed[0] is False and all(app.signed[1:])
        assert [notice.code for notice in call.call.notices] == [31902]
        assert len(app.streams) == 1, "the second Connect stands"


async def test_an_upgrade_that_nobody_answers_is_error_31901(monkeypatch):
    monkeypatch.setattr("emulator.twilio.stream.OPEN_TIMEOUT_S", 0.05)
    given_up = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readuntil(b"\r\n\r\n")
        await given_up.wait()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        async with twilio_app() as (emulator, app):
            app.twiml["voice"] = f'<Response><Connect><Stream url="{url}"/></Connect></Response>'
            summary = await over(await emulator.dial(STAYS))
        given_up.set()
    assert [notice["code"] for notice in summary["twilio"]["notices"]] == [31901]


async def test_webhooks_that_come_late_on_demand():
    async with twilio_app() as (emulator, app):
        app.twiml["voice"] = app.connect()
        call = await emulator.dial(TONE | {"faults": {"webhook_delay_s": 0.3}})
        summary = await over(call)
        assert summary["answered_ms"] >= 300
        assert all(asked.ms < 300 for asked in call.call.asked), "that is the app's part alone"
