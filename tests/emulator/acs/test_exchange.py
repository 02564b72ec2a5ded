"""Whose an address is: an app's here, a telephone's here, or nobody's."""

import pytest
from azure.communication.callautomation import CommunicationUserIdentifier, PhoneNumberIdentifier

from emulator.acs.identifiers import identifier
from emulator.event_grid.filters import AdvancedFilter
from tests.support.app import RESOURCE, emulated_app

pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")

OURS = "+18005550001"
WAIT = {"steps": [{"wait_ms": 60_000}]}


@pytest.mark.parametrize(
    ("address", "filtered", "numbers", "owned"),
    [
        ("8:acs:res_agent", None, (), True),
        ("8:acs:res_agent", "4:+18005550000", (), False),
        (OURS, None, (), False),
        (OURS, None, (OURS,), True),
        (OURS, f"4:{OURS}", (), True),
        (OURS, "4:+18005550000", (OURS,), False),
        ("+14255550111", None, (OURS,), False),
    ],
)
async def test_who_owns_an_address(address: str, filtered: str | None, numbers: tuple, owned: bool) -> None:
    async with emulated_app(subscribe=False, numbers=numbers) as app:
        filters = [] if filtered is None else [AdvancedFilter("StringIn", "data.to.rawId", [filtered])]
        await app.emulator.subscribe(app.subscription(filters=filters))
        assert app.emulator._exchange.owns(identifier(address)) is owned


async def test_a_filter_on_the_kind_names_no_number() -> None:
    async with emulated_app(subscribe=False) as app:
        phones = AdvancedFilter("StringIn", "data.to.kind", ["phoneNumber"])
        await app.emulator.subscribe(app.subscription(filters=[phones]))
        assert not app.emulator._exchange.owns(identifier(OURS))


async def test_without_subscriptions_nothing_is_owned() -> None:
    async with emulated_app(subscribe=False, numbers=(OURS,)) as app:
        assert not app.emulator._exchange.owns(identifier(OURS))


async def test_a_transfer_to_a_number_of_the_resource_is_a_call_of_its_own() -> None:
    async with emulated_app(numbers=(OURS,)) as app:
        call = await app.emulator.dial(WAIT)
        first = (await app.callback("CallConnected"))["callConnectionId"]
        await app.connection.transfer_call_to_participant(
            PhoneNumberIdentifier(OURS),
            sip_headers={"User-To-User": "u", "X-MS-Custom-k": "v"},
        )
        await app.callback("CallDisconnected", first)
        await app.until(lambda: app.kinds().count("CallConnected") == 2)
        assert app.events[1]["data"]["customContext"] == {
            "sipHeaders": {"userToUser": "u", "X-MS-Custom-k": "v"}
        }
        assert call.connection_id != first
        assert call.summary()["ended"] is None


@pytest.mark.parametrize("target", [OURS, f"8:acs:{RESOURCE}_mistyped"])
async def test_a_transfer_within_the_resource_that_nobody_wants_fails(target: str) -> None:
    async with emulated_app(subscribe=False, numbers=(OURS,)) as app:
        named = AdvancedFilter("StringIn", "data.to.rawId", ["4:+18005550000"])
        await app.emulator.subscribe(app.subscription(filters=[named]))
        await app.emulator.dial(WAIT)
        await app.callback("CallConnected")
        kind = PhoneNumberIdentifier if target.startswith("+") else CommunicationUserIdentifier
        await app.connection.transfer_call_to_participant(kind(target))
        failed = await app.callback("CallTransferFailed")
        assert failed["resultInformation"]["subCode"] == 8544
        assert (await app.connection.get_call_properties()).call_connection_state == "connected"


async def test_a_transfer_to_a_telephone_here_leaves_two_people_talking() -> None:
    async with emulated_app() as app:
        tone = {
            "at": "+14255550111",
            "after_ms": 10,
            "steps": [{"tone": {"hz": 700, "seconds": 0.3}}, "hang_up"],
        }
        await app.emulator.add_phone(tone)
        call = await app.emulator.dial({"steps": ["listen", "expect_hang_up"]})
        await app.callback("CallConnected")
        await app.connection.transfer_call_to_participant(PhoneNumberIdentifier("+14255550111"))
        await app.callback("CallDisconnected")
        event = await call.first("ended")
        assert (event["reason"], event["by"]) == ("other_hung_up", "other")
        assert call.failed is None


async def test_redirected_to_a_telephone_here() -> None:
    async with emulated_app() as app:
        await app.emulator.add_phone({"at": "+14255550111", "on_ring": "busy", "after_ms": 10})

        async def redirect(data: dict) -> None:
            await app.client.redirect_call(data["incomingCallContext"], PhoneNumberIdentifier("+14255550111"))

        app.on_call = redirect
        call = await app.emulator.dial(WAIT)
        assert (await call.first("redirected"))["to"] == "+14255550111"
        assert (await call.first("rejected"))["reason"] == "busy"
