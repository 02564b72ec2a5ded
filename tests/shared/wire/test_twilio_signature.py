"""Vectors by hand (HMAC over what the documents say is signed) and by Twilio's package, which must agree with each other."""

import base64
import hashlib
import hmac
import json

import pytest
from twilio.request_validator import RequestValidator
from websockets.datastructures import Headers

from shared.errors import Forbidden, SignatureRejected
from shared.wire.twilio_signature import request_signed, upgrade_signed

TOKEN, KEY = "0123456789abcdef0123456789abcdef", "shared-key-of-the-account"
URL = "https://voice.example.com/api/twilio/engage?FlowEvent=return"
STREAM = "wss://media.example.com/twilio/eyJhbGciOiJFZERTQSJ9.e30.c2ln"
FORM = [("To", "+18005550000"), ("CallSid", "CA" + "2" * 32), ("AccountSid", "AC" + "1" * 32), ("From", "")]
SETTINGS = {"X-Twilio-Webhooks-Signature-Settings": "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"}


def signature(secret, text, digest=hashlib.sha1):
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), digest).digest()).decode()


def signed(url=URL, form=FORM, secret=TOKEN, digest=hashlib.sha1):
    """The header of a request as the documents describe it: the address, then names and values in the order of the names."""
    text = url + "".join(name + value for name, value in sorted(set(form)))
    return {"X-Twilio-Signature": signature(secret, text, digest)}


def check(headers, url=URL, form=FORM, **kw):
    request_signed(url, form, headers, **{"auth_token": TOKEN, **kw})


def check_upgrade(headers, address=STREAM, **kw):
    upgrade_signed(address, headers, **{"auth_token": TOKEN, **kw})


def refused(call, *args, **kw):
    with pytest.raises(SignatureRejected) as caught:
        call(*args, **kw)
    assert str(caught.value) == "the signature does not hold"  # whatever the reason
    return caught.value.reason


def test_what_the_package_signs_holds_and_so_does_what_we_sign_by_hand():
    package = RequestValidator(TOKEN).compute_signature(URL, dict(FORM))
    assert {"X-Twilio-Signature": package} == signed()
    check(signed())
    check({name.lower(): value for name, value in signed().items()})
    check(signed(), form=list(reversed(FORM)))
    check(signed(form=[]), form=[])
    assert RequestValidator(TOKEN).validate(URL, dict(FORM), package)


def test_another_address_field_secret_or_method_is_refused():
    for url in (URL + "&a=b", URL.replace("return", "Return"), URL.replace("voice.", "evil."), URL[:-1]):
        assert refused(check, signed(), url=url) == "signature"
    for form in (FORM[:-2], [*FORM, ("A", "b")], [("To", "+18005550001"), *FORM[1:]], []):
        assert refused(check, signed(), form=form) == "signature"
    assert refused(check, signed(secret="other")) == "signature"
    assert refused(check, signed(), auth_token="other") == "signature"
    assert refused(check, signed(), auth_token="") == "secret"
    with pytest.raises(Forbidden):
        check({})


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        ("", "missing"),
        ("  ", "missing"),
        (signed()["X-Twilio-Signature"] + "x", "form"),
        (signed()["X-Twilio-Signature"] + "=", "form"),
        (signed()["X-Twilio-Signature"][:-1], "form"),
        (signed()["X-Twilio-Signature"] * 2, "form"),
        (signed()["X-Twilio-Signature"] + ", " + signed()["X-Twilio-Signature"], "form"),
        ("é" * 28, "form"),
        ("\n" + "A" * 27 + "=x", "form"),
        ("A" * 27 + "=", "signature"),
    ],
)
def test_a_header_that_is_none(value, reason):
    assert refused(check, {"X-Twilio-Signature": value}) == reason
    assert refused(check_upgrade, {"X-Twilio-Signature": value}) == reason


def test_a_header_that_is_missing_or_comes_twice():
    assert refused(check, {}) == "missing"
    good = signed()["X-Twilio-Signature"]
    assert refused(check, {"X-Twilio-Signature": good, "x-twilio-signature": good}) == "twice"
    both = Headers([("X-Twilio-Signature", good), ("X-Twilio-Signature", good)])
    assert refused(check, both) == "twice"
    check(Headers([("X-Twilio-Signature", good), ("Host", "evil.example"), ("Host", "other.example")]))


def test_an_upgrade_is_signed_over_its_wss_address():
    good = signed(STREAM, [])
    check_upgrade(good)
    assert {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(STREAM, {})} == good
    assert refused(check_upgrade, signed(STREAM.replace("wss://", "https://"), [])) == "signature"
    assert refused(check_upgrade, signed(STREAM + "/", [])) == "signature"
    assert refused(check_upgrade, good, address=STREAM + "/") == "signature"
    assert refused(check_upgrade, good, address=STREAM.replace("media.", "voice.")) == "signature"
    assert refused(check_upgrade, good, address=STREAM[:-1]) == "signature"  # another call's token
    assert refused(check_upgrade, good, auth_token="other") == "signature"
    # The same path over HTTP is another request.
    assert refused(check, good, url=STREAM.replace("wss://", "https://"), form=[]) == "signature"


@pytest.mark.parametrize(
    ("scheme", "port"), [("wss", 443), ("https", 443), ("http", 80), ("ws", 80)], ids=lambda value: str(value)
)
def test_the_usual_port_may_be_written_or_not_by_either_side(scheme, port):
    bare, written = f"{scheme}://h.example/a?b=c", f"{scheme}://h.example:{port}/a?b=c"
    wrong = f"{scheme}://h.example:{443 + 80 - port}/a?b=c"
    for ours, theirs in ((bare, bare), (bare, written), (written, bare), (written, written)):
        upgrade_signed(ours, signed(theirs, []), auth_token=TOKEN)
    assert refused(upgrade_signed, bare, signed(wrong, []), auth_token=TOKEN) == "signature"
    assert refused(upgrade_signed, written, signed(wrong, []), auth_token=TOKEN) == "signature"


def test_other_ports_and_spellings_stay_as_they_are():
    local = "ws://127.0.0.1:8765/twilio/a"
    check_upgrade(signed(local, []), address=local)
    check_upgrade(
        signed("ws://127.0.0.1/twilio/a", []), address=local
    )  # the port left out, as the package takes it
    assert refused(check_upgrade, signed(local.replace("8765", "8766"), []), address=local) == "signature"
    for url in (
        "https://h.example",
        "https://h.example/?",
        "https://[2001:db8::1]/a",
        "https://h.example/%7Ea//b?x#",
    ):
        check(signed(url), url=url)
        head, host, rest = (
            url[:8],
            url[8:].partition("/")[0].partition("?")[0],
            url[8:].removeprefix("h.example"),
        )
        if host == "h.example":
            check(signed(f"{head}{host}:443{rest}"), url=url)
    assert refused(check, signed(), url="https://h.example:99999/") == "address"
    assert refused(check, signed(), url="https://[h.example/") == "address"
    assert refused(check, signed("mailto:a", []), url="mailto:b", form=[]) == "signature"


def test_fields_that_are_signed_alike_are_for_the_reader_of_the_fields():
    """The signature cannot tell them apart; `twilio_params` can."""
    check(signed(form=[("a", "bc"), ("d", "e")]), form=[("ab", "c"), ("d", "e")])


def test_values_of_any_script_and_repeated_fields():
    form = [
        ("From", "+18005550100"),
        ("CallerName", "Zoë ☎ 𝄞"),
        ("x", ""),
        ("é", "ß"),
        ("y", "2"),
        ("y", "1"),
    ]
    check(signed(form=form), form=form)
    check(signed(form=form), form=[*form, ("y", "1")])  # the package counts equal values once
    assert refused(check, signed(form=form), form=[*form, ("y", "3")]) == "signature"
    assert (
        refused(check, signed(form=form), form=[*form[:1], ("CallerName", "Zoe"), *form[2:]]) == "signature"
    )
    assert refused(check, signed(), form=[("From", "\ud800")]) == "address"


def test_sha256_with_a_key_is_the_only_scheme_then():
    good = signed(secret=KEY, digest=hashlib.sha256) | SETTINGS
    check(good, signing_key=KEY)
    package = RequestValidator(KEY).compute_signature(URL, dict(FORM), "HMAC_SHA256")
    assert good["X-Twilio-Signature"] == package
    check(
        good | {name: value.replace("HMAC_SHA256", "hmac_sha256 ") for name, value in SETTINGS.items()},
        signing_key=KEY,
    )
    stream = signed(STREAM, [], KEY, hashlib.sha256) | SETTINGS
    check_upgrade(stream, signing_key=KEY)
    for weaker in (
        signed(),
        signed(secret=KEY),
        signed() | SETTINGS,
        signed(secret=KEY, digest=hashlib.sha256),
    ):
        refused(check, weaker, signing_key=KEY)
    assert refused(check, signed(), signing_key=KEY) == "algorithm"  # the auth token is good, and no way in
    assert refused(check_upgrade, signed(STREAM, []), signing_key=KEY) == "algorithm"
    assert refused(check, signed(digest=hashlib.sha256) | SETTINGS, signing_key=KEY) == "signature"


def test_without_a_key_it_is_sha1_and_nothing_else():
    sha256 = signed(digest=hashlib.sha256)
    assert refused(check, sha256) == "form"  # presented as SHA-1
    assert refused(check, sha256 | SETTINGS) == "algorithm"
    assert refused(check, signed() | SETTINGS) == "algorithm"
    check(signed() | {"X-Twilio-Webhooks-Signature-Settings": "algorithm=HMAC_SHA1"})


@pytest.mark.parametrize(
    "settings",
    [
        "key=k",
        "algorithm=",
        "algorithm=HMAC_MD5",
        "algorithm=none",
        "algorithm",
        "HMAC_SHA256",
        "algorithm=HMAC_SHA256,algorithm=HMAC_SHA1",
        "algorithm=HMAC_SHA1,key=k,algorithm=HMAC_SHA256",
        "Algorithm=HMAC_SHA256",
    ],
)
def test_settings_that_name_no_scheme_or_two(settings):
    header = {"X-Twilio-Webhooks-Signature-Settings": settings}
    assert refused(check, signed() | header) == "algorithm"
    good = signed(secret=KEY, digest=hashlib.sha256)
    assert refused(check, good | header, signing_key=KEY) == "algorithm"


def test_settings_that_come_twice():
    name = "X-Twilio-Webhooks-Signature-Settings"
    good = signed(secret=KEY, digest=hashlib.sha256)
    many = Headers([*good.items(), (name, SETTINGS[name]), (name, "algorithm=HMAC_SHA1")])
    assert refused(check, many, signing_key=KEY) == "twice"


def test_the_body_of_a_request_that_is_no_form():
    body = json.dumps({"CallSid": "CA" + "2" * 32, "name": "Zoë"}).encode()
    url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
    good = signed(url, [])
    check(good, url=url, form=[], body=body)
    assert RequestValidator(TOKEN).validate(url, body.decode(), good["X-Twilio-Signature"])
    assert refused(check, good, url=url, form=[], body=body + b" ") == "body"
    assert refused(check, good, url=url, form=[], body=b"") == "body"
    assert refused(check, good, url=url, form=FORM, body=body) == "body"
    # Without its hash in the address nobody has signed the body.
    assert refused(check, signed(form=[]), form=[], body=body) == "body"
    twice = f"{url}&bodySHA256={'0' * 64}"
    assert refused(check, signed(twice, []), url=twice, form=[], body=body) == "body"
    other = f"{URL}&bodySHA256=é"
    assert refused(check, signed(other, []), url=other, form=[], body=body) == "body"
    assert refused(check, signed(URL, []), url=url, form=[], body=body) == "signature"
