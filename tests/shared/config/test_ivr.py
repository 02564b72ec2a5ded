import pytest

from shared.config.document import parse_config
from shared.config.routes import route_for
from shared.errors import ConfigurationError
from shared.wire.identifiers import Identifier, IdentifierKind
from tests.shared.ivr.flows import FLOW

SAY = 'hello: {kind: say, prompt: "Hello {{ name }}.", next: account}'
MENU = """menu: {kind: choice, prompt: Keys., gave_up: bye, options: {
               again: {key: "1", next: what}, end: {key: "*", next: silent}}}"""


def mistake(*changes):
    text = FLOW
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text.encode())
    return str(caught.value)


def test_a_good_flow():
    config = parse_config(FLOW.encode())
    assert set(config.ivrs["bank"].steps) >= {"hello", "what", "back"}
    callee = Identifier(IdentifierKind.COMMUNICATION_USER, "8:acs:r_ivr", "8:acs:r_ivr")
    assert route_for(config.all_routes, "default", callee).ivr == "bank"
    assert config.tenant_names == ["default"]


def test_who_may_be_given_back_to():
    config = parse_config((FLOW + 'tenants: {acme: {return_identities: ["8:acs:r_other"]}}').encode())
    assert config.may_return("default", "8:acs:r_ivr")
    assert not config.may_return("acme", "8:acs:r_ivr"), "another tenant's IVR"
    assert config.may_return("acme", "8:acs:r_other")
    assert not config.may_return("default", "8:acs:r_other")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("  bank:\n", "  Bank:\n", "ivrs.Bank"),
        ('identity: "8:acs:r_ivr"', 'identity: "+18005550000"', "ivrs.bank.identity"),
        ('to: ["+18005550000"]', 'to: ["8:acs:r_ivr"]', "ivrs.bank.identity"),
        ("    start: hello", "    tenant: acme\n    start: hello", "ivrs.bank.tenant"),
        ("https://speech.example", "http://speech.example", "ivrs.bank.cognitive_services"),
        ('fallback: "+18005550198"', 'fallback: "8:acs:r_x"', "ivrs.bank.fallback"),
        ('    caller_id: "+18005550000"\n', "", "ivrs.bank.caller_id"),
        ("apology: Sorry.", 'apology: ""', "ivrs.bank.apology"),
        ("start: hello", "start: nowhere", "ivrs.bank.start"),
        (SAY, SAY.replace("next: account", "next: nowhere"), "ivrs.bank.steps.hello.next"),
        (SAY, "Hello: {kind: hang_up}\n      " + SAY, "ivrs.bank.steps.Hello"),
        (SAY, "lonely: {kind: hang_up}\n      " + SAY, "ivrs.bank.steps.lonely"),
        ("files.example/pin.wav", "files.example/pin.wav#x", "ivrs.bank.steps.pin.prompt.audio"),
        ("prompt: Account?", f"prompt: {'x' * 4001}", "ivrs.bank.steps.account.prompt"),
        ("no_input: Nothing.", 'no_input: " "', "ivrs.bank.steps.account.no_input"),
        ("attempts: 2", "attempts: 0", "ivrs.bank.steps.account.attempts"),
        ("attempts: 2", "silence_s: 0", "ivrs.bank.steps.account.silence_s"),
        ("attempts: 2", "between_keys_s: 61", "ivrs.bank.steps.account.between_keys_s"),
        (
            "min_digits: 2, max_digits: 8",
            "min_digits: 9, max_digits: 8",
            "ivrs.bank.steps.account.max_digits",
        ),
        ("attempts: 2", 'terminator: "##"', "ivrs.bank.steps.account.terminator"),
        ("attempts: 2", 'terminator: ""', "ivrs.bank.steps.account.terminator"),
        ("variable: account,", 'variable: "a b",', "ivrs.bank.steps.account.variable"),
        ("variable: wish", "variable: returnTo", "ivrs.bank.steps.what.variable"),
        ("plain: ", "returnStep: ", "ivrs.bank.steps.mark.variables"),
        ("cases: {good: menu}", "cases: {}", "ivrs.bank.steps.sort.cases"),
        ("cases: {good: menu}", "cases: {good: men}", "ivrs.bank.steps.sort.cases.good"),
        ("[a person]", "[]", "ivrs.bank.steps.what.options"),
        ("[a person]", '[" "]', "ivrs.bank.steps.what.options.person.phrases"),
        ('[a person], key: "2"', "[a person]", "ivrs.bank.steps.what.options"),
        ('{key: "*"', '{key: "1"', "ivrs.bank.steps.menu.options.again.key"),
        ('{key: "*"', '{key: "x"', "ivrs.bank.steps.menu.options.end.key"),
        ("end: {key", f"{'e' * 65}: {{key", "ivrs.bank.steps.menu.options"),
        (
            MENU,
            "menu: {kind: choice, prompt: Keys., gave_up: bye, options: {}}",
            "ivrs.bank.steps.menu.options",
        ),
        (
            MENU,
            "menu: {kind: choice, prompt: Keys., gave_up: bye, options: {a: {next: what}, b: {next: silent}}}",
            "ivrs.bank.steps.menu.options",
        ),
        ('to: "8:acs:r_agent", return_step', "to: agent, return_step", "ivrs.bank.steps.agent.to"),
        ("return_step: back", "return_step: bye", "ivrs.bank.steps.agent.return_step"),
        ('to: "+18005550199"', 'to: "+18005550199", send: []', "ivrs.bank.steps.person"),
        ("gave_up: person, next: pin", "gave_up: hello, next: pin", "ivrs.bank.steps"),
        ("failed: bye", "failed: special", "ivrs.bank.steps"),
        ("ivr: bank}", "ivr: bank, agent: reception}", "routes[0]"),
        ("ivr: bank}", "ivr: bunk}", "routes[0].ivr"),
        ("ivr: bank}", "ivr: bank, tenant: acme}\ntenants: {acme: {}}", "routes[0].ivr"),
        (", ivr: bank}", "}", "routes[0].agent"),
    ],
)
def test_a_mistake_is_named_with_its_place(old, new, place):
    assert f"patchcord.yaml: {place}: " in mistake((old, new))


def test_texts_and_speech_need_a_resource_that_speaks():
    told = mistake(("    cognitive_services: https://speech.example\n", ""))
    assert "ivrs.bank.apology: expected {audio: ADDRESS}, or cognitive_services" in told
    assert "ivrs.bank.steps.what.options" in told


def test_two_ivrs_share_no_identity():
    second = '\n  other:\n    identity: "8:acs:r_ivr"\n    apology: {audio: "https://a.example/a.wav"}\n'
    second += "    start: a\n    steps: {a: {kind: hang_up}}\nroutes:\n"
    assert "ivrs.other.identity" in mistake(("\nroutes:\n", second))


def test_recordings_and_keys_need_nothing():
    text = """
ivrs:
  small:
    identity: "8:acs:r_small"
    apology: {audio: "https://a.example/a.wav"}
    start: a
    steps: {a: {kind: transfer, to: "8:acs:r_agent"}}
agents: {}
routes: [{name: small, to: ["+18005550000"], ivr: small}]
"""
    assert parse_config(text.encode()).ivrs["small"].caller_id == ""
