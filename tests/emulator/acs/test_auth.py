"""HMAC authentication: recomputed by hand, with the slips of real clients, and closed to everything else."""

import base64
import email.utils

import pytest

from emulator.acs.auth import HmacVerifier, content_hash, is_access_key, signature

KEY = base64.b64encode(b"0123456789abcdef").decode()
NOW = 1_795_000_000.0
HOST = "127.0.0.1:8080"
PATH = "/calling/callConnections/c1/participants/4:%2B1425?api-version=2026-03-12"


def headers(
    method: str = "POST", path: str = PATH, host: str = HOST, body: bytes = b"{}", at: float = NOW
) -> dict:
    date = email.utils.formatdate(at, usegmt=True)
    digest = content_hash(body)
    signed = signature(base64.b64decode(KEY), method, path, date, host, digest)
    return {
        "Authorization": f"HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature={signed}",
        "x-ms-date": date,
        "Host": HOST,
        "x-ms-content-sha256": digest,
    }


def verify(given: dict, method: str = "POST", path: str = PATH, body: bytes = b"{}") -> bool:
    return HmacVerifier(KEY).verify(method, path, given, body, NOW)


def test_a_known_signature_computed_by_openssl() -> None:
    digest = content_hash(b"")
    assert digest == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    text = signature(b"k", "GET", "/a?b=c", "Fri, 20 Nov 2026 23:50:38 GMT", "h:1", digest)
    assert text == "omG2eq6O0b/M47nftPtDm6z5rpSUzNktNoNg1DX5Xm0="


def test_the_right_signature_passes() -> None:
    assert verify(headers())


@pytest.mark.parametrize(
    "given",
    [
        headers(host=f"{HOST}/"),  # the endpoint was given with a trailing slash
        headers(path=PATH.replace("4:%2B", "4%3A%2B")),  # signed quoted, sent unquoted
        headers(at=NOW - 600),
    ],
    ids=["trailing slash", "quoted path", "slow clock"],
)
def test_slips_of_real_clients_pass(given: dict) -> None:
    assert verify(given)


@pytest.mark.parametrize(
    ("given", "request_of"),
    [
        (headers(body=b"{ }"), {}),
        (headers(), {"body": b"{ }"}),
        (headers(), {"method": "GET"}),
        (headers(), {"path": PATH + "&x=1"}),
        (headers(at=NOW - 3600), {}),
        (headers(at=NOW + 3600), {}),
        (headers(host="other"), {}),
        ({**headers(), "Authorization": "Bearer abc"}, {}),
        ({**headers(), "x-ms-date": "yesterday"}, {}),
        ({**headers(), "x-ms-date": ""}, {}),
        ({}, {}),
    ],
)
def test_everything_else_is_refused(given: dict, request_of: dict) -> None:
    assert not verify(given, **request_of)


@pytest.mark.parametrize(
    ("text", "good"), [(KEY, True), ("YWJj", False), ("not base64!", False), ("", False)]
)
def test_access_keys(text: str, good: bool) -> None:
    assert is_access_key(text) is good


@pytest.mark.parametrize(
    ("signed_for", "own", "good"),
    [("h:1", "h:1", True), ("h:1/", "h:1", True), ("h:1", "", False), ("x:1", "h:1", False)],
)
def test_a_download_is_signed_for_the_emulators_own_host(signed_for: str, own: str, good: bool) -> None:
    given = {**headers(host=signed_for), "Host": "emulator.asm.skype.com"}
    assert HmacVerifier(KEY).verify("POST", PATH, given, b"{}", NOW, own) is good
