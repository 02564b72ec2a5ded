"""Participants of a call: invite, cancel, remove, mute, hold, move, list in pages; unmixed streaming."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator

import pytest
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    FileSource,
    MediaStreamingAudioChannelType,
    PhoneNumberIdentifier,
)

from emulator.phone.audio import share_at
from tests.support.app import RESOURCE, App, emulated_app, sine
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

CALLER = "4:+14255550100"
PHONE = "+14255550111"
USER = f"8:acs:{RESOURCE}_person"
WAIT = {"steps": [{"wait_ms": 60_000}]}
NOBODY = PhoneNumberIdentifier("+19995550100")


async def ended(call) -> None:
    async with asyncio.timeout(patience(20)):
        await call.ended()


async def talking(app: App, **phone: object) -> tuple[object, str]:
    """A caller and the app; a telephone at PHONE and a person at USER can be invited. Returns call and connection id."""
    await app.emulator.add_phone({"at": PHONE, "after_ms": 10, **phone})
    await app.emulator.add_phone(
        {"at": USER, "after_ms": 10, "steps": [{"tone": {"hz": 800, "seconds": 20}}]}
    )
    call = await app.emulator.dial(WAIT)
    connected = await app.callback("CallConnected")
    await app.connected()
    return call, connected["callConnectionId"]


async def three(app: App, who: object, **phone: object) -> tuple[object, str]:
    call, connection_id = await talking(app, **phone)
    await app.connection.add_participant(who)
    await app.callback("AddParticipantSucceeded")
    await app.until(lambda: any(len(roster) == 3 for roster in app.rosters(connection_id)))
    return call, connection_id


def invited(app: App):
    return list(app.emulator.calls.values())[-1]


async def test_an_invited_telephone_talks_to_everybody(app: App) -> None:
    call, connection_id = await three(
        app, PhoneNumberIdentifier(PHONE), steps=[{"tone": {"hz": 700, "seconds": 20}}]
    )
    await call.first("agent_audio")
    await app.media[0].until(lambda media: any(not m["audioData"]["silent"] for m in media.messages[1:]))
    assert app.rosters(connection_id)[-1][0::2] == [CALLER, f"4:{PHONE}"]
    sequence = [
        event["data"]["sequenceNumber"] for event in app.callbacks if "sequenceNumber" in event["data"]
    ]
    assert sorted(sequence) == list(range(1, len(sequence) + 1))
    invited(app).hang_up()
    await app.until(lambda: len(app.rosters(connection_id)[-1]) == 2)
    assert call.summary()["ended"] is None


@pytest.mark.parametrize(
    ("on_ring", "sub_code"), [("decline", 8538), ("busy", 8539), ("unreachable", 8544), ("no_answer", 8587)]
)
async def test_an_invitation_that_fails(on_ring: str, sub_code: int) -> None:
    async with emulated_app(ring_timeout_s=0.3) as app:
        await talking(app, on_ring=on_ring)
        await app.connection.add_participant(PhoneNumberIdentifier(PHONE), operation_context="a")
        failed = await app.callback("AddParticipantFailed")
        assert failed["resultInformation"]["subCode"] == sub_code
        assert failed["operationContext"] == "a"
        assert failed["participant"]["kind"] == "phoneNumber"
        assert (await app.connection.get_call_properties()).call_connection_state == "connected"


async def test_an_invitation_has_a_time_out_of_its_own(app: App) -> None:
    await talking(app, on_ring="no_answer")
    await app.connection.add_participant(PhoneNumberIdentifier(PHONE), invitation_timeout=1)
    failed = await app.callback("AddParticipantFailed")
    assert failed["resultInformation"]["message"] == "Incoming call not answered within time."
    assert invited(app).summary()["ended"]["reason"] == "stopped_ringing"


@pytest.mark.parametrize("seconds", [0, 181])
async def test_an_invitation_that_is_too_long(app: App, seconds: int) -> None:
    await talking(app)
    with pytest.raises(Exception, match="InvitationTimeoutInSeconds"):
        await app.connection.add_participant(PhoneNumberIdentifier(PHONE), invitation_timeout=seconds)


async def test_callbacks_of_an_operation_go_where_it_says(app: App) -> None:
    await talking(app)
    other = f"http://{app.base}/callbacks/elsewhere"
    await app.connection.add_participant(PhoneNumberIdentifier(PHONE), operation_callback_url=other)
    await app.callback("AddParticipantSucceeded")
    assert app.paths_of("AddParticipantSucceeded") == ["/callbacks/elsewhere"]
    assert set(app.paths_of("ParticipantsUpdated")) == {"/callbacks/c1"}


async def test_nobody_is_invited_twice(app: App) -> None:
    await three(app, PhoneNumberIdentifier(PHONE))
    with pytest.raises(Exception, match="ParticipantToAdd"):
        await app.connection.add_participant(PhoneNumberIdentifier(PHONE))


async def test_an_invitation_is_taken_back(app: App) -> None:
    await talking(app, on_ring="no_answer")
    added = await app.connection.add_participant(PhoneNumberIdentifier(PHONE))
    answer = await app.connection.cancel_add_participant_operation(added.invitation_id, operation_context="c")
    assert answer.invitation_id == added.invitation_id
    data = await app.callback("CancelAddParticipantSucceeded")
    assert (data["invitationId"], data["operationContext"]) == (added.invitation_id, "c")
    await ended(invited(app))
    await app.connection.cancel_add_participant_operation(added.invitation_id)
    failed = await app.callback("CancelAddParticipantFailed")
    assert failed["resultInformation"]["subCode"] == 8585
    assert "AddParticipantFailed" not in app.kinds()


async def test_an_unknown_invitation(app: App) -> None:
    await talking(app)
    await app.connection.cancel_add_participant_operation("nope")
    failed = await app.callback("CancelAddParticipantFailed")
    assert failed["resultInformation"]["code"] == 404


async def test_the_callers_hang_up_takes_invitations_back(app: App) -> None:
    call, _ = await talking(app, on_ring="no_answer")
    await app.connection.add_participant(PhoneNumberIdentifier(PHONE))
    call.hang_up()
    await app.callback("CallDisconnected")
    await ended(invited(app))


async def test_a_participant_is_removed(app: App) -> None:
    call, connection_id = await three(app, PhoneNumberIdentifier(PHONE))
    answer = await app.connection.remove_participant(PhoneNumberIdentifier(PHONE), operation_context="r")
    assert answer.operation_context == "r"
    data = await app.callback("RemoveParticipantSucceeded")
    assert data["participant"]["rawId"] == f"4:{PHONE}"
    await app.until(lambda: len(app.rosters(connection_id)[-1]) == 2)
    await ended(invited(app))
    assert invited(app).summary()["ended"] == {"reason": "removed", "by": "agent"}
    assert call.summary()["ended"] is None


async def test_removing_the_last_other_ends_the_call(app: App) -> None:
    call, _ = await talking(app)
    await app.connection.remove_participant(PhoneNumberIdentifier(CALLER[2:]))
    await app.callback("CallDisconnected")
    await ended(call)
    assert app.kinds().index("RemoveParticipantSucceeded") < app.kinds().index("CallDisconnected")


async def test_removing_a_stranger_fails(app: App) -> None:
    await talking(app)
    await app.connection.remove_participant(NOBODY)
    failed = await app.callback("RemoveParticipantFailed")
    assert failed["resultInformation"]["subCode"] == 8522


async def test_a_muted_user_is_not_heard(app: App) -> None:
    call, _ = await three(app, CommunicationUserIdentifier(USER))
    await call.first("agent_audio")
    answer = await app.connection.mute_participant(CommunicationUserIdentifier(USER), operation_context="m")
    assert answer.operation_context == "m"
    await app.until(lambda: any(one["isMuted"] for one in last_roster(app)))
    assert (await app.connection.get_participant(CommunicationUserIdentifier(USER))).is_muted
    assert "muted" in [event["kind"] for event in invited(app).events]
    await call.first("agent_silent")
    with pytest.raises(Exception, match="8523"):
        await app.connection.mute_participant(PhoneNumberIdentifier(CALLER[2:]))
    with pytest.raises(Exception, match="8522"):
        await app.connection.mute_participant(CommunicationUserIdentifier("8:acs:x_y"))


def last_roster(app: App) -> list[dict]:
    events = [event["data"] for event in app.callbacks if "sequenceNumber" in event["data"]]
    return max(events, key=lambda data: data["sequenceNumber"])["participants"] if events else []


async def test_on_hold_nothing_is_heard_in_either_direction(app: App) -> None:
    call, _ = await talking(app)
    caller = PhoneNumberIdentifier(CALLER[2:])
    await app.connection.hold(caller, operation_context="h")
    await app.until(lambda: any(one["isOnHold"] for one in last_roster(app)))
    await app.media[0].speak(sine(440, 300))
    seen = len(app.media[0].messages)
    await app.media[0].until(lambda media: len(media.messages) > seen + 25)
    assert call.summary()["heard_ms"] == 0
    await app.connection.unhold(caller)
    await app.until(lambda: not any(one["isOnHold"] for one in last_roster(app)))
    await app.media[0].speak(sine(440, 300))
    await call.first("agent_audio")
    assert [event["kind"] for event in call.events if "hold" in event["kind"]] == ["on_hold", "off_hold"]


class OneTone:
    """Hold music."""

    async def pcm(self, source: dict, rate: int) -> bytes:
        assert source["file"]["uri"] == "https://music.example/a.wav"
        return sine(520, 100, rate)  # whole cycles: the loop has no seam


async def test_hold_music_is_played_until_the_end_of_the_hold(app: App) -> None:
    app.emulator._exchange.services.sounds = OneTone()
    call, _ = await talking(app)
    caller = PhoneNumberIdentifier(CALLER[2:])
    await app.connection.hold(caller, play_source=FileSource(url="https://music.example/a.wav"))
    await call.first("agent_audio")
    seen = len(app.media[0].messages)
    await app.media[0].until(lambda media: len(media.messages) > seen + 30)
    await app.connection.unhold(caller)
    await call.first("agent_silent")
    assert share_at(call._heard.pcm, 24000, 520) > 0.8
    assert set(app.media[0].pcm()) == {0}


async def test_an_invited_telephones_keys_reach_the_app_even_while_the_caller_is_on_hold(app: App) -> None:
    await three(app, PhoneNumberIdentifier(PHONE), steps=[{"wait_ms": 60_000}])
    await app.connection.hold(PhoneNumberIdentifier(CALLER[2:]))
    await invited(app).press_keys("1#")
    await app.media[0].until(lambda media: media.kinds().count("DtmfData") == 2)


async def test_two_telephones_go_on_talking_when_the_app_has_left(app: App) -> None:
    call, _ = await three(app, PhoneNumberIdentifier(PHONE), steps=[{"tone": {"hz": 700, "seconds": 20}}])
    await app.connection.hang_up(is_for_everyone=False)
    await app.callback("CallDisconnected")
    before = call.summary()["heard_ms"]
    async with asyncio.timeout(patience(5)):
        while call.summary()["heard_ms"] < before + 200:
            await asyncio.sleep(0.05)
    assert invited(app).summary()["ended"] is None
    call.hang_up()
    await ended(invited(app))


@pytest.mark.parametrize("operation", ["hold", "unhold"])
async def test_holding_somebody_who_is_not_there(app: App, operation: str) -> None:
    await talking(app)
    with pytest.raises(Exception, match="8522") as caught:
        await getattr(app.connection, operation)(NOBODY)
    assert caught.value.status_code == 404


async def test_a_participant_moves_to_another_call(app: App) -> None:
    first = await app.emulator.dial(WAIT)
    source = (await app.callback("CallConnected"))["callConnectionId"]
    await app.emulator.dial({"from": "+14255550101", **WAIT})
    await app.until(lambda: app.kinds().count("CallConnected") == 2)
    target = next(
        event["data"]["callConnectionId"]
        for event in app.callbacks
        if event["data"]["callConnectionId"] != source
    )
    connection = app.client.get_call_connection(target)
    answer = await connection.move_participants(
        [PhoneNumberIdentifier(CALLER[2:])], source, operation_context="mv"
    )
    assert answer.from_call == source
    moved = await app.callback("MoveParticipantSucceeded")
    assert (moved["fromCall"], moved["operationContext"]) == (source, "mv")
    assert moved["participant"]["rawId"] == CALLER
    await app.callback("CallDisconnected", source)
    await app.until(lambda: CALLER in app.rosters(target)[-1])
    assert first.summary()["ended"] is None
    await connection.hang_up(True)
    await ended(first)


async def test_moving_somebody_who_is_not_there(app: App) -> None:
    _, source = await talking(app)
    await app.emulator.dial({"from": "+14255550101", **WAIT})
    await app.until(lambda: app.kinds().count("CallConnected") == 2)
    connection = app.connection
    target = app.callbacks[-1]["data"]["callConnectionId"]
    assert target != source
    await connection.move_participants([NOBODY], source)
    failed = await app.callback("MoveParticipantFailed")
    assert failed["resultInformation"]["code"] == 404
    with pytest.raises(Exception, match="FromCall"):
        await connection.move_participants([NOBODY], target)


async def test_participants_come_in_pages(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.acs.rest_participants.PAGE", 2)
    await three(app, PhoneNumberIdentifier(PHONE))
    pages = app.connection.list_participants().by_page()
    sizes = [len([one async for one in page]) async for page in pages]
    assert sizes == [2, 1]


@contextlib.asynccontextmanager
async def unmixed(people: int) -> AsyncIterator[tuple[App, list[str]]]:
    """An app with unmixed streaming in a call with a silent caller and `people` telephones that each send a tone."""
    async with emulated_app() as app:
        app.channels = MediaStreamingAudioChannelType.UNMIXED
        await app.emulator.dial(WAIT)
        await app.connected()
        numbers = [f"+1425555012{number}" for number in range(people)]
        for number, at in enumerate(numbers):
            steps = [{"tone": {"hz": 500 + 100 * number, "seconds": 20}}]
            await app.emulator.add_phone({"at": at, "after_ms": 10, "steps": steps})
            await app.connection.add_participant(PhoneNumberIdentifier(at))
        await app.until(lambda: app.kinds().count("AddParticipantSucceeded") == people)
        yield app, numbers


def streams_of(media, since: int) -> dict[str, bytes]:
    """What came for each speaker since message number `since`."""
    streams: dict[str, bytes] = {}
    for message in media.messages[since:]:
        audio = message["audioData"]
        streams.setdefault(audio["participantRawID"], b"")
        streams[audio["participantRawID"]] += base64.b64decode(audio["data"])
    return streams


async def test_unmixed_streams_keep_the_speakers_apart() -> None:
    async with unmixed(2) as (app, numbers):
        media = app.media[0]
        since = len(media.messages) + 20
        await media.until(lambda media: len(media.messages) > since + 90)
        streams = streams_of(media, since)
        assert streams.keys() == {CALLER, *(f"4:{number}" for number in numbers)}
        assert set(streams[CALLER]) == {0}
        assert share_at(streams[f"4:{numbers[0]}"], 24000, 500) > 0.9
        assert share_at(streams[f"4:{numbers[1]}"], 24000, 600) > 0.9


async def test_at_most_four_speakers_are_streamed() -> None:
    async with unmixed(5) as (app, _):
        media = app.media[0]
        since = len(media.messages) + 40
        await media.until(lambda media: len(media.messages) > since + 40)
        assert len(streams_of(media, since)) == 4
        assert CALLER not in streams_of(media, since)  # the one who says nothing


async def test_keys_reach_every_app_that_asked_for_them(app: App) -> None:
    call, _ = await talking(app)
    call.press_key("5")
    await app.media[0].until(lambda media: "DtmfData" in media.kinds())
