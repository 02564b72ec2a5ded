"""What `infra/` says about the code is true, and what the code needs is there."""

import json
import re
from pathlib import Path

import pytest

import function_app
from shared.security.near_expiry import NEAR_EXPIRY
from shared.settings import function_app_settings, known_variables, media_host_settings
from shared.wire.acs_events import INCOMING_CALL
from tests.infra.checker.reading import (
    Declared,
    Project,
    Source,
    entry,
    literal,
    named,
    properties,
    text,
    walk,
)

ROOT = Path(__file__).parents[2]
PROJECT = Project.read(ROOT / "infra", {})
MAIN, MEDIA, EVENTS = (PROJECT.sources[name] for name in ("main.bicep", "media.bicep", "events.bicep"))
FUNCTIONS = PROJECT.sources["modules/functions.bicep"]

NOT_SET = {"MEDIA_HOST_ID"}
"""Each replica has a name of its own: the host's and the process's."""
PLATFORM = re.compile(r"AzureWebJobsStorage__\w+|APPLICATIONINSIGHTS_\w+|OTEL_\w+")
"""Read by the Functions host or by the telemetry libraries, not by shared/settings.py."""

AHEAD = {"PATCHCORD_LOG_FORMAT"}
"""Set already, read soon: the telemetry of issue 7 is being written. Once it is known, this may go."""


def _literal_or(node: object, name: str) -> str:
    """The value as Azure will see it, if it can be known, or a likely one."""
    return likely if (likely := LIKELY.get(name)) is not None else (literal(node) or "")  # type: ignore[arg-type]  # a node


LIKELY = {
    "ACS_ENDPOINT": "https://acs-x.europe.communication.azure.com",
    "ACS_PHONE_NUMBER": "+18005550000",
    "ACS_RESOURCE_ID": "00000000-0000-0000-0000-000000000000",
    "AZURE_CLIENT_ID": "00000000-0000-0000-0000-000000000001",
    "CALLBACK_EVENTS_URI": "https://func-x.azurewebsites.net",
    "CALLBACK_URI_HOST": "wss://media-x.example.westeurope.azurecontainerapps.io",
    "MAX_CONCURRENT_CALLS": "100",
    "MEDIA_CAPACITY": "100",
    "MEDIA_DRAIN_S": "560",
    "MEDIA_LISTEN_PORT": "8080",
    "MEDIA_RECORDINGS": "off",
    "PATCHCORD_API_ID_HEADER": "api-id",
    "PATCHCORD_API_SECRET_HEADER": "api-secret",
    "PATCHCORD_COMPATIBLE_API": "True",  # what ARM makes of string(true)
    "PATCHCORD_ENVIRONMENT": "sandbox",
    "PATCHCORD_EVENTS_TOPIC": "https://outcomes-x.westeurope-1.eventgrid.azure.net/api/events",
    "PATCHCORD_LOG_LEVEL": "info",
    "PATCHCORD_SIGNING_KEYS": "https://kv-x.vault.azure.net/secrets/patchcord-signing",
    "PATCHCORD_STORE": "https://stx.table.core.windows.net",
    "PATCHCORD_VERIFICATION_KEYS": "https://kv-x.vault.azure.net/secrets/patchcord-verification",
    "REQUIRE_HEADERS_ON_VALIDATION": "True",
}


def _of_functions() -> dict[str, str]:
    given = entry(MAIN.symbols["functions"].value, "params", "settings")
    made = FUNCTIONS.symbols["appSettings"].value
    assert given is not None and made is not None
    union = entry(made, "properties")
    assert union is not None
    objects = [given, *(one for one in named(named(union)[-1]) if one.type == "object")]
    return {name: _literal_or(value, name) for one in objects for name, value, _ in properties(one) if name}


def _of_media_host() -> dict[str, str]:
    body = MEDIA.symbols["app"].value
    assert body is not None
    pairs = [
        (literal(entry(node, "name")), entry(node, "value")) for node in walk(body) if node.type == "object"
    ]
    return {name: _literal_or(value, name) for name, value in pairs if name and name.isupper()}


@pytest.mark.parametrize("process", [0, 1], ids=["function app", "media host"])
def test_every_setting_that_is_read_is_set_and_known_to_people(process: int) -> None:
    known, found = known_variables()[process], (_of_functions, _of_media_host)[process]()
    assert known - NOT_SET - set(found) == set()
    assert {name for name in found if not PLATFORM.fullmatch(name)} - known - AHEAD == set()
    example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))
    described = {*example["_about"], *example["_about_media_host"]}
    assert known - described == set()


def test_the_settings_are_taken() -> None:
    functions = function_app_settings(_of_functions())
    assert functions.acs_jwt.required and functions.acs.access_key == "" and functions.events_key == ""
    host = media_host_settings(_of_media_host())
    assert host.acs_jwt.required and host.acs.access_key == "" and host.listen_port == 8080


def _functions_named() -> set[str]:
    target = re.compile(r"/functions/(\w+)$")
    found = [target.search(text(node)) for node in walk(EVENTS.root) if node.type == "string_content"]
    return {match[1] for match in found if match}


def test_functions_that_are_named_exist_and_take_events() -> None:
    triggers = {
        one.get_function_name(): (one.get_trigger() or one).get_dict_repr().get("type")  # type: ignore[union-attr]  # each has one
        for one in function_app.app.get_functions()
    }
    ready = {literal(node) for node in walk(FUNCTIONS.root) if (literal(node) or "").startswith("function:")}
    assert ready == {"function:incoming_call"}
    assert _functions_named() == {name for name, kind in triggers.items() if kind == "eventGridTrigger"}


def test_subscriptions_ask_for_the_events_that_the_code_knows() -> None:
    def kinds(name: str) -> list[str | None]:
        found = entry(EVENTS.symbols[name].value, "properties", "filter", "includedEventTypes")
        assert found is not None
        return [literal(one) for one in named(found)]

    assert kinds("incomingCall") == [INCOMING_CALL]
    assert kinds("nearExpiry") == [NEAR_EXPIRY]
    assert INCOMING_CALL not in kinds("lifecycle")


def _number(source: Source, name: str, *path: str) -> int:
    found = entry(source.symbols[name].value, *path)
    assert found is not None
    return int(text(found))


def test_a_hung_answer_does_not_outlive_the_ringing() -> None:
    hours, minutes, seconds = map(
        int, json.loads((ROOT / "host.json").read_text())["functionTimeout"].split(":")
    )
    ringing = 60 * _number(EVENTS, "incomingCall", "properties", "retryPolicy", "eventTimeToLiveInMinutes")
    assert 3600 * hours + 60 * minutes + seconds <= ringing
    assert int(_of_functions()["INCOMING_CALL_MAX_AGE_S"]) == ringing


def test_the_port_is_the_media_hosts() -> None:
    port = text(MEDIA.symbols["port"].value or MEDIA.root)
    environment = dict(_of_media_host()) | {"MEDIA_LISTEN_PORT": ""}
    assert int(port) == media_host_settings(environment).listen_port
    assert f"EXPOSE {port}" in (ROOT / "media_host/Dockerfile").read_text(encoding="utf-8")
    server = (ROOT / "media_host/server.py").read_text(encoding="utf-8")
    assert all(f'"{path}"' in server for path in ("/healthz", "/readyz"))


def test_the_drain_ends_before_the_platform_does() -> None:
    grace = int(text(MEDIA.symbols["graceSeconds"].value or MEDIA.root))
    assert "string(graceSeconds - 40)" in text(MEDIA.root)
    assert int(LIKELY["MEDIA_DRAIN_S"]) == grace - 40  # a hand-over takes up to 35 s (docs/reliability.md)


def _parameters(name: str) -> dict[str, str]:
    content = json.loads((ROOT / "infra" / name).read_text(encoding="utf-8"))
    return {key: one["value"] for key, one in content["parameters"].items()}


@pytest.mark.parametrize(
    ("source", "name"),
    [(MAIN, "main.parameters.json"), (MEDIA, "media.parameters.json")],
    ids=["main", "media"],
)
def test_parameters_fit_the_params(source: Source, name: str) -> None:
    given = _parameters(name)
    params = {one.name: one for one in source.of("param")}
    assert set(given) - set(params) == set()
    assert {one.name for one in params.values() if one.value is None} - set(given) == set()
    outputs = set(MAIN.outputs) | {
        "AZURE_ENV_NAME",
        "AZURE_LOCATION",
        "PATCHCORD_DATA_LOCATION",
        "SERVICE_MEDIA_IMAGE_NAME",
    }
    for key, value in given.items():
        match = re.fullmatch(r"\$\{([A-Z_]+)(?:=(.*))?\}", value)
        assert match, value
        if match[2] is None:
            assert match[1] in outputs, f"{key}: nobody sets {match[1]}"
        else:
            assert match[2] == _default(params[key]), key


def _default(param: Declared) -> str:
    assert param.value is not None
    return text(param.value) if param.value.type in ("number", "boolean") else literal(param.value) or ""


def test_outputs_are_names_for_azd() -> None:
    for source in (MAIN, MEDIA, EVENTS):
        assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", one) for one in source.outputs)


def test_first_and_second_pass_mean_the_same_secrets() -> None:
    names = {text(MAIN.symbols[name].value or MAIN.root) for name in ("signingSecret", "verificationSecret")}
    params = entry(MEDIA.symbols["secretRoles"].value, "params")
    assert names == {
        text(entry(params, name) or MEDIA.root) for name in ("signingSecretName", "verificationSecretName")
    }
    assert "secrets/patchcord-verification'" in text(MEDIA.root)


def test_metrics_have_their_names_in_one_place() -> None:
    table = PROJECT.sources["modules/metrics.bicep"].symbols["metricNames"].value
    assert table is not None
    names = {literal(value) for _, value, _ in properties(table)}
    workbook = json.loads((ROOT / "infra/modules/workbook.json").read_text(encoding="utf-8"))
    asked = set(re.findall(r'"(patchcord[.\w]+)"', json.dumps(workbook).replace('\\"', '"')))
    assert asked == names
    for source in PROJECT.sources.values():
        if source.path != "modules/metrics.bicep":
            assert "'patchcord.c" not in text(source.root)


def test_a_tenants_subscription_sends_the_usual_headers() -> None:
    tenant = PROJECT.sources["customer/webhook.bicep"]
    settings = function_app_settings(_of_functions())
    assert literal(tenant.symbols["apiIdHeader"].value) == settings.api_id_header
    assert literal(tenant.symbols["apiSecretHeader"].value) == settings.api_secret_header
