import pytest

from shared.config.document import parse_config
from shared.errors import ConfigurationError

BASE = """
agents:
  reception: {{kind: embedded, dialogue: d.yaml}}
ivrs:
  bank:
    identity: "8:acs:r_ivr"
    apology: {{audio: "https://files.example/sorry.wav"}}
    start: bye
    steps: {{bye: {{kind: hang_up}}}}
routes:
  - {{name: desk, to: ["+18005550000"], {who}, overflow: {overflow}}}
"""
SPOKEN = "cognitive_services: https://speech.example"


def overflow(text, who="agent: reception"):
    return parse_config(BASE.format(who=who, overflow=text).encode()).routes[0].overflow


def test_a_queue():
    found = overflow(f"{{action: queue, message: Please hold., goodbye: Bye., max_wait_s: 60, {SPOKEN}}}")
    assert (found.action, found.message, found.max_wait_s, found.max_waiting) == (
        "queue",
        "Please hold.",
        60,
        20,
    )
    recorded = overflow(
        '{action: queue, message: {audio: "https://files.example/hold.wav"}, to: "+18005550009"}'
    )
    assert recorded.to == "+18005550009"


MISTAKES = [
    ("{action: redirect}", "to", "E.164"),
    ('{action: reject, to: "+18005550009"}', "to", "nothing"),
    ("{action: queue}", "message", "a text"),
    ("{action: queue, message: Hold.}", "message", "cognitive_services"),
    (f"{{action: queue, message: Hold., to: nobody, {SPOKEN}}}", "to", "E.164"),
    (f"{{action: queue, message: Hold., max_wait_s: 4, {SPOKEN}}}", "max_wait_s", "5 to 3600"),
    (f"{{action: queue, message: Hold., max_waiting: 0, {SPOKEN}}}", "max_waiting", "1 to 1000"),
    ('{action: queue, message: {audio: "https://f.example/x.wav"}, goodbye: Bye.}', "goodbye", "cognitive"),
    ("{action: queue, message: Hold., cognitive_services: speech}", "cognitive_services", "https"),
]


@pytest.mark.parametrize(("text", "field", "expected"), MISTAKES)
def test_mistakes_are_named(text, field, expected):
    with pytest.raises(ConfigurationError, match=expected) as raised:
        overflow(text)
    assert f"routes[0].overflow.{field}" in raised.value.setting


def test_an_ivr_needs_no_queue():
    with pytest.raises(ConfigurationError, match="an IVR needs no media host"):
        overflow(f"{{action: queue, message: Hold., {SPOKEN}}}", who="ivr: bank")
