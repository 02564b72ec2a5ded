"""Every setting: read, defaulted, and named when it is wrong, without showing what may be secret."""

import json
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.settings import (
    E164,
    function_app_settings,
    is_loopback,
    known_variables,
    media_host_settings,
    parse_connection_string,
)
from shared.telemetry.setup import TelemetrySettings

ROOT = Path(__file__).parents[2]

INSIGHTS = "InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://in.example/"
COMMON = {
    "PATCHCORD_STORE": "sqlite:store.db",
    "PATCHCORD_VERIFICATION_KEYS": "file:public.json",
    "AZURE_ACS_CONN_KEY": "endpoint=https://acs.example;accesskey=c2VjcmV0",
    "ACS_RESOURCE_ID": "11111111-2222-3333-4444-555555555555",
}
FUNCTION_APP = {
    **COMMON,
    "PATCHCORD_SIGNING_KEYS": "file:private.json",
    "CALLBACK_EVENTS_URI": "https://functions.example",
    "CALLBACK_URI_HOST": "wss://media.example",
}
BOTH = [(function_app_settings, FUNCTION_APP), (media_host_settings, COMMON)]
both = pytest.mark.parametrize(("read", "minimum"), BOTH, ids=["function app", "media host"])


class TestDefaults:
    @both
    def test_common(self, read, minimum):
        settings = read(minimum)
        assert settings.environment == "local"
        assert settings.config == Path("patchcord.yaml")
        assert settings.store == "sqlite:store.db"
        assert settings.managed_identity == ""
        assert (settings.acs.endpoint, settings.acs.access_key) == ("https://acs.example", "c2VjcmV0")
        assert settings.acs_jwt.required
        assert settings.acs_jwt.issuer == "https://acscallautomation.communication.azure.com"
        assert settings.acs_jwt.jwks_url == "https://acscallautomation.communication.azure.com/calling/keys"
        assert settings.log_level == "INFO"

    def test_function_app(self):
        settings = function_app_settings(FUNCTION_APP)
        assert (settings.api_id_header, settings.api_secret_header) == ("api-id", "api-secret")
        assert settings.headers_on_validation is True
        assert (settings.max_concurrent_calls, settings.incoming_call_max_age_s) == (100, 60)
        assert settings.phone_number == ""
        assert (settings.events_topic, settings.events_key, settings.compatible_api) == ("", "", True)

    def test_media_host(self):
        settings = media_host_settings(COMMON)
        assert (settings.listen_host, settings.listen_port) == ("0.0.0.0", 8080)  # noqa: S104  # a container's default
        assert (settings.capacity, settings.drain_s, settings.max_call_s) == (100, 600, 10_500)
        assert settings.recordings is None
        assert settings.host_id
        assert (settings.media_base, settings.max_concurrent_calls) == ("", 100)

    @both
    def test_blanks_count_as_missing_and_are_cut_off(self, read, minimum):
        settings = read({**minimum, "PATCHCORD_ENVIRONMENT": "  ", "AZURE_CLIENT_ID": " id "})
        assert (settings.environment, settings.managed_identity) == ("local", "id")

    @both
    def test_no_secret_in_repr(self, read, minimum):
        store = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0"
        assert "c2VjcmV0" not in repr(read({**minimum, "PATCHCORD_STORE": store}))


RIGHT = [
    ("PATCHCORD_ENVIRONMENT", "production-2", "environment", "production-2"),
    ("PATCHCORD_CONFIG", "conf/other.yaml", "config", Path("conf/other.yaml")),
    ("PATCHCORD_STORE", "UseDevelopmentStorage=true", "store", "UseDevelopmentStorage=true"),
    ("PATCHCORD_STORE", "https://a.table.core.windows.net/", "store", "https://a.table.core.windows.net/"),
    ("PATCHCORD_STORE", "AccountName=a;AccountKey=b", "store", "AccountName=a;AccountKey=b"),
    ("PATCHCORD_STORE", "TableEndpoint=http://x;a=b", "store", "TableEndpoint=http://x;a=b"),
    ("PATCHCORD_LOG_LEVEL", "Warning", "log_level", "WARNING"),
    ("PATCHCORD_LOG_FORMAT", "JSON", "telemetry", TelemetrySettings("json")),
    (
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "http://otel:4318/",
        "telemetry",
        TelemetrySettings("text", "http://otel:4318"),
    ),
    ("APPLICATIONINSIGHTS_CONNECTION_STRING", INSIGHTS, "telemetry", TelemetrySettings("text", "", INSIGHTS)),
    (
        "PATCHCORD_EVENTS_TOPIC",
        "https://t.example/api/events",
        "events_topic",
        "https://t.example/api/events",
    ),
    (
        "PATCHCORD_EVENTS_TOPIC",
        "http://127.0.0.1:1/t/api/events",
        "events_topic",
        "http://127.0.0.1:1/t/api/events",
    ),
    (
        "PATCHCORD_VERIFICATION_KEYS",
        "https://v.vault.azure.net/secrets/a-1",
        "verification_keys",
        "https://v.vault.azure.net/secrets/a-1",
    ),
]
RIGHT_FUNCTION_APP = [
    ("CALLBACK_EVENTS_URI", "https://f.example/", "callback_base", "https://f.example"),
    ("CALLBACK_EVENTS_URI", "http://127.0.0.1:7071", "callback_base", "http://127.0.0.1:7071"),
    ("CALLBACK_EVENTS_URI", "http://[::1]:7071", "callback_base", "http://[::1]:7071"),
    ("CALLBACK_URI_HOST", "ws://localhost:8080/", "media_base", "ws://localhost:8080"),
    ("CALLBACK_URI_HOST", "wss://m.example/base/", "media_base", "wss://m.example/base"),
    ("PATCHCORD_API_ID_HEADER", "X-Id", "api_id_header", "X-Id"),
    ("PATCHCORD_API_SECRET_HEADER", "X-Secret", "api_secret_header", "X-Secret"),
    ("REQUIRE_HEADERS_ON_VALIDATION", "No", "headers_on_validation", False),
    ("REQUIRE_HEADERS_ON_VALIDATION", "1", "headers_on_validation", True),
    ("MAX_CONCURRENT_CALLS", "1", "max_concurrent_calls", 1),
    ("INCOMING_CALL_MAX_AGE_S", "3600", "incoming_call_max_age_s", 3600),
    ("ACS_PHONE_NUMBER", "+18005550000", "phone_number", "+18005550000"),
    ("PATCHCORD_EVENTS_KEY", "env:TOPIC_KEY", "events_key", "env:TOPIC_KEY"),
    ("PATCHCORD_COMPATIBLE_API", "off", "compatible_api", False),
]
RIGHT_MEDIA_HOST = [
    ("CALLBACK_URI_HOST", "wss://media.example/", "media_base", "wss://media.example"),
    ("MAX_CONCURRENT_CALLS", "7", "max_concurrent_calls", 7),
    ("MEDIA_HOST_ID", "media-1.a_b", "host_id", "media-1.a_b"),
    ("MEDIA_LISTEN_HOST", "127.0.0.1", "listen_host", "127.0.0.1"),
    ("MEDIA_LISTEN_PORT", "0", "listen_port", 0),
    ("MEDIA_CAPACITY", "10000", "capacity", 10_000),
    ("MEDIA_DRAIN_S", "0", "drain_s", 0),
    ("MAX_CALL_S", "10740", "max_call_s", 10_740),
    ("MEDIA_PATH_DELAY_MS", "220", "path_delay_ms", 220),
    ("MEDIA_RECORDINGS", "out/recordings", "recordings", Path("out/recordings")),
    ("MEDIA_RECORDINGS", "off", "recordings", None),
]


class TestRightValues:
    @both
    @pytest.mark.parametrize(("name", "value", "attribute", "wanted"), RIGHT)
    def test_common(self, read, minimum, name, value, attribute, wanted):
        assert getattr(read({**minimum, name: value}), attribute) == wanted

    @pytest.mark.parametrize(("name", "value", "attribute", "wanted"), RIGHT_FUNCTION_APP)
    def test_function_app(self, name, value, attribute, wanted):
        assert getattr(function_app_settings({**FUNCTION_APP, name: value}), attribute) == wanted

    @pytest.mark.parametrize(("name", "value", "attribute", "wanted"), RIGHT_MEDIA_HOST)
    def test_media_host(self, name, value, attribute, wanted):
        assert getattr(media_host_settings({**COMMON, name: value}), attribute) == wanted

    def test_insecure_addresses_beyond_loopback_only_on_request(self):
        env = {
            **FUNCTION_APP,
            "CALLBACK_EVENTS_URI": "http://functions:80",
            "CALLBACK_URI_HOST": "ws://media:8080",
        }
        with pytest.raises(ConfigurationError, match="CALLBACK_EVENTS_URI"):
            function_app_settings(env)
        settings = function_app_settings({**env, "ALLOW_INSECURE_LOCAL": "true"})
        assert (settings.callback_base, settings.media_base) == ("http://functions:80", "ws://media:8080")

    @both
    def test_the_managed_identity_instead_of_a_key(self, read, minimum):
        env = {**minimum, "AZURE_ACS_CONN_KEY": "", "ACS_ENDPOINT": "https://acs.example/"}
        assert read(env).acs.endpoint == "https://acs.example"
        assert read(env).acs.access_key == ""

    @both
    def test_the_emulators_signatures(self, read, minimum):
        jwt = read(
            {
                **minimum,
                "ACS_JWT_ISSUER": "http://127.0.0.1:1/issuer",
                "ACS_JWKS_URL": "http://127.0.0.1:1/keys",
            }
        ).acs_jwt
        assert (jwt.issuer, jwt.jwks_url) == ("http://127.0.0.1:1/issuer", "http://127.0.0.1:1/keys")
        assert jwt.audience == COMMON["ACS_RESOURCE_ID"]

    @both
    def test_without_signatures_no_resource_id_is_needed(self, read, minimum):
        jwt = read({**minimum, "ACS_RESOURCE_ID": "", "ACS_JWT": "OFF"}).acs_jwt
        assert (jwt.required, jwt.audience) == (False, "")


WRONG = {
    "PATCHCORD_ENVIRONMENT": ["Production", "1st", "a b", "x" * 33],
    "PATCHCORD_STORE": [
        None,
        "store.db",
        "http://a.table.core.windows.net",
        "sqlite:",
        "https://a/b",
        "https://u:p@a",
    ],
    "PATCHCORD_VERIFICATION_KEYS": [
        None,
        "keys.json",
        "file:",
        "http://v/secrets/a",
        "https://v/keys/a",
        "https://v/secrets/a_b",
    ],
    "PATCHCORD_LOG_LEVEL": ["loud"],
    "PATCHCORD_LOG_FORMAT": ["xml"],
    "OTEL_EXPORTER_OTLP_ENDPOINT": [
        "collector:4318",
        "ftp://collector",
        "http://u:p@collector",
        "http://c?k=v",
    ],
    "APPLICATIONINSIGHTS_CONNECTION_STRING": ["abc", "InstrumentationKey=1", "IngestionEndpoint=https://a"],
    "PATCHCORD_EVENTS_TOPIC": [
        "http://topic.example/api/events",
        "topic",
        "https://topic.example?key=c2VjcmV0",
    ],
    "AZURE_ACS_CONN_KEY": ["nonsense"],
    "ACS_RESOURCE_ID": [None],
    "ACS_JWT": ["maybe", "false"],
    "ACS_JWKS_URL": ["http://keys.example", "keys", "https://", "https://[x/keys"],
}
WRONG_FUNCTION_APP = {
    "PATCHCORD_SIGNING_KEYS": [None, '{"keys": []}'],
    "CALLBACK_EVENTS_URI": [
        *(
            None,
            "functions.example",
            "wss://functions.example",
            "http://functions.example",
            "https://",
            "https://[::1",
        ),
        *("https://f.example?a=b", "https://f.example#a", "https://u:p@f.example", "https://f.example:99999"),
        *("https://f.example:0", "https://f .example", "http://127.0.0.1.example"),
    ],
    "CALLBACK_URI_HOST": [None, "https://media.example", "ws://media.example", "//media.example"],
    "ALLOW_INSECURE_LOCAL": ["perhaps"],
    "PATCHCORD_API_ID_HEADER": ["api id", "api:id", "x" * 65],
    "PATCHCORD_API_SECRET_HEADER": ["api\u00e4"],
    "REQUIRE_HEADERS_ON_VALIDATION": ["2"],
    "PATCHCORD_EVENTS_KEY": ["c2VjcmV0LWtleQ==", "env:", "http://v.example/secrets/a"],
    "PATCHCORD_COMPATIBLE_API": ["maybe"],
    "MAX_CONCURRENT_CALLS": ["0", "100001", "1.5", "many", "-1", "1" * 30],
    "INCOMING_CALL_MAX_AGE_S": ["4", "3601"],
    "ACS_PHONE_NUMBER": ["18005550000", "+0123456", "+1 800 555 0000", "+1800", "+" + "1" * 16, "+١٢٣٤٥٦٧٨"],
}
WRONG_MEDIA_HOST = {
    "CALLBACK_URI_HOST": [
        "https://media.example",
        "ws://media.example",
        "wss://user:pw@media.example",
        "media",
    ],
    "MEDIA_HOST_ID": ["a b", "x" * 65],
    "MEDIA_LISTEN_PORT": ["-1", "65536", "http"],
    "MEDIA_CAPACITY": ["0", "10001"],
    "MEDIA_DRAIN_S": ["-1", "36001"],
    "MAX_CALL_S": ["9", "10741"],
    "MEDIA_PATH_DELAY_MS": ["-1", "2001", "150.5"],
}


def cases(table):
    return [(name, value) for name, values in table.items() for value in values]


def wrong(read, minimum, name, value):
    env = (
        {**minimum, name: value}
        if value is not None
        else {key: minimum[key] for key in minimum if key != name}
    )
    with pytest.raises(ConfigurationError) as caught:
        read(env)
    assert caught.value.setting == name
    assert str(caught.value).startswith(f"{name}: expected ")
    return str(caught.value)


class TestWrongValues:
    @both
    @pytest.mark.parametrize(("name", "value"), cases(WRONG))
    def test_common(self, read, minimum, name, value):
        wrong(read, minimum, name, value)

    @pytest.mark.parametrize(("name", "value"), cases(WRONG_FUNCTION_APP))
    def test_function_app(self, name, value):
        wrong(function_app_settings, FUNCTION_APP, name, value)

    @pytest.mark.parametrize(("name", "value"), cases(WRONG_MEDIA_HOST))
    def test_media_host(self, name, value):
        wrong(media_host_settings, COMMON, name, value)

    @both
    @pytest.mark.parametrize(
        "endpoint",
        [None, "http://acs.example", "acs.example", "https://acs.example/path", "https://u:p@acs.example"],
    )
    def test_endpoint_of_the_managed_identity(self, read, minimum, endpoint):
        wrong(
            read,
            {key: value for key, value in minimum.items() if key != "AZURE_ACS_CONN_KEY"},
            "ACS_ENDPOINT",
            endpoint,
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("AZURE_ACS_CONN_KEY", "endpoint=http://acs.example;accesskey=c2VjcmV0"),
            ("ACS_ENDPOINT", "endpoint=https://acs.example;accesskey=c2VjcmV0"),
            ("PATCHCORD_STORE", "Account=a;AccountKey=c2VjcmV0"),
            ("PATCHCORD_SIGNING_KEYS", '{"keys": [{"d": "c2VjcmV0"}]}'),
            ("PATCHCORD_VERIFICATION_KEYS", "https://u:c2VjcmV0@v/secrets/a"),
            ("CALLBACK_EVENTS_URI", "https://u:c2VjcmV0@f.example"),
            ("CALLBACK_URI_HOST", "wss://m.example/?token=c2VjcmV0"),
            ("ACS_JWKS_URL", "https://u:c2VjcmV0@keys.example"),
        ],
    )
    def test_what_may_be_secret_is_not_shown(self, name, value):
        minimum = {
            key: each
            for key, each in FUNCTION_APP.items()
            if (key, name) != ("AZURE_ACS_CONN_KEY", "ACS_ENDPOINT")
        }
        assert "c2VjcmV0" not in wrong(function_app_settings, minimum, name, value)

    def test_a_harmless_wrong_value_is_shown(self):
        assert "found 'loud'" in wrong(media_host_settings, COMMON, "PATCHCORD_LOG_LEVEL", "loud")


class TestConnectionString:
    @pytest.mark.parametrize(
        ("text", "endpoint", "key"),
        [
            ("endpoint=https://a.example;accesskey=YWJj", "https://a.example", "YWJj"),
            ("endpoint=https://a.example/;accesskey=YWJj;", "https://a.example", "YWJj"),
            ("accesskey=YWI=;endpoint=https://a.example", "https://a.example", "YWI="),
            (" Endpoint = https://a.example ; AccessKey = YQ== ", "https://a.example", "YQ=="),
            ("endpoint=http://127.0.0.1:8090/;accesskey=YWJj", "http://127.0.0.1:8090", "YWJj"),
            ("endpoint=http://localhost:8090;accesskey=YWJj;other=1", "http://localhost:8090", "YWJj"),
            ("endpoint=http://[::1]:8090;accesskey=YWJj", "http://[::1]:8090", "YWJj"),
        ],
    )
    def test_right(self, text, endpoint, key):
        access = parse_connection_string(text)
        assert (access.endpoint, access.access_key) == (endpoint, key)
        assert key not in repr(access)

    @pytest.mark.parametrize(
        "text",
        [
            *(
                "",
                ";",
                "endpoint=https://a.example",
                "accesskey=YWJj",
                "endpoint=https://a.example;accesskey=",
            ),
            *("endpoint=a.example;accesskey=YWJj", "endpoint=ftp://127.0.0.1;accesskey=YWJj"),
            *("endpoint=http://a.example;accesskey=YWJj", "endpoint=https://;accesskey=YWJj"),
            *(
                "endpoint=https://a.example/path;accesskey=YWJj",
                "endpoint=https://u:p@a.example;accesskey=YWJj",
            ),
            *("endpoint=https://a.example;accesskey=not base64", "endpoint=https://a.example;accesskey=abc"),
            *("endpoint=https://a.example:99999;accesskey=YWJj", "endpoint=https://[a;accesskey=YWJj"),
        ],
    )
    def test_wrong(self, text):
        with pytest.raises(ConfigurationError) as caught:
            parse_connection_string(text, name="SOME_SETTING")
        assert caught.value.setting == "SOME_SETTING"
        assert "YWJj" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.8.7", "::1", "[::1]"])
def test_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "10.0.0.1", "192.168.0.1", "localhost.example", "127.0.0.1.example", "example", "::"]
)
def test_not_loopback(host):
    assert not is_loopback(host)


@pytest.mark.parametrize("number", ["+18005550000", "+4930123456", "+1234567", "+123456789012345"])
def test_e164(number):
    assert E164.fullmatch(number)


@pytest.mark.parametrize(
    "number", ["18005550000", "+08005550000", "+123456", "+1234567890123456", "+1800555000a", "+1\n"]
)
def test_not_e164(number):
    assert not E164.fullmatch(number)


class TestExample:
    """local.settings.json.example names and explains exactly what is read, and works as it is."""

    HOST = frozenset(
        {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"}
    )  # read by the Functions host, not by us

    @pytest.fixture
    def example(self):
        return json.loads((ROOT / "local.settings.json.example").read_text())

    def test_it_has_every_setting_of_the_function_app_and_no_other(self, example):
        function_app, _ = known_variables()
        assert set(example["Values"]) == function_app | self.HOST
        assert all(isinstance(value, str) for value in example["Values"].values())

    def test_it_explains_each(self, example):
        function_app, media_host = known_variables()
        assert set(example["_about"]) - {"_"} == function_app | self.HOST
        about = example["_about_media_host"]
        assert set(about) - {"_"} == media_host - function_app
        assert all(name in about["_"] for name in media_host & function_app)

    def test_it_can_be_used_as_it_is(self, example):
        settings = function_app_settings(example["Values"])
        assert settings.callback_base == "http://127.0.0.1:7071"
        media_host_settings(example["Values"])

    def test_its_values_are_the_defaults_where_there_are_any(self, example):
        required = {*FUNCTION_APP, "ACS_PHONE_NUMBER"}
        optional = {name: value for name, value in example["Values"].items() if name not in required}
        assert function_app_settings(FUNCTION_APP) == function_app_settings({**FUNCTION_APP, **optional})

    def test_the_two_processes_share_what_they_must(self):
        function_app, media_host = known_variables()
        assert {
            "PATCHCORD_STORE",
            "PATCHCORD_VERIFICATION_KEYS",
            "ACS_RESOURCE_ID",
        } <= function_app & media_host
        assert "PATCHCORD_SIGNING_KEYS" not in media_host  # the media host can verify tokens, never make them
