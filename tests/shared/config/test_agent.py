import msgspec
import pytest

from shared.config.agent import (
    FALLBACK,
    SYSTEM,
    Agent,
    ConversationalAgent,
    PostCallHttp,
    PostCallPython,
    SecureDigits,
    Silence,
)
from shared.config.transfers import Transfer


def test_what_an_agent_has_without_being_told():
    agent = Agent()
    assert (agent.recording, agent.recording_consent, agent.redact) == (False, False, True)
    assert agent.post_call is None
    talker = ConversationalAgent()
    assert (talker.barge_in, talker.greeting_barge_in) == ("speech", "speech")
    assert talker.silence == Silence(after_s=8.0, prompts=2)


def test_agents_share_no_empty_default():
    first, second = Agent(), Agent()
    assert first.transfers is not second.transfers
    assert first.tools is not second.tools


def test_a_transfer_by_name():
    agent = Agent(
        transfers={
            "human": "+18005550199",
            "expert": Transfer(to="+18005550198", mode="warm"),
            FALLBACK: "+18005550197",
            SYSTEM: "8:acs:r_u",
        }
    )
    assert agent.transfer("human") == Transfer(to="+18005550199", mode="blind")
    assert agent.transfer("expert").mode == "warm"
    assert agent.transfer("nobody") is None


def test_the_post_call_hook_has_two_kinds():
    hook = msgspec.convert({"kind": "http", "url": "https://a.example/"}, PostCallHttp | PostCallPython)
    assert hook == PostCallHttp(url="https://a.example/", secret="", timeout_s=10.0)
    hook = msgspec.convert({"kind": "python", "entry_point": "m:f"}, PostCallHttp | PostCallPython)
    assert hook == PostCallPython(entry_point="m:f")


@pytest.mark.parametrize("part", [SecureDigits, Silence])
def test_unknown_fields_are_mistakes(part):
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"retries": 3}, part)
