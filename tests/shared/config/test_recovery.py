import pytest

from shared.config.document import parse_config
from shared.config.recovery import DRAINING, LOST
from shared.errors import ConfigurationError

BASE = """
agents:
  reception: {{kind: embedded, dialogue: d.yaml}}
routes:
  - {{name: desk, to: ["+18005550000", "8:acs:r_route"], agent: reception}}
call_transfers:
  default: {{agent: reception, acs_user: "8:acs:r_lent"}}
recovery: {recovery}
"""
GOOD = """
  lost: [restart, self_transfer, fallback, notice]
  draining: [fallback]
  identity: "8:acs:r_patchcord"
  most_moves: 2
  fallback: "+18005550198"
  caller_id: "+18005550000"
  waiting: {audio: "https://files.example/wait.wav"}
  notice: Please call again.
  cognitive_services: https://speech.example
"""


def parsed(recovery):
    return parse_config(BASE.format(recovery=recovery).encode()).recovery


def test_all_of_it():
    found = parsed(GOOD)
    assert found.lost == LOST
    assert found.draining == ("fallback",)
    assert (found.identity, found.most_moves, found.notice) == ("8:acs:r_patchcord", 2, "Please call again.")


def test_without_an_identity_the_steps_of_the_default_are_fine():
    found = parsed("{}")
    assert (found.lost, found.draining, found.identity) == (LOST, DRAINING, "")


MISTAKES = [
    ("{lost: [restart, restart]}", "recovery.lost", "each step once"),
    ("{lost: [notice, restart]}", "recovery.lost", "the last step"),
    ("{lost: [restart, pray]}", "recovery.lost", "pray"),
    ("{draining: [self_transfer]}", "recovery.draining", "recovery.identity"),
    ("{draining: [restart]}", "recovery.draining", "restart"),
    ('{identity: "+18005550001"}', "recovery.identity", "8:acs"),
    ('{identity: "8:acs:r_route"}', "recovery.identity", "no route"),
    ('{identity: "8:acs:r_lent"}', "recovery.identity", "no call transfer"),
    ("{most_moves: 0}", "recovery.most_moves", "1 to 20"),
    ("{most_moves: 21}", "recovery.most_moves", "1 to 20"),
    ("{fallback: nobody}", "recovery.fallback", "E.164"),
    ("{caller_id: nobody}", "recovery.caller_id", "E.164"),
    ("{cognitive_services: speech.example}", "recovery.cognitive_services", "https"),
    ("{notice: Sorry.}", "recovery.notice", "cognitive_services to speak texts"),
    ("{waiting: Wait.}", "recovery.waiting", "cognitive_services to speak texts"),
    ('{waiting: " "}', "recovery.waiting", "a text"),
    ('{notice: {audio: "http://files.example/x.wav"}}', "recovery.notice.audio", "https"),
    (
        f'{{notice: "{"a" * 401}", cognitive_services: "https://speech.example"}}',
        "recovery.notice",
        "at most 400",
    ),
]


@pytest.mark.parametrize(("recovery", "place", "expected"), MISTAKES)
def test_mistakes_are_named(recovery, place, expected):
    with pytest.raises(ConfigurationError, match=expected.replace("(", r"\(")) as raised:
        parsed(recovery)
    assert place in raised.value.setting
