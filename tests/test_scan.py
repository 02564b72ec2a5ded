import pytest

from tests.support.scan import find_secrets, scan

TOKEN = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiJjYWxsLTEifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    "line",
    [
        f"GET /acs/{TOKEN}",
        "context eyJhbGciOiJub25lIn0.eyJjYyI6Ikg0c0lBIn0.",
        "api-secret: pcs_0123456789abcdef0123",
        "endpoint=http://127.0.0.1:1;accesskey=QUJDREVGR0hJSktMTU5PUA==",
        "POST /runtime/webhooks/eventgrid?functionName=f&code=0123456789abcdefgh",
        "Authorization: HMAC-SHA256 SignedHeaders=x-ms-date",
        "-----BEGIN PRIVATE KEY-----",
        "the caller keyed 42719",
    ],
)
def test_a_secret_is_found_and_not_repeated(line):
    found = find_secrets(f"fine\n{line}\n", known=["42719"])
    assert found
    assert all("line 2" in item and TOKEN not in item for item in found)


@pytest.mark.parametrize(
    "line",
    [
        "GET /acs/[token]",
        "accesskey=[secret]",
        "?functionName=incoming_call&code=[secret]",
        "call c-1 has 5 keys",
    ],
)
def test_what_is_redacted_is_fine(line):
    assert find_secrets(line, known=["42719"]) == []


def test_folders_are_scanned_but_not_the_key_files(tmp_path):
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "signing.json").write_text('{"d": "private"}')
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "media.log").write_text(TOKEN)
    assert [str(tmp_path / "logs" / "media.log") in line for line in scan([tmp_path])] == [True]
