import pytest

from shared.config.agents import is_websocket
from shared.config.document import parse_config
from shared.errors import ConfigurationError

FILE = """
agents:
  mine: {{kind: websocket, url: wss://agent.example/v1{more}}}
  other: {{kind: embedded, dialogue: {dialogue}{embedded}}}
tools:
  crm: {{kind: mcp, server_url: "https://crm.example/mcp"}}
  look: {{kind: http, description: Looks., url: "https://crm.example/look"}}
routes:
  - {{name: desk, to: ["*"], agent: other}}
"""


def parsed(more="", *, dialogue="d.yaml", embedded=""):
    fields = {"more": more and f", {more}", "dialogue": dialogue, "embedded": embedded and f", {embedded}"}
    return parse_config(FILE.format(**fields).encode(), "p")


def test_everything_an_agent_may_have():
    agent = parsed(
        """key: "env:KEY", transfers: {human: "+18005550199", desk: {to: "8:acs:a_b"}}, keys: {"0": human, "#": desk},
        fallback: [other], tools: [look], secure_digits: {card: {min_digits: 12, max_digits: 19, timeout_s: 120}},
        outputs: {type: object}, silence: {after_s: 300, prompts: 10},
        post_call: {kind: http, url: "https://crm.example/calls", secret: "env:TOKEN"}"""
    ).agents["mine"]
    assert agent.transfer("human").to == "+18005550199" and agent.transfer("desk").to == "8:acs:a_b"
    assert agent.transfer("nobody") is None
    parsed("silence: {after_s: 0, prompts: 0}, secure_digits: {pin: {min_digits: 1, max_digits: 1}}")
    parsed(embedded="""post_call: {kind: python, entry_point: "a.b:c"}, tools: [look]""")
    parsed(embedded="""post_call: {kind: http, url: "http://127.0.0.1:8080/calls"}""")


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ("transfers: {human: nobody}", "agents.mine.transfers.human"),
        ("""transfers: {human: "+18005550199"}, keys: {"10": human}""", "agents.mine.keys"),
        ("""transfers: {human: "+18005550199"}, keys: {"A": human}""", "agents.mine.keys"),
        ("""keys: {"0": human}""", "agents.mine.keys.0"),
        ("fallback: [mine]", "agents.mine.fallback[0]"),
        ("fallback: [other, nobody]", "agents.mine.fallback[1]"),
        ("tools: [nothing]", "agents.mine.tools[0]"),
        ("tools: [look, crm]", "agents.mine.tools[1]"),
        ("secure_digits: {Card: {}}", "agents.mine.secure_digits"),
        ("secure_digits: {card: {min_digits: 0}}", "agents.mine.secure_digits.card"),
        ("secure_digits: {card: {min_digits: 9, max_digits: 8}}", "agents.mine.secure_digits.card"),
        ("secure_digits: {card: {max_digits: 65}}", "agents.mine.secure_digits.card"),
        ("secure_digits: {card: {timeout_s: 0}}", "agents.mine.secure_digits.card.timeout_s"),
        ("secure_digits: {card: {timeout_s: 121}}", "agents.mine.secure_digits.card.timeout_s"),
        ("outputs: {type: array}", "agents.mine.outputs"),
        ("outputs: {properties: {}}", "agents.mine.outputs"),
        ("silence: {after_s: -1}", "agents.mine.silence.after_s"),
        ("silence: {after_s: .nan}", "agents.mine.silence.after_s"),
        ("silence: {prompts: 11}", "agents.mine.silence.prompts"),
        ("""post_call: {kind: http, url: "http://crm.example/"}""", "agents.mine.post_call.url"),
        (
            """post_call: {kind: http, url: "https://crm.example/", secret: abcdef}""",
            "agents.mine.post_call.secret",
        ),
        ("""post_call: {kind: python, entry_point: "a.b"}""", "agents.mine.post_call.entry_point"),
    ],
)
def test_a_mistake_is_named_with_its_place(more, place):
    with pytest.raises(ConfigurationError) as raised:
        parsed(more)
    assert raised.value.setting == f"p: {place}"
    assert "abcdef" not in str(raised.value)  # it may be the secret itself


def test_an_embedded_agent_needs_a_dialogue_and_cannot_use_mcp():
    with pytest.raises(ConfigurationError, match=r"agents\.other\.dialogue"):
        parsed(dialogue="''")
    with pytest.raises(ConfigurationError, match=r"agents\.other\.tools\[0\]"):
        parsed(embedded="tools: [crm]")


def test_an_agent_has_a_proper_name():
    text = FILE.format(more="", dialogue="d.yaml", embedded="").replace("mine:", "Mine:")
    with pytest.raises(ConfigurationError, match=r"agents\.Mine"):
        parse_config(text.encode())


@pytest.mark.parametrize(
    "url", ["ws://agent.example", "wss://u:p@agent.example", "wss://a/?key=1", "https://a"]
)
def test_what_is_no_address_of_an_agent(url):
    assert not is_websocket(url)
