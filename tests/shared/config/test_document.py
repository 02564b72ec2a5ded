from pathlib import Path

import pytest

from shared.config.document import load_config, parse_config
from shared.config.routes import route_for
from shared.errors import ConfigurationError
from shared.wire.identifiers import Identifier, IdentifierKind

GOOD = """
agents:
  reception: {kind: embedded, dialogue: d.yaml, recording: true, audio: pcm16KMono, transfers: {human: "+18005550199"}}
  model: {kind: realtime, service: openai, model: gpt, key: "env:KEY"}
routes:
  - {name: star, to: ["*"], agent: reception, tenant: acme}
  - {name: desk, to: ["+18005550000", "8:acs:r_u"], agent: model, task: order_desk}
  - {name: acme, to: ["+18005550001"], agent: reception, tenant: acme, overflow: {action: redirect, to: "8:acs:r_x"}}
tenants:
  acme: {max_concurrent_calls: 5}
"""


def number(value):
    return Identifier(IdentifierKind.PHONE_NUMBER, f"4:{value}", value)


def user(raw):
    return Identifier(IdentifierKind.COMMUNICATION_USER, raw, raw)


def test_a_good_file():
    config = parse_config(GOOD.encode())
    assert config.agents["reception"].recording
    assert not config.agents["model"].recording
    assert (config.agents["reception"].audio, config.agents["model"].audio) == ("pcm16KMono", "pcm24KMono")
    assert config.routes[1].tenant == "default"
    assert config.tenant_names == ["acme", "default"]
    assert config.concurrent_calls("acme", 100) == 5
    assert config.concurrent_calls("default", 100) == 100


@pytest.mark.parametrize(
    ("tenant", "callee", "route"),
    [
        (None, number("+18005550000"), "desk"),
        (None, user("8:acs:r_u"), "desk"),
        (None, number("+18005550001"), "acme"),
        (None, number("+19995550000"), "star"),
        ("acme", number("+18005550001"), "acme"),
        ("acme", number("+18005550000"), "star"),
        ("default", number("+18005550000"), "desk"),
        ("default", number("+18005550001"), None),
        ("default", number("+19995550000"), None),
        ("nobody", number("+18005550000"), None),
        ("default", Identifier(IdentifierKind.UNKNOWN, "", ""), None),
    ],
)
def test_routes(tenant, callee, route):
    found = route_for(parse_config(GOOD.encode()).routes, tenant, callee)
    assert (found.name if found else None) == route


LENT = (
    GOOD
    + """call_transfers:
  default: {agent: reception, acs_user: "8:acs:r_a"}
  acme: {agent: model}
"""
)

MISTAKES = [
    (LENT.replace("acme: {agent: model}", "zzz: {agent: model}"), "call_transfers.zzz", "name under tenants"),
    (
        LENT.replace("acme: {agent: model}", "acme: {agent: nobody}"),
        "call_transfers.acme.agent",
        "one of model",
    ),
    (
        LENT.replace("agent: model}\n", "agent: model, lifetime_s: 9}\n"),
        "call_transfers.acme.lifetime_s",
        "from 10",
    ),
    (LENT.replace("8:acs:r_a", "+18005550100"), "call_transfers.default.acs_user", "8:acs:"),
    (
        LENT.replace("acme: {agent: model", 'acme: {agent: model, acs_user: "8:acs:r_a"'),
        "call_transfers.acme.acs_user",
        "no other tenant",
    ),
    ("", "top level", "expected `object`, got `null`"),
    ("agents: [", "patchcord.yaml", "YAML"),
    ("agents: {}\nroutes: []", "routes", "at least one route"),
    (GOOD + "extra: 1", "top level", "nothing but known fields, found the field `extra`"),
    (GOOD.replace("kind: embedded", "kind: human"), "agents", "human"),
    (GOOD.replace("kind: embedded, ", "", 1), "agents", "expected the required field `kind`"),
    (GOOD.replace("dialogue: d.yaml", 'dialogue: ""'), "agents.reception.dialogue", "YAML file"),
    (
        GOOD.replace("service: openai", 'service: openai, endpoint: "https://x.example"'),
        "agents.model.endpoint",
        "api.openai.com",
    ),
    (GOOD.replace("model: gpt, ", ""), "agents.model.model", "name"),
    (GOOD.replace("reception: {", "Recep tion: {", 1), "agents.Recep tion", "small letters"),
    (GOOD.replace("+18005550199", "555"), "agents.reception.transfers.human", "E.164"),
    (GOOD.replace('"+18005550000"', "+18005550000"), "routes[1].to[0]", "in quotes"),
    (GOOD.replace('"+18005550000"', '"18005550000"'), "routes[1].to[0]", "E.164"),
    (GOOD.replace("+18005550001", "+18005550000"), "routes[2].to[0]", "no other route has"),
    (GOOD.replace('"+18005550001"', '"*"'), "routes[2].to[0]", "no other route has"),
    (GOOD.replace('["+18005550001"]', "[]"), "routes[2].to", "at least one"),
    (GOOD.replace("name: acme", "name: desk"), "routes[2].name", "name of its own"),
    (GOOD.replace("name: acme", "name: ACME!"), "routes[2].name", "name of its own"),
    (GOOD.replace("agent: model", "agent: nobody"), "routes[1].agent", "one of model, reception"),
    (GOOD.replace("tenant: acme,", "tenant: zzz,"), "routes[2].tenant", "name under tenants"),
    (GOOD.replace("8:acs:r_x", ""), "routes[2].overflow.to", "E.164"),
    (GOOD.replace("action: redirect", "action: ring"), "routes[2].overflow.action", "ring"),
    (GOOD.replace("calls: 5", "calls: 0"), "tenants.acme.max_concurrent_calls", "from 1 to"),
    (GOOD.replace("calls: 5", "calls: many"), "tenants", "int"),
    (GOOD.replace("tenants:\n  acme", "tenants:\n  a_b: {}\n  acme"), "tenants.a_b", "small letters"),
]


TENANT = (
    GOOD
    + """  globex:
    acs: {endpoint: "https://globex.communication.azure.com", resource_id: "guid-2", key: "env:GLOBEX_KEY"}
    agents: [model]
    return_identities: ["8:acs:r_ivr"]
    outbound: {countries: [US, CA], caller_ids: ["+18005550000"], calls_per_minute: 30, ring_s: 45}
"""
)


def test_a_tenant_with_everything():
    config = parse_config(TENANT.encode())
    globex = config.tenant("globex")
    assert (globex.acs.endpoint, globex.acs.key) == (
        "https://globex.communication.azure.com",
        "env:GLOBEX_KEY",
    )
    assert config.acs_resources == {"globex": "guid-2"}
    assert (globex.may_use("model"), globex.may_use("reception")) == (True, False)
    assert config.tenant("acme").may_use("reception")
    assert (globex.outbound.calls_per_minute, globex.outbound.ring_s) == (30, 45)
    assert config.tenant("nobody").outbound is None
    assert config.tenant_names == [
        "acme",
        "default",
        "globex",
    ]  # whoever may call has calls to be looked after


def changed(old, new):
    assert old in TENANT
    return TENANT.replace(old, new)


MISTAKES += [
    (
        changed("https://globex.comm", "http://globex.comm"),
        "tenants.globex.acs.endpoint",
        "http only on loopback",
    ),
    (
        changed('azure.com", res', 'azure.com/x", res'),
        "tenants.globex.acs.endpoint",
        "communication.azure.com",
    ),
    (changed("guid-2", ""), "tenants.globex.acs.resource_id", "immutable id"),
    (changed("env:GLOBEX_KEY", "c2VjcmV0"), "tenants.globex.acs.key", "never the secret itself"),
    (changed("[model]", "[model, nobody]"), "tenants.globex.agents[1]", "one of model, reception"),
    (changed("8:acs:r_ivr", "+18005550000"), "tenants.globex.return_identities[0]", "8:acs:"),
    (changed("[US, CA]", "[]"), "tenants.globex.outbound.countries", "at least one"),
    (changed("[US, CA]", "[US, ca]"), "tenants.globex.outbound.countries[1]", "ISO 3166"),
    (
        changed('["+18005550000"], calls', '["8005550000"], calls'),
        "tenants.globex.outbound.caller_ids[0]",
        "E.164",
    ),
    (changed("minute: 30", "minute: 0"), "tenants.globex.outbound.calls_per_minute", "from 1 to 1000"),
    (changed("ring_s: 45", "ring_s: 116"), "tenants.globex.outbound.ring_s", "from 5 to 115"),
    (changed("countries: [US, CA], ", ""), "tenants", "the required field `countries`"),
    (
        GOOD.replace("{max_concurrent_calls: 5}", "{agents: [model]}"),
        "routes[0].agent",
        "tenants.acme.agents allows",
    ),
    (
        LENT.replace("tenant: acme", "tenant: other").replace(
            "{max_concurrent_calls: 5}", "{agents: [reception]}\n  other: {}"
        ),
        "call_transfers.acme.agent",
        "tenants.acme.agents allows",
    ),
]


@pytest.mark.parametrize(("text", "place", "expected"), MISTAKES, ids=[m[1] + "-" + m[2] for m in MISTAKES])
def test_every_mistake_is_named(text, place, expected):
    with pytest.raises(ConfigurationError) as caught:
        parse_config(text.encode())
    assert place in caught.value.setting
    assert expected.lower() in str(caught.value).lower()


def test_tenants_of_call_transfers_may_have_calls_too():
    config = parse_config(LENT.replace("tenant: acme,", "").replace(", tenant: acme", "").encode())
    assert config.tenant_names == ["acme", "default"]
    assert config.call_transfers["default"].acs_user == "8:acs:r_a"


def test_further_mistakes_are_named_too():
    text = GOOD.replace("agent: model", "agent: nobody").replace("calls: 5", "calls: 0")
    with pytest.raises(ConfigurationError, match=r"1 more: routes\[1\]\.agent"):
        parse_config(text.encode())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="PATCHCORD_CONFIG"):
        load_config(tmp_path / "nowhere.yaml")


def test_the_shipped_configuration_is_good():
    config = load_config(Path(__file__).parents[3] / "patchcord.yaml")
    agent = config.agents["reception"]
    assert (agent.dialogue, agent.recording) == ("dialogues/order_desk.yaml", True)
    assert set(agent.transfers) == {"human", "fallback"}
    assert route_for(config.routes, None, number("+18005550000")).task == "order_desk"
    assert route_for(config.routes, None, number("+18005550077")) is None
