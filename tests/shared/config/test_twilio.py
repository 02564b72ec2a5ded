import pytest

from shared.config.document import load_config, parse_config
from shared.config.twilio import HANG_UP, Next, NextStep, TwilioConfig
from shared.errors import ConfigurationError
from tests.shared.config.test_document import GOOD

ACCOUNT = "AC" + "1" * 32
TWILIO = (
    GOOD
    + f"""twilio:
  default:
    account_sid: {ACCOUNT}
    auth_token: env:TWILIO_AUTH_TOKEN
    signing_key: https://vault.example/secrets/key
    agent: model
    task: order_desk
    next: {{agent: {{dial: "+18005550199"}}, system: {{redirect: "https://h/n?a=b"}}, failed: {{enqueue: support}}}}
    studio_return: https://webhooks.example/v1/Accounts/x/Flows/y?FlowEvent=return
  acme: {{account_sid: AC{"2" * 32}, auth_token: "file:/run/token", agent: reception}}
"""
)


def changed(old, new):
    assert old in TWILIO
    return TWILIO.replace(old, new)


def step(text):
    return changed('{dial: "+18005550199"}', text)


def test_a_good_file():
    config = parse_config(TWILIO.encode())
    entry = config.twilio["default"]
    assert (entry.account_sid, entry.task, entry.agent) == (ACCOUNT, "order_desk", "model")
    assert entry.next.failed == NextStep(enqueue="support")
    assert config.twilio["acme"].next == Next(agent=None, system=HANG_UP, failed=None)
    assert config.twilio_tenant("AC" + "2" * 32) == "acme"
    assert config.twilio_tenant("AC" + "3" * 32) is None
    assert parse_config(GOOD.encode()).twilio == {}


def test_a_tenant_with_a_twilio_account_may_have_calls():
    routes = GOOD.replace("tenant: acme", "tenant: default").replace('"*"', '"8:acs:r_z"')
    assert parse_config(routes.encode()).tenant_names == ["default"]
    with_twilio = parse_config((routes + TWILIO.removeprefix(GOOD)).encode())
    assert with_twilio.tenant_names == ["acme", "default"]


def test_the_demo_needs_no_token_until_twilio_calls(pytestconfig):
    entry = load_config(pytestconfig.rootpath / "patchcord.yaml").twilio["default"]
    assert entry.auth_token == "env:TWILIO_AUTH_TOKEN"


MISTAKES = [
    (changed("  acme: {acc", "  zzz: {acc"), "twilio.zzz", "a name under tenants"),
    (changed(ACCOUNT, "AC1"), "twilio.default.account_sid", "32 hexadecimal digits"),
    (changed(ACCOUNT, "CA" + "1" * 32), "twilio.default.account_sid", "32 hexadecimal digits"),
    (changed(ACCOUNT, "AC" + "2" * 32), "twilio.acme.account_sid", "that no other tenant has"),
    (changed("env:TWILIO_AUTH_TOKEN", "0123456789"), "twilio.default.auth_token", "never the secret itself"),
    (changed("https://vault.example/secrets/key", "abc"), "twilio.default.signing_key", "never the secret"),
    (
        changed("agent: model\n    task", "agent: nobody\n    task"),
        "twilio.default.agent",
        "one of model, reception",
    ),
    (
        changed("{max_concurrent_calls: 5}", "{agents: [model]}"),
        "twilio.acme.agent",
        "tenants.acme.agents allows",
    ),
    (step("{}"), "twilio.default.next.agent", "one of dial, enqueue, redirect and hangup"),
    (step('{dial: "+18005550199", hangup: true}'), "twilio.default.next.agent", "one of dial, enqueue"),
    (step("{hangup: false}"), "twilio.default.next.agent", "one of dial, enqueue"),
    (step('{dial: "800"}'), "twilio.default.next.agent.dial", "e.164"),
    (step('{dial: "8:acs:r_u"}'), "twilio.default.next.agent.dial", "e.164"),
    (step(f"{{enqueue: {'q' * 65}}}"), "twilio.default.next.agent.enqueue", "1 to 64 characters"),
    (step('{enqueue: "a\\nb"}'), "twilio.default.next.agent.enqueue", "1 to 64 characters"),
    (step('{redirect: "http://h.example/n"}'), "twilio.default.next.agent.redirect", "https"),
    (changed("{enqueue: support}", "{}"), "twilio.default.next.failed", "one of dial"),
    (changed('{redirect: "https://h/n?a=b"}', "{}"), "twilio.default.next.system", "one of dial"),
    (changed("https://webhooks", "ftp://webhooks"), "twilio.default.studio_return", "https"),
    (changed("    agent: model\n    task", "    task"), "twilio", "required field `agent`"),
    (changed("studio_return:", "studioReturn:"), "twilio", "nothing but known fields"),
]


@pytest.mark.parametrize(("text", "place", "expected"), MISTAKES, ids=[f"{m[1]}-{m[2]}" for m in MISTAKES])
def test_every_mistake_is_named(text, place, expected):
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text.encode())
    assert caught.value.setting.startswith(f"patchcord.yaml: {place}")
    assert expected.lower() in str(caught.value).lower()
    assert "0123456789" not in str(caught.value)  # it may be the secret


HUMAN, FALLBACK = NextStep(dial="+18005550191"), NextStep(dial="+18005550192")
QUEUE, OTHER = NextStep(enqueue="support"), NextStep(redirect="https://h/other")
TRANSFERS = '{human: "+18005550191", fallback: "+18005550192", teams: "8:acs:r_u"}'


@pytest.mark.parametrize(
    ("said", "kind", "target", "expected"),
    [
        (Next(), "agent", "human", HUMAN),
        (Next(), "agent", "", FALLBACK),
        (Next(), "agent", "teams", FALLBACK),  # no number that Twilio could dial
        (Next(), "agent", "nobody", FALLBACK),
        (Next(agent=QUEUE), "agent", "human", QUEUE),
        (Next(), "failed", "", FALLBACK),
        (Next(agent=QUEUE), "failed", "", QUEUE),
        (Next(agent=QUEUE, failed=OTHER), "failed", "", OTHER),
        (Next(agent=QUEUE, failed=OTHER), "agent", "", QUEUE),
        (Next(failed=OTHER), "agent", "human", HUMAN),
        (Next(agent=QUEUE, failed=OTHER), "system", "human", HANG_UP),
        (Next(system=OTHER), "system", "", OTHER),
    ],
)
def test_what_twilio_does_after_us(said, kind, target, expected):
    agent = parse_config(
        GOOD.replace('{human: "+18005550199"}', TRANSFERS).encode(),
    ).agents["reception"]
    entry = TwilioConfig(account_sid=ACCOUNT, auth_token="env:A", agent="reception", next=said)
    assert entry.step(kind, agent, target) == expected


def test_nobody_is_known_to_call():
    config = parse_config(GOOD.encode())
    entry = TwilioConfig(account_sid=ACCOUNT, auth_token="env:A", agent="model")
    assert entry.step("agent", config.agents["model"]) is None
    assert entry.step("failed", None) is None
    assert entry.step("system", None) == HANG_UP
