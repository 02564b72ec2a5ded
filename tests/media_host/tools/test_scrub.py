import pytest

from media_host.tools.scrub import Scrub


@pytest.mark.parametrize(
    ("value", "scrubbed"),
    [
        ("key tok-en and 411111", "key [hidden] and [hidden]"),
        ("x4 1-1.1 1 1x", "x[hidden]x"),
        ({"tok-en": ["12", 12, 112, "a12b", "1.12"]}, {"[hidden]": ["[hidden]", "[hidden]", 112, "a[hidden]b", "1.[hidden]"]}),
        (9411111, "[hidden]"),
        (0.411111, "[hidden]"),
        ([True, None, False], [True, None, False]),
    ],
)  # fmt: skip
def test_secrets_and_digits_are_taken_out(value, scrubbed):
    assert Scrub(["tok-en", ""], ["411111", "12", ""])(value) == scrubbed


def test_without_secrets_nothing_changes():
    value = {"a": [1]}
    assert Scrub([], [""])(value) is value


def test_keys_are_plain_text_for_it():
    assert Scrub([], ["*1#"])("a *1# b") == "a [hidden] b"
