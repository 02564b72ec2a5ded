import json

from cli.doctor.finding import broken, ok, unknown
from cli.doctor.report import Scrubber, as_json, as_text, is_well

FINDINGS = {
    "store": [ok("entities", "3 ms"), unknown("age", "nobody knows", "look")],
    "ACS": [broken("key", "refused " * 40 + "for the-secret-key", "export KEY=VALUE")],
}


def test_the_text_says_state_reason_and_cure():
    text = as_text("us", FINDINGS, Scrubber(()))
    lines = text.splitlines()
    assert lines[0] == "patchcord doctor: us"
    assert "  ok          entities: 3 ms" in lines
    assert "              to check it: look" in lines
    assert "              mend: export KEY=VALUE" in lines
    assert all(len(line) <= 116 for line in lines)
    assert lines[-1] == "1 ok, 1 broken, 1 not checked."


def test_json_has_the_same():
    report = json.loads(as_json("us", FINDINGS, Scrubber(()), 1_795_218_629))
    assert report["subject"] == "us"
    assert report["at"] == "2026-11-20T23:50:29+00:00"
    assert report["well"] is False
    assert report["findings"][1] == {
        "link": "store",
        "check": "age",
        "state": "not checked",
        "found": "nobody knows",
        "mend": "look",
    }


def test_only_what_is_broken_is_bad():
    assert is_well({"store": FINDINGS["store"]})
    assert not is_well(FINDINGS)


def test_secrets_are_taken_out_of_every_field():
    scrub = Scrubber(["the-secret-key", "short", "the-secret"])
    secret = "x the-secret-key y"
    found = {"ACS": [broken(secret, secret, secret)]}
    for text in (as_text(secret, found, scrub), as_json(secret, found, scrub, 0)):
        assert "the-secret" not in text
        assert text.count("[secret]") == 4
    assert scrub("a short word") == "a short word", "what is short would be every second word"


def test_what_only_looks_like_a_secret_goes_too():
    text = as_text(
        "us", {"ACS": [broken("key", "accesskey=c2VjcmV0c2VjcmV0", "pcs_" + "a" * 43)]}, Scrubber(())
    )
    assert "c2Vj" not in text
    assert "aaaa" not in text
