from urllib.parse import urlencode

import pytest

from shared.errors import InvalidInput
from shared.wire.twilio_params import (
    FORM_LIMIT,
    MAX_FIELDS,
    CallParams,
    StreamEvent,
    account_sid,
    call_params,
    form_params,
    stream_event,
)

ACCOUNT, CALL, STREAM = "AC" + "1" * 32, "CA" + "2" * 32, "MZ" + "3" * 32
CALLED = {
    "AccountSid": ACCOUNT,
    "CallSid": CALL,
    "From": "+14255550100",
    "To": "+18005550000",
    "CallStatus": "in-progress",
    "Direction": "inbound",
    "ApiVersion": "2010-04-01",
    "SipHeader_X-Any.1": "x",
}


def params(**changes):
    return [(name, value) for name, value in {**CALLED, **changes}.items() if value is not None]


def test_a_form_as_it_was_sent():
    form = [("From", "+1"), ("CallerName", "Zoë & Söhne = 1"), ("Digits", ""), ("From", "+1")]
    assert form_params(urlencode(form).encode()) == form
    assert form_params(b"a=b+c%20d&&e&=f&g=h=i") == [("a", "b c d"), ("e", ""), ("", "f"), ("g", "h=i")]
    assert form_params(b"") == []
    assert form_params(b"a=%zz%") == [("a", "%zz%")]


@pytest.mark.parametrize(
    "body", [b"a=%ff", b"%c3=a", b"a=\xff", b"a=" + b"b" * FORM_LIMIT, b"&".join([b"a=b"] * (MAX_FIELDS + 1))]
)
def test_what_is_no_form(body):
    with pytest.raises(InvalidInput, match=r"^body: "):
        form_params(body)


def test_what_we_read_of_a_call():
    assert call_params(params()) == CallParams(
        ACCOUNT, CALL, "+14255550100", "+18005550000", "in-progress", "inbound"
    )
    bare = call_params([("AccountSid", ACCOUNT), ("CallSid", CALL)])
    assert bare == CallParams(ACCOUNT, CALL, "", "", "", "")
    assert account_sid(params()) == ACCOUNT
    assert "5550100" not in repr(call_params(params()))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("client:agent_7", "client:agent_7"),
        ("sip:bob@example.com;user=phone", "sip:bob@example.com;user=phone"),
        ("12345", "12345"),
        ("", ""),
        ("anonymous", ""),
        ("Anonymous", ""),
        ("+266696687", ""),  # ANONYMOUS on the keys of a telephone
        ("+17378742833", ""),
        ("86282452253", ""),
        ("+0123456789", ""),
        ("sip:a b", ""),
        ("+14255550100\n", ""),
        ("<Hangup/>", ""),
        ("sip:" + "a" * 251, ""),
    ],
)
def test_both_ends_of_a_call(written, read):
    found = call_params(params(From=written, To=written))
    assert (found.from_, found.to) == (read, read)


@pytest.mark.parametrize("read", [call_params, stream_event, account_sid])
@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"AccountSid": None}, "AccountSid"),
        ({"AccountSid": CALL}, "AccountSid"),
        ({"AccountSid": ACCOUNT + "\n"}, "AccountSid"),
        ({"AccountSid": ACCOUNT.lower()}, "AccountSid"),
        ({"AccountSid": ""}, "AccountSid"),
        ({"": "x"}, "body"),
        ({"?FlowEvent=return": ""}, "body"),  # part of the address, moved into the form
        ({"a b": ""}, "body"),
        ({"1": ""}, "body"),
        ({"é": ""}, "body"),
        ({"a" * 129: ""}, "body"),
    ],
)
def test_fields_that_every_reader_refuses(read, changed, field):
    with pytest.raises(InvalidInput) as refused:
        read(params(StreamEvent="stream-started", **changed))
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"CallSid": None}, "CallSid"),
        ({"CallSid": ""}, "CallSid"),
        ({"CallSid": "CA../../" + "2" * 26}, "CallSid"),
        ({"CallSid": CALL[:-1] + "G"}, "CallSid"),
        ({"CallSid": CALL + "2"}, "CallSid"),
        ({"CallStatus": "<Say>"}, "CallStatus"),
        ({"Direction": "in bound"}, "Direction"),
    ],
)
def test_fields_of_a_call_that_are_wrong(changed, field):
    with pytest.raises(InvalidInput) as refused:
        call_params(params(**changed))
    assert refused.value.field == field


@pytest.mark.parametrize("name", sorted(CALLED))
def test_no_field_counts_twice(name):
    for value in (CALLED[name], "other"):
        with pytest.raises(InvalidInput) as refused:
            call_params([*params(), (name, value)])
        assert refused.value.field == name


def signed_text(form):
    return "".join(name + value for name, value in sorted(form))


def test_forms_that_are_signed_alike_are_not_read_alike():
    """The signed text, cut into other fields: an id is lost, or a name is none."""
    base = [("AccountSid", ACCOUNT), ("CallSid", CALL), ("From", "+14255550100"), ("To", "+18005550000")]
    call_params(base)
    text, cuts = signed_text(base), 0
    for at in range(len("AccountSid"), len(text)):
        for size in (1, 4, 7):  # all until `at`, and the rest under a name of so many characters
            other = [("AccountSid", text[10:at]), (text[at : at + size], text[at + size :])]
            if signed_text(other) == text:
                cuts += 1
                with pytest.raises(InvalidInput):
                    call_params(other)
    assert cuts > 40
    for at in range(1, len("+14255550100") + 1):  # the caller's number, partly moved into the name
        other = [*base[:2], ("From" + "+14255550100"[:at], "+14255550100"[at:]), base[3]]
        assert signed_text(other) == text
        with pytest.raises(InvalidInput):
            call_params(other)


def test_what_we_read_of_a_stream():
    told = params(StreamSid=STREAM, StreamEvent="stream-error", StreamError="Closed\r\nby <us> " + "x" * 300)
    found = stream_event(told)
    assert (found.account_sid, found.call_sid, found.stream_sid) == (ACCOUNT, CALL, STREAM)
    assert found.event == "stream-error"
    assert found.error.startswith("Closed  by <us> xx") and len(found.error) == 200
    started = stream_event(params(StreamEvent="stream-started"))
    assert started == StreamEvent(ACCOUNT, CALL, "", "stream-started", "")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"StreamEvent": None}, "StreamEvent"),
        ({"StreamEvent": "a b"}, "StreamEvent"),
        ({"StreamSid": CALL}, "StreamSid"),
        ({"CallSid": "x"}, "CallSid"),
    ],
)
def test_fields_of_a_stream_that_are_wrong(changed, field):
    with pytest.raises(InvalidInput) as refused:
        stream_event(params(**{"StreamEvent": "stream-started", **changed}))
    assert refused.value.field == field
