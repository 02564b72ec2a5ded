"""Calls that apps make: createCall, group calls and connect, to telephones, to users and out of the emulator."""

import asyncio

import pytest
from azure.communication.callautomation import (
    CallAutomationClient as SyncClient,
)
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    PhoneNumberIdentifier,
)
from azure.core.credentials import AzureKeyCredential

from tests.support.app import ACCESS_KEY, RESOURCE, App, another_app, emulated_app, sine
from tests.support.timing import patience

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

PHONE = "+14255550111"
SECOND = "+14255550112"
OURS = PhoneNumberIdentifier("+18005550000")
AGENT = f"8:acs:{RESOURCE}_agent"


@pytest.fixture
async def app():
    async with emulated_app(subscribe=False) as app:
        yield app


async def create(app: App, *targets: object, **more: object):
    people = [PhoneNumberIdentifier(one) if str(one).startswith("+") else one for one in targets]
    return await app.client.create_call(
        people if len(people) > 1 else people[0],
        f"http://{app.base}/callbacks/c1",
        source_caller_id_number=OURS,
        operation_context="made",
        **more,
    )


async def ended(call) -> None:
    async with asyncio.timeout(patience(20)):
        await call.ended()


def called(app: App):
    """The last call that a telephone got."""
    return list(app.emulator.calls.values())[-1]


async def test_a_telephone_picks_up_and_both_hear_each_other(app: App) -> None:
    await app.emulator.add_phone(
        {"at": PHONE, "steps": ["listen", {"tone": {"hz": 900, "seconds": 0.3}}, "hang_up"]}
    )

    async def speak(media) -> None:
        await media.speak(sine(440, 300))

    app.on_media = speak
    made = await create(app, PHONE, media_streaming=app.media_options())
    assert made.call_connection_state == "connecting"
    assert made.targets[0].raw_id == f"4:{PHONE}"
    assert made.source_caller_id_number.properties["value"] == OURS.properties["value"]
    connected = await app.callback("CallConnected")
    assert connected["operationContext"] == "made"
    assert connected["callConnectionId"] == made.call_connection_id
    await app.callback("CallDisconnected")
    phone = called(app)
    await ended(phone)
    assert phone.failed is None
    assert [event["kind"] for event in phone.events][:2] == ["rung", "answered"]
    assert phone.events[0]["from"] == OURS.properties["value"]
    assert len(app.rosters(made.call_connection_id)[0]) == 2
    assert sine(440, 300) in phone._heard.pcm
    assert app.media[0].pcm().strip(b"\0") == phone._said.pcm.strip(b"\0")


async def test_media_is_dialled_only_when_the_callee_picks_up(app: App) -> None:
    await app.emulator.add_phone({"at": PHONE, "after_ms": 400})
    made = await create(app, PHONE, media_streaming=app.media_options())
    connection = app.client.get_call_connection(made.call_connection_id)
    await asyncio.sleep(0.1)
    assert not app.media
    assert (await connection.get_call_properties()).call_connection_state == "connecting"
    assert [one async for one in connection.list_participants()] == []
    with pytest.raises(Exception, match="8501"):
        await connection.start_media_streaming()
    with pytest.raises(Exception, match="8501"):
        await connection.transfer_call_to_participant(PhoneNumberIdentifier(SECOND))
    await app.connected()
    assert (await connection.get_call_properties()).call_connection_state == "connected"


@pytest.mark.parametrize(
    ("on_ring", "code"),
    [
        ("decline", (603, 8538)),
        ("busy", (486, 8539)),
        ("unreachable", (480, 8544)),
        ("no_answer", (408, 8587)),
    ],
)
async def test_a_telephone_that_nobody_picks_up(on_ring: str, code: tuple) -> None:
    async with emulated_app(subscribe=False, ring_timeout_s=0.3) as app:
        await app.emulator.add_phone({"at": PHONE, "on_ring": on_ring, "after_ms": 50})
        made = await create(app, PHONE, media_streaming=app.media_options())
        failed = await app.callback("CreateCallFailed")
        information = failed["resultInformation"]
        assert (information["code"], information["subCode"]) == code
        assert failed["operationContext"] == "made"
        await ended(called(app))
        assert called(app).failed is None
        with pytest.raises(Exception, match="8522"):
            await app.client.get_call_connection(made.call_connection_id).get_call_properties()
        await asyncio.sleep(0.05)
        assert app.kinds() == ["CreateCallFailed"]
        assert not app.media


async def test_a_hang_up_while_it_rings_stops_the_ringing(app: App) -> None:
    await app.emulator.add_phone({"at": PHONE, "on_ring": "no_answer"})
    made = await create(app, PHONE)
    await app.client.get_call_connection(made.call_connection_id).hang_up(True)
    await app.callback("CallDisconnected")
    await ended(called(app))
    assert called(app).summary()["ended"] == {"reason": "stopped_ringing", "by": "other"}
    assert app.kinds() == ["CallDisconnected"]


async def test_somebody_outside_the_emulator_picks_up_and_says_nothing(app: App) -> None:
    made = await create(app, "+14255550177")
    await app.callback("CallConnected")
    await app.client.get_call_connection(made.call_connection_id).hang_up(False)
    await app.callback("CallDisconnected")


@pytest.mark.filterwarnings("ignore:The method 'create_group_call' is deprecated:DeprecationWarning")
async def test_a_group_call_connects_with_the_first_and_lives_on_without_one(app: App) -> None:
    await app.emulator.add_phone(
        {"at": PHONE, "after_ms": 20, "steps": [{"tone": {"hz": 500, "seconds": 20}}]}
    )
    await app.emulator.add_phone({"at": SECOND, "after_ms": 150, "steps": [{"wait_ms": 60_000}]})
    made = await app.client.create_group_call(
        [PhoneNumberIdentifier(PHONE), PhoneNumberIdentifier(SECOND), PhoneNumberIdentifier("+14255550113")],
        f"http://{app.base}/callbacks/c1",
        source_caller_id_number=OURS,
    )
    await app.until(lambda: any(len(roster) == 4 for roster in app.rosters(made.call_connection_id)))
    first, second = app.emulator.calls.values()
    await second.first("agent_audio")  # the first telephone's tone
    first.hang_up()
    await app.until(lambda: len(app.rosters(made.call_connection_id)[-1]) == 3)
    assert (
        await app.client.get_call_connection(made.call_connection_id).get_call_properties()
    ).call_connection_state == "connected"
    await app.client.get_call_connection(made.call_connection_id).hang_up(False)
    await app.callback("CallDisconnected")
    await asyncio.sleep(0.05)
    assert second.summary()["ended"] is None  # the others go on without the app
    second.hang_up()
    await ended(second)


async def test_terminate_ends_a_group_call_for_everybody(app: App) -> None:
    for at in (PHONE, SECOND):
        await app.emulator.add_phone({"at": at, "after_ms": 10})
    made = await create(app, PHONE, SECOND)
    await app.until(lambda: any(len(roster) == 3 for roster in app.rosters(made.call_connection_id)))
    await app.client.get_call_connection(made.call_connection_id).hang_up(True)
    for call in list(app.emulator.calls.values()):
        await ended(call)
        assert call.summary()["ended"] == {"reason": "agent_hung_up", "by": "agent"}


async def test_a_group_call_fails_when_all_refuse(app: App) -> None:
    for at in (PHONE, SECOND):
        await app.emulator.add_phone({"at": at, "on_ring": "decline", "after_ms": 10})
    await create(app, PHONE, SECOND)
    failed = await app.callback("CreateCallFailed")
    assert failed["resultInformation"]["subCode"] == 8538


async def test_a_call_to_another_apps_user_is_its_incoming_call(app: App) -> None:
    async with another_app(app.emulator, AGENT) as agent:
        made = await create(app, CommunicationUserIdentifier(AGENT), source_display_name="Shop")
        await app.callback("CallConnected")
        await agent.callback("CallConnected")
        offered = agent.events[0]["data"]
        assert offered["callerDisplayName"] == "Shop"
        assert offered["serverCallId"] == made.server_call_id
        assert offered["correlationId"] == made.correlation_id
        assert offered["from"]["kind"] == "communicationUser"
        await agent.connection.hang_up(False)
        await app.callback("CallDisconnected")
        await agent.callback("CallDisconnected")


async def test_a_telephone_without_a_caller_id_is_refused(app: App) -> None:
    with pytest.raises(Exception, match="SourceCallerIdNumber") as caught:
        await app.client.create_call(PhoneNumberIdentifier(PHONE), f"http://{app.base}/callbacks/c1")
    assert caught.value.status_code == 400


async def test_a_second_app_connects_to_a_running_call(app: App) -> None:
    await app.emulator.subscribe(app.subscription())
    call = await app.emulator.dial({"steps": [{"tone": {"hz": 600, "seconds": 20}}]})
    connected = await app.callback("CallConnected")
    observer = await app.client.connect_call(
        f"http://{app.base}/callbacks/c2",
        server_call_id=connected["serverCallId"],
        media_streaming=app.media_options(),
        operation_context="listening in",
    )
    again = await app.callback("CallConnected", observer.call_connection_id)
    assert again["operationContext"] == "listening in"
    await app.until(lambda: len(app.media) == 2)
    await app.media[1].until(lambda media: any(not m["audioData"]["silent"] for m in media.messages[1:]))
    assert len(app.rosters(observer.call_connection_id)[0]) == 3
    call.hang_up()
    await app.callback("CallDisconnected", observer.call_connection_id)


async def test_connecting_to_an_unknown_call(app: App) -> None:
    with pytest.raises(Exception, match="8522") as caught:
        await app.client.connect_call(f"http://{app.base}/callbacks/c2", server_call_id="bm9wZQ==")
    assert caught.value.status_code == 404
    with pytest.raises(Exception, match="8523"):
        await app.client.connect_call(f"http://{app.base}/callbacks/c2", room_id="123")


async def test_a_telephone_calls_a_telephone(app: App) -> None:
    await app.emulator.add_phone({"at": PHONE, "steps": [{"tone": {"hz": 700, "seconds": 0.2}}, "hang_up"]})
    call = await app.emulator.dial({"to": PHONE, "steps": ["listen", "expect_hang_up"]})
    await ended(call)
    assert call.failed is None
    assert call.summary()["ended"] == {"reason": "other_hung_up", "by": "other"}


async def test_the_sync_client(app: App) -> None:
    await app.emulator.add_phone({"at": PHONE, "after_ms": 10})

    def drive() -> str:
        with SyncClient(app.emulator.endpoint, AzureKeyCredential(ACCESS_KEY)) as client:
            made = client.create_call(
                PhoneNumberIdentifier(PHONE),
                f"http://{app.base}/callbacks/c1",
                source_caller_id_number=OURS,
            )
            assert made.call_connection_state == "connecting"
            return made.call_connection_id

    connection_id = await asyncio.to_thread(drive)
    await app.callback("CallConnected", connection_id)

    def end() -> None:
        with SyncClient(app.emulator.endpoint, AzureKeyCredential(ACCESS_KEY)) as client:
            connection = client.get_call_connection(connection_id)
            people = [one.identifier.raw_id for one in connection.list_participants()]
            assert f"4:{PHONE}" in people
            assert connection.get_participant(PhoneNumberIdentifier(PHONE)).is_muted is False
            connection.hang_up(True)

    await asyncio.to_thread(end)
    await app.callback("CallDisconnected", connection_id)
