"""What the trace leaves out: each secret by its place, and what it must keep to be of use."""

import json

import pytest

from emulator.trace.redaction import fingerprint, redact_body, redact_headers, redact_path, redact_url

GUID = "9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://app.example/cb?token=T0pS3cret", "https://app.example/cb?token=[secret]"),
        ("https://app.example/cb?callerId=%2B1", "https://app.example/cb?callerId=[hidden]"),
        ("wss://media.example:8443/acs/0123456789abcdefg", "wss://media.example:8443/acs/[hidden]"),
        (f"https://app.example/cb/{GUID}", f"https://app.example/cb/{GUID}"),
        ("https://user:pass@app.example/cb", "https://app.example/cb"),
        ("ws://[::1]:90/x", "ws://[::1]:90/x"),
        ("http://[bad", "[no address]"),
    ],
)
def test_addresses_of_the_app(url, shown):
    assert redact_url(url) == shown


def test_own_paths_stay_readable():
    assert redact_path(f"/calling/callConnections/{GUID}/participants/4%3A%2B1425") == (
        f"/calling/callConnections/{GUID}/participants/4:+1425"
    )


def test_headers():
    shown = redact_headers(
        {
            "Authorization": "HMAC-SHA256 SignedHeaders=x&Signature=abc=",
            "Content-Type": "application/json",
            "aeg-delivery-count": "2",
            "api-secret": "pcs_value",
            "X-Anything": "value",
            "Host": "h",
        }
    )
    assert shown == {
        "Authorization": "HMAC-SHA256 [hidden]",
        "Content-Type": "application/json",
        "aeg-delivery-count": "2",
        "api-secret": "[hidden]",
        "X-Anything": "[hidden]",
    }


CONTEXT = "eyJhbGciOiJub25lIn0.eyJjYyI6IkgifQ."


@pytest.mark.parametrize(
    ("body", "secret"),
    [
        ({"incomingCallContext": CONTEXT}, CONTEXT[:20]),
        ({"accessToken": {"token": "plain-text-token", "expiresOn": "x"}}, "plain-text-token"),
        ({"data": {"dtmfResult": {"tones": ["four", "two"]}}}, "four"),
        ({"data": {"tone": "pound"}}, "pound"),
        ({"tones": ["five"]}, "five"),
        ({"data": {"speechResult": {"speech": "my number is one"}}}, "number"),
        ({"choiceResult": {"recognizedPhrase": "yes please"}}, "please"),
        ({"callbackUri": "https://a.example/cb/verysecretverysecret"}, "verysecret"),
        ({"mediaStreamingOptions": {"transportUrl": "wss://a.example/verysecretverysecret"}}, "verysecret"),
        ({"externalStorage": {"recordingDestinationContainerUrl": "https://a/c?sig=abcdef"}}, "abcdef"),
        ([{"deep": [{"client_secret": "hush-hush"}]}], "hush"),
        ({"text": f"Bearer {CONTEXT}"}, CONTEXT[:20]),
    ],
)
def test_secrets_in_bodies(body, secret):
    assert secret in json.dumps(body)
    assert secret not in json.dumps(redact_body(body))


def test_what_a_body_is_about_stays():
    body = {
        "callConnectionId": GUID,
        "operationContext": "menu",
        "playSources": [{"kind": "text", "text": {"text": "Hello", "voiceName": "en-US-NancyNeural"}}],
        "stopTones": ["pound"],
        "customCallingContext": {"voipHeaders": {"agentId": "a-1"}},
        "rawId": "4:+14255550100",
        "sequenceNumber": 1,
        "isMuted": False,
    }
    assert redact_body(body) == body


def test_two_contexts_can_be_told_apart():
    one, two = (redact_body({"incomingCallContext": CONTEXT + mark}) for mark in "ab")
    assert one != two
    assert fingerprint(CONTEXT + "a") in str(one)


def test_very_much_is_cut():
    body = {"text": "x" * 10_000, "list": list(range(1000))}
    assert len(json.dumps(redact_body(body))) < 4000
    nested: object = 1
    for _ in range(100):
        nested = [nested]
    assert "[too deep]" in json.dumps(redact_body(nested))
