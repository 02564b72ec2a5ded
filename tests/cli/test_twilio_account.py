"""The Twilio account of a stack, and of somebody's own app."""

import pytest

from cli.app_environment import AppEnvironment
from cli.processes import ROOT
from cli.twilio_account import ACCOUNT, FLOW, NUMBER, STUDIO_NUMBER, app_account, twilio_account
from shared.errors import InvalidInput

KEYS = {"resource_id": "one", "access_key": "secret", "control_key": "other"}


def test_a_stacks_numbers_lead_to_its_function_app(tmp_path):
    shipped = twilio_account(ROOT / "patchcord.yaml", "http://127.0.0.1:7071")
    assert shipped.account_sid == ACCOUNT
    assert shipped.numbers[NUMBER].voice_url == "http://127.0.0.1:7071/api/twilio/engage"
    assert shipped.numbers[STUDIO_NUMBER].flow == FLOW
    shipped.check()
    assert twilio_account(ROOT / "patchcord.yaml", "http://x").auth_token != shipped.auth_token
    other = tmp_path / "patchcord.yaml"
    other.write_text(
        "agents: {a: {kind: realtime, service: openai, auth: none, endpoint: ws://127.0.0.1:1, model: m}}\n"
        'routes: [{name: r, to: ["+14255550777", "*"], agent: a}]\n'
    )
    assert set(twilio_account(other, "http://x").numbers) == {"+14255550777", NUMBER, STUDIO_NUMBER}


def test_an_apps_account_stays_the_same_and_goes_to_its_environment():
    assert app_account([], KEYS) is None
    account = app_account(["+18005550001=http://127.0.0.1:8080/voice?a=b"], KEYS)
    assert account.numbers["+18005550001"].voice_url == "http://127.0.0.1:8080/voice?a=b"
    again = app_account(["+18005550002=http://127.0.0.1/"], KEYS)
    assert (account.account_sid, account.auth_token) == (again.account_sid, again.auth_token)
    assert app_account(["+18005550001=http://x"], KEYS | {"access_key": "b"}).auth_token != account.auth_token
    environment = AppEnvironment("c", "http://127.0.0.1:1", "guid", "iss", "http://x", twilio=account)
    assert environment.variables()["TWILIO_AUTH_TOKEN"] == account.auth_token
    assert account.auth_token not in repr(environment)


@pytest.mark.parametrize("text", ["+18005550001", "123=http://x", "+18005550001=nowhere", "+18005550001="])
def test_what_is_no_number_with_an_address(text):
    with pytest.raises(InvalidInput, match="--twilio"):
        app_account([text], KEYS)
