"""The transports' rule: what goes to the emulator and what goes where it belongs."""

import pytest

from emulator.python_sdk import to_emulator

HTTP, HTTPS = "http://127.0.0.1:8080", "https://127.0.0.1:8443"


@pytest.mark.parametrize(
    ("url", "endpoint", "sent_to"),
    [
        ("https://emulator.asm.skype.com/v1/objects/0-a/content/audio?x=1", HTTP, f"{HTTP}/v1/objects/0-a/content/audio?x=1"),
        ("https://emulator.asm.skype.com/v1/objects/0-a", HTTPS, f"{HTTPS}/v1/objects/0-a"),
        ("https://eu.asyncgw.teams.microsoft.com/v1/o", HTTPS, f"{HTTPS}/v1/o"),
        ("https://127.0.0.1:8080/calling/callConnections:answer?a=1", HTTP, f"{HTTP}/calling/callConnections:answer?a=1"),
        (f"{HTTPS}/calling/x", HTTPS, f"{HTTPS}/calling/x"),
        ("https://login.example/token", HTTP, "https://login.example/token"),
        ("https://asm.skype.com.evil.example/x", HTTP, "https://asm.skype.com.evil.example/x"),
        ("https://127.0.0.1:9999/x", HTTP, "https://127.0.0.1:9999/x"),
        ("https://h.asm.skype.com/participants/4%3A%2B1425", HTTP, f"{HTTP}/participants/4%3A%2B1425"),
    ],
)  # fmt: skip
def test_where_a_request_goes(url, endpoint, sent_to):
    assert to_emulator(url, endpoint) == sent_to
