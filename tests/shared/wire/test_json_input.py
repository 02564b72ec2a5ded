import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.wire.json_input import MAX_DEPTH, as_object, client_id, decode, line, text, whole_number


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} x",
        b"NaN",
        b"[Infinity]",
        b"1e400",
        b"1" * 5000,
        b'"\xff"',
        b'"\\ud800 alone"',
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b"[" * 2000 + b"]" * 2000,
        b'{"a":' * (MAX_DEPTH + 2) + b"1" + b"}" * (MAX_DEPTH + 2),
    ],
    ids=lambda body: body[:12].decode("latin-1") + f" ({len(body)})",
)
def test_what_is_no_harmless_json_is_refused(body):
    with pytest.raises(InvalidInput) as refused:
        decode(body, field="body", limit=1_000_000)
    assert refused.value.field == "body"


def test_the_limit_counts_bytes_and_is_inclusive():
    assert decode(b'"abc"', field="body", limit=5) == "abc"
    with pytest.raises(InvalidInput, match="at most 4 bytes"):
        decode(b'"abc"', field="body", limit=4)


def test_nesting_up_to_the_bound_is_read():
    assert decode(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, field="body", limit=1000)


def test_an_error_does_not_quote_what_was_read():
    with pytest.raises(InvalidInput) as refused:
        decode(b'{"apiSecret": "hunter2', field="body", limit=1000)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_give_a_value_or_invalid_input(body):
    try:
        decode(body, field="body", limit=200)
    except InvalidInput:
        pass


@pytest.mark.parametrize("value", [None, "", 5, [], "x" * 9, "tab\t", "null\0", "half \ud800", "\u202e"])
def test_text_is_printable_and_bounded(value):
    with pytest.raises(InvalidInput):
        text(value, field="name", limit=8)


@pytest.mark.parametrize("value", [None, ""])
def test_missing_text_takes_the_default(value):
    assert text(value, field="name", limit=8, default="-") == "-"


def test_text_of_any_script_is_kept():
    assert text("Zoë 李 🙂", field="name", limit=8) == "Zoë 李 🙂"


@pytest.mark.parametrize("value", [True, 1.5, "1", 2**31, -(2**31), [], {}])
def test_a_whole_number_is_neither_truth_nor_fraction_nor_huge(value):
    with pytest.raises(InvalidInput):
        whole_number(value, field="n", default=0)


@pytest.mark.parametrize(("value", "expected"), [(None, 7), (0, 0), (-5, -5), (2**31 - 1, 2**31 - 1)])
def test_whole_numbers(value, expected):
    assert whole_number(value, field="n", default=7) == expected


@pytest.mark.parametrize("value", [None, [], "{}", 1])
def test_only_an_object_is_an_object(value):
    with pytest.raises(InvalidInput, match="data: expected an object"):
        as_object(value, field="data")


@pytest.mark.parametrize("value", ["a", "à la carte", "話し\u200dた", "x" * 20, "\U0001f469\u200d\U0001f9b0"])
def test_a_line_is_text_of_any_script(value):
    assert line(value, field="f", limit=20) == value


@pytest.mark.parametrize("value", ["", "x" * 21, "a\n", "a\u2028b", "\0", "a\x7f", "\x85", None, 7, ["a"]])
def test_what_is_no_line(value):
    with pytest.raises(InvalidInput) as refused:
        line(value, field="f", limit=20)
    assert refused.value.field == "f"


@pytest.mark.parametrize("value", [None, ""])
def test_a_line_that_is_missing(value):
    assert line(value, field="f", limit=20, default="else") == "else"


@pytest.mark.parametrize("value", ["a", "x" * 128, "...", "a.b:c%2F@~", "-._~"])
def test_ids_of_clients(value):
    assert client_id(value, field="id") == value


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "x" * 129, "é", "a\n", None, 5])
def test_no_ids_of_clients(value):
    """Each would be lost or changed on its way in a path."""
    with pytest.raises(InvalidInput):
        client_id(value, field="id")
