"""What is asked of Azure Resource Manager. Its answers are made up by its documentation: nothing of Azure is reached from here."""

from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cli.doctor import configuration, events, model, regions, settings, twilio
from cli.doctor.arm import SCOPE, Arm
from cli.doctor.finding import State
from tests.cli.doctor.conftest import ENV
from tests.cli.doctor.test_subscriptions import RESOURCE

CONFIG = """
agents:
  own: {kind: websocket, url: "ws://127.0.0.1:9", key: env:K}
  other: {kind: websocket, url: "ws://127.0.0.1:9", key: env:NOWHERE}
routes: [{name: r, to: ["+18005550000"], agent: own}]
twilio: {default: {account_sid: AC00000000000000000000000000000001, auth_token: env:TOKEN, agent: own}}
"""
GROUP = "/subscriptions/sub/resourceGroups/rg"
AZD = {
    "AZURE_RESOURCE_GROUP": "rg",
    "FUNCTION_APP_NAME": "func-1",
    "MEDIA_APP_NAME": "media-1",
    "ACS_NAME": "acs-1",
    "ACS_TOPIC_NAME": "topic-1",
}
SITE, APP = (
    f"{GROUP}/providers/Microsoft.Web/sites/func-1",
    f"{GROUP}/providers/Microsoft.App/containerApps/media-1",
)
ACS = f"{GROUP}/providers/Microsoft.Communication/communicationServices/acs-1"
TOPIC = f"{GROUP}/providers/Microsoft.EventGrid/systemTopics/topic-1/eventSubscriptions"
ACCOUNTS = f"{GROUP}/providers/Microsoft.CognitiveServices/accounts"


class Credential:
    """Gives a token for ARM."""

    scopes = ()

    async def get_token(self, *scopes):
        self.scopes = scopes
        return SimpleNamespace(token="token-for-arm")


@pytest.fixture
async def azure(make_exam):
    """An examination whose ARM is on loopback, and its answers by path."""
    env = [{"name": name, "value": value} for name, value in ENV.items() if name.startswith("PATCHCORD")]
    answers = {
        f"{SITE}/config/appsettings/list": {"properties": {**ENV, "AZURE_CLIENT_ID": "c"}},
        SITE: {"location": "West Europe"},
        APP: {
            "location": "North Europe",
            "properties": {"template": {"containers": [{"env": [*env, {"name": "K", "secretRef": "k"}]}]}},
        },
        ACS: {"properties": {"dataLocation": "Europe", "immutableResourceId": "the-id"}},
        TOPIC: {"value": [RESOURCE]},
        ACCOUNTS: {"value": []},
    }

    async def answer(request):
        assert request.headers["Authorization"] == "Bearer token-for-arm"
        assert request.query["api-version"]
        assert request.method == ("POST" if request.path.endswith("/list") else "GET")
        if request.query.get("page"):
            return web.json_response({"value": [RESOURCE]})
        found = answers.get(request.path)
        return web.json_response(found or {}, status=200 if found is not None else 403)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    base = str(server.make_url("")).rstrip("/")
    exam = make_exam({"azd": dict(AZD)}, **dict.fromkeys(ENV, ""))
    exam.arm = Arm(exam.http, Credential(), "sub", "rg", base)
    yield exam, answers, base
    await server.close()


async def of(link, exam):
    return {one.check: one async for one in link.check(exam)}


async def test_the_function_apps_own_settings_are_examined(azure):
    exam, _, _ = azure
    found = await of(settings, exam)
    assert {one.state for one in found.values()} == {State.OK}, found
    assert exam.settings.callback_base == ENV["CALLBACK_EVENTS_URI"]
    assert exam.arm._credential.scopes == (SCOPE,)


async def test_two_processes_that_do_not_agree(azure):
    exam, answers, _ = azure
    answers[APP]["properties"]["template"]["containers"][0]["env"][0] = {
        "name": "PATCHCORD_STORE",
        "value": "sqlite:y",
    }
    found = await of(settings, exam)
    assert found["PATCHCORD_STORE of the media host"].state is State.BROKEN
    assert "azd deploy media" in found["PATCHCORD_STORE of the media host"].mend


async def test_secrets_that_only_the_deployment_reads(azure, tmp_path):
    """A Key Vault reference among the app settings, and a container's secret: neither is taken for a secret, nor called missing."""
    exam, answers, _ = azure
    (tmp_path / "patchcord.yaml").write_text(CONFIG)
    values = answers[f"{SITE}/config/appsettings/list"]["properties"]
    values |= {
        "PATCHCORD_CONFIG": str(tmp_path / "patchcord.yaml"),
        "TOKEN": "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/token)",
    }
    await of(settings, exam)
    found = await of(configuration, exam)
    assert {place: one.state for place, one in found.items() if "." in place and place.count(".") > 1} == {
        "twilio.default.auth_token": State.UNKNOWN,
        "agents.own.key": State.UNKNOWN,
        "agents.other.key": State.BROKEN,
    }
    assert (await of(model, exam))["own"].state is State.UNKNOWN
    assert (await of(twilio, exam))["secret of default"].state is State.UNKNOWN


async def test_without_access_nothing_is_called_broken_that_was_not_seen(azure, tmp_path):
    exam, answers, _ = azure
    answers.clear()
    (tmp_path / "patchcord.yaml").write_text(CONFIG)
    exam.env |= {**ENV, "PATCHCORD_CONFIG": str(tmp_path / "patchcord.yaml")}
    found = {
        **await of(settings, exam),
        **await of(configuration, exam),
        **await of(regions, exam),
        **await of(events, exam),
    }
    unseen = [one for one in found.values() if one.state is State.UNKNOWN]
    assert len([one for one in unseen if "answered 403" in one.found]) == 3
    assert not [one for one in found.values() if one.state is State.BROKEN]


async def test_the_subscriptions_of_the_system_topic(azure):
    exam, answers, base = azure
    assert (await of(events, exam))["subscription"].state is State.OK
    answers[TOPIC] = {"value": [], "nextLink": f"{base}{TOPIC}?api-version=1&page=2"}
    assert (await of(events, exam))["subscription"].state is State.OK
    answers[TOPIC] = {"value": [], "nextLink": "https://elsewhere.invalid/?page=2"}
    found = (await of(events, exam))["subscription"]
    assert (found.state, found.mend) == (State.BROKEN, "azd hooks run postdeploy")


async def test_regions(azure):
    exam, answers, _ = azure
    exam.env |= ENV
    await of(settings, exam)
    assert {one.state for one in (await of(regions, exam)).values()} == {State.OK}
    answers[APP]["location"] = "East US 2"
    answers[ACS]["properties"]["immutableResourceId"] = "another"
    found = await of(regions, exam)
    assert "in East US 2, but ACS's data location is Europe" in found["media host"].found
    assert found["resource id"].mend == "export ACS_RESOURCE_ID=another"
    assert "function app" not in found


@pytest.mark.parametrize(
    ("location", "region", "state"),
    [
        ("United States", "eastus2", State.OK),
        ("United States", "Sweden Central", State.BROKEN),
        ("UK", "westeurope", State.OK),
        ("Moon", "westeurope", State.UNKNOWN),
    ],
)
def test_data_locations(location, region, state):
    assert [one.state for one in regions.judged(location, {"model": region})] == [state]
