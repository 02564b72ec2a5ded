"""The account over the control API, and in a configuration file."""

import aiohttp
import pytest

from emulator.__main__ import load_config
from emulator.twilio.config import StudioFlow, TwilioConfig, TwilioNumber
from shared.errors import ConfigurationError
from tests.emulator.twilio.test_streams import over
from tests.support.app import ACCESS_KEY, CONTROL_KEY, RESOURCE, emulated_app
from tests.support.twilio_app import ACCOUNT, NUMBER, TOKEN, twilio_app

KEY = {"Authorization": f"Bearer {CONTROL_KEY}"}


async def test_numbers_flows_and_the_debugger():
    async with twilio_app() as (emulator, app), aiohttp.ClientSession(emulator.endpoint, headers=KEY) as http:
        one = "/emulator/twilio/numbers/+18005550001"
        flow = {"redirect": f"{app.base}/voice", "headers": {"api-secret": "hidden"}}
        async with http.put("/emulator/twilio/flows/desk", json=flow) as response:
            address = await response.json()
        assert address["returns"] == address["address"] + "?FlowEvent=return"
        async with http.put(one, json={"flow": "desk"}) as response:
            assert response.status == 204
        for path, body, field in (
            (one, {"flow": "other"}, "number"),
            (one, [], "body"),
            ("/emulator/twilio/flows/desk", {"redirect": "x"}, "flow"),
        ):
            async with http.put(path, json=body) as response:
                assert response.status == 400 and field in (await response.json())["error"]["message"]
        script = {"to": "+18005550001", "line": "twilio", "steps": ["expect_hang_up"]}
        app.twiml["voice"] = "<nothing"
        async with http.post("/emulator/calls", json=script) as response:
            made = await response.json()
        summary = await over(emulator.calls[made["id"]])
        assert (summary["line"], summary["correlationId"]) == ("twilio", made["correlationId"])
        async with http.get("/emulator/twilio") as response:
            shown = await response.json()
        assert shown["accountSid"] == ACCOUNT and set(shown["numbers"]) == {NUMBER, "+18005550001"}
        assert shown["flows"] == {"desk": address["address"]} and "hidden" not in str(shown)
        assert (
            shown["notices"][0]["code"] == 12100 and shown["notices"][0]["callSid"] == made["correlationId"]
        )
        for status in (204, 404):
            async with http.delete(one) as response:
                assert response.status == status


@pytest.mark.parametrize(("headers", "status"), [({}, 401), (KEY, 404)])
async def test_without_the_key_or_without_an_account(headers, status):
    async with emulated_app() as app, aiohttp.ClientSession(app.emulator.endpoint, headers=headers) as http:
        async with http.get("/emulator/twilio") as response:
            assert response.status == status


def test_an_account_in_a_file(tmp_path):
    path = tmp_path / "emulator.yaml"
    path.write_text(
        f"access_key: {ACCESS_KEY}\ncontrol_key: {CONTROL_KEY}\nresource_id: {RESOURCE}\n"
        f"twilio: {{account_sid: {ACCOUNT}, auth_token: {TOKEN}, numbers: {{'{NUMBER}': {{voice_url: 'http://x/y'}}}}}}\n"
    )
    assert load_config(path).twilio.numbers[NUMBER] == TwilioNumber("http://x/y")
    path.write_text(path.read_text().replace(ACCOUNT, "AC1"))
    with pytest.raises(ConfigurationError, match="account_sid"):
        load_config(path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"auth_token": "short"}, "auth_token"),
        ({"numbers": {"1": TwilioNumber("http://x")}}, "numbers"),
        ({"flows": {"a": StudioFlow("http://x", "nowhere")}}, "request"),
    ],
)
def test_accounts_that_cannot_be(changes, named):
    values = {"account_sid": ACCOUNT, "auth_token": TOKEN, **changes}
    with pytest.raises(ConfigurationError, match=named):
        TwilioConfig(**values).check()
