"""Nothing secret in a log, and everything else still readable."""

import pytest

from shared.telemetry.redaction import REPLACEMENTS, mask_number, redact
from tests.support.scan import find_secrets

JWT = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiJjYWxsLTEifQ.c2lnbmF0dXJl"
CONTEXT = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJjYyI6Ikg0c0lBQUFBQSJ9."
SECRET = "S3cr3tS3cr3tS3cr3tS3cr3t"

SECRETS = {
    "token in a path": (f"GET /acs/{JWT} HTTP/1.1", "GET /acs/[token] HTTP/1.1"),
    "token in an encoded path": (f"/acs%2F{JWT}", "/acs%2F[token]"),
    "token cut off": (f"got {JWT[:30]}", "got [token]"),
    "incomingCallContext": (f"context {CONTEXT}", "context [token]"),
    "incomingCallContext as JSON": (
        f'{{"incomingCallContext": "{CONTEXT}"}}',
        '{"incomingCallContext": "[secret]"}',
    ),
    "another context as JSON": ('{"incomingCallContext":"abc/def+1"}', '{"incomingCallContext":"[secret]"}'),
    "context in doubly encoded JSON": (
        r'"{\"incomingCallContext\": \"abc\"}"',
        r'"{\"incomingCallContext\": \"[secret]\"}"',
    ),
    "context of a repr": (
        "IncomingCall(incoming_call_context='abc')",
        "IncomingCall(incoming_call_context='[secret]')",
    ),
    "ACS connection string": (
        "endpoint=https://a;accesskey=YWJj+/==",
        "endpoint=https://a;accesskey=[secret]",
    ),
    "storage connection string": (
        "AccountName=a;AccountKey=YWJj==;X=1",
        "AccountName=a;AccountKey=[secret];X=1",
    ),
    "SAS connection string": (
        "SharedAccessSignature=sv=1&sig=abc",
        "SharedAccessSignature=[secret]&sig=[secret]",
    ),
    "function key": ("POST /api/x?code=abc-DEF_==&a=1", "POST /api/x?code=[secret]&a=1"),
    "SAS": ("https://a/b?sv=1&sig=ab%2Bc&se=2", "https://a/b?sv=1&sig=[secret]&se=2"),
    "bearer header": (f"Authorization: Bearer {JWT}", "Authorization: [secret]"),
    "opaque bearer header": ("authorization: Bearer abc.def", "authorization: [secret]"),
    "signature of ACS's REST": (
        "Authorization: HMAC-SHA256 SignedHeaders=x-ms-date;host&Signature=YWJj=",
        "Authorization: [secret]",
    ),
    "signature of storage": ("'Authorization': 'SharedKey account:YWJj='", "'Authorization': '[secret]'"),
    "headers as a dict": (
        f"{{'authorization': 'Bearer {SECRET}', 'a': 'b'}}",
        "{'authorization': '[secret]', 'a': 'b'}",
    ),
    "headers as pairs": (
        f"[(b'authorization', b'Bearer {SECRET}'), (b'a', b'b')]",
        "[(b'authorization', b'[secret]'), (b'a', b'b')]",
    ),
    "bearer without its header": (f"sent Bearer {SECRET} to it", "sent Bearer [secret] to it"),
    "HMAC without its header": ("HMAC-SHA256 SignedHeaders=a;b&Signature=c", "HMAC-SHA256 [secret]"),
    "tenant's secret": ("secret pcs_0123456789abcdefABCDEF_-", "secret [secret]"),
    "tenant's header": (f"api-secret: {SECRET}", "api-secret: [secret]"),
    "key of an agent's service": (f"api-key: {SECRET}", "api-key: [secret]"),
    "OpenAI key": ("using sk-proj-0123456789abcdef_-A", "using [secret]"),
    "function key header": (f"x-functions-key: {SECRET}", "x-functions-key: [secret]"),
    "Event Grid key header": (f"aeg-sas-key: {SECRET}", "aeg-sas-key: [secret]"),
    "token answer": (
        f'{{"access_token":"{SECRET}","expires_in":"3600"}}',
        '{"access_token":"[secret]","expires_in":"3600"}',
    ),
    "password": ("password=abc def", "password=[secret] def"),
    "private key of a JWK": (
        f'{{"kty":"OKP","d":"{SECRET}","x":"a"}}',
        '{"kty":"OKP",[key],"x":"a"}',
    ),
    "private key as PEM": (
        "key -----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY----- end",
        "key [key] end",
    ),
    "private key cut off": ("-----BEGIN PRIVATE KEY-----\nabc", "[key]"),
    "card": ("card 4111111111111111.", "card [number]."),
    "card in groups": ("4111 1111 1111 1111", "[number]"),
    "card with dashes": ("card-4111-1111-1111-1111", "card-[number]"),
    "card with 15 digits": ("3782 822463 10005", "[number]"),
    "longest card": ("6304000000000000000", "[number]"),
    "13 digits": ("4222222222222", "[number]"),
}

READABLE = [
    "call 01JD3M7Q8Z answered in 43 ms",
    "call 3fa85f64-5717-4562-b3fc-2c963f66afa6 connected",
    "12345678-1234-1234-1234-123456789012",
    "00000000-0000-0000-0000-000000000000",
    "at 1795245376044 ms",
    "at 1795245376044672 us",
    "at 1795245376044672700 ns",
    "at 1795245376.0446727",
    "0.1234567890123456",
    "2026-11-21T07:26:42.123Z",
    "2026-11-21 07:26:42,123 INFO",
    "from +14255550123 to +18005550000",
    "8:acs:1b2c3d4e-0000-1111-2222-333344445555_00000001-aaaa-bbbb",
    "aHR0cHM6Ly9jb252LXVzd2UtMDIuY29udi5za3lwZS5jb20vY29udi8",
    "TokenRejected: authentication failed",
    "the bearer of this message",
    "authorization failed for tenant acme",
    "code 404, sub code 8522",
    "GET /api/calls?limit=100&after=abc",
    "password policy",
    "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "127.0.0.1:45678",
    "Größe 世界 📞",
    "",
]


class TestRedact:
    @pytest.mark.parametrize(("text", "wanted"), SECRETS.values(), ids=SECRETS)
    def test_secrets_go(self, text, wanted):
        assert redact(text) == wanted

    @pytest.mark.parametrize("text", READABLE)
    def test_the_rest_stays(self, text):
        assert redact(text) == text

    @pytest.mark.parametrize("text", [text for text, _ in SECRETS.values()], ids=SECRETS)
    def test_twice_is_as_good_as_once(self, text):
        assert redact(redact(text)) == redact(text)

    @pytest.mark.parametrize("text", [text for text, _ in SECRETS.values()], ids=SECRETS)
    def test_the_scan_of_all_output_finds_nothing_any_more(self, text):
        assert find_secrets(redact(text), known=["YWJj", SECRET, "4111"]) == []

    @pytest.mark.parametrize(
        "part", ["eyJ", "1 ", "1-", "a.", "Bearer ", "-----BEGIN PRIVATE KEY", "authorization: ", "\\"]
    )
    def test_hostile_text_takes_no_long_time(self, part):
        """Patterns that try every split would need years for this; the time-out of the run would end them."""
        assert isinstance(redact(part * 20_000), str)


@pytest.mark.parametrize(
    ("number", "wanted"),
    [
        ("+14255550123", "+1425…23"),
        ("4:+14255550123", "4:+14…23"),
        ("123456789", "12345…89"),
        ("12345678", "…"),
        ("", "…"),
    ],
)
def test_mask_number(number, wanted):
    assert mask_number(number) == wanted


def test_replacements_name_no_group_that_is_missing():
    for pattern, replacement in REPLACEMENTS:
        assert pattern.groups >= replacement.count("\\1")
