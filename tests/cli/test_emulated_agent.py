"""The configuration that `--agent` makes of the shipped one."""

import pytest
import yaml

from cli.__main__ import parser
from cli.emulated_agent import KEY_VARIABLE, PERSON, SERVICES, derived_config
from cli.processes import ROOT
from emulator.phone.callee import parse_callee
from shared.config.document import parse_config
from shared.errors import ConfigurationError

SHIPPED = ROOT / "patchcord.yaml"


@pytest.mark.parametrize("name", SERVICES)
def test_the_model_takes_the_place_of_the_scripted_agent(name):
    text = derived_config(SHIPPED, name, "ws://127.0.0.1:4711")
    config = parse_config(text.encode())
    agent = config.agents[config.routes[0].agent]
    assert (agent.service, agent.endpoint, agent.key) == (
        SERVICES[name],
        "ws://127.0.0.1:4711",
        f"env:{KEY_VARIABLE}",
    )
    assert agent.is_emulated
    assert agent.tools == ["lookup_order"]
    human = agent.transfer("human")
    assert (human.mode, human.confirm) == ("warm", "key")
    assert human.to == parse_callee_of_the_person().at
    (scripted,) = agent.fallback
    assert (ROOT / "dialogues" / "order_desk.yaml").samefile(config.agents[scripted].dialogue)
    assert config.agents[scripted].transfers["fallback"] == agent.transfers["fallback"]


def parse_callee_of_the_person():
    return parse_callee(yaml.safe_load(PERSON.read_text()))


def test_a_configuration_without_a_scripted_agent_is_refused(tmp_path):
    file = tmp_path / "patchcord.yaml"
    file.write_text(
        "agents: {a: {kind: websocket, url: 'wss://agent.example'}}\n"
        "routes: [{name: r, to: ['+18005550000'], agent: a}]\n"
    )
    with pytest.raises(ConfigurationError, match="embedded"):
        derived_config(file, "emulated-openai", "ws://127.0.0.1:1")


def test_the_command_line_knows_the_same_agents():
    for command in ("demo", "up"):
        assert parser().parse_args([command]).agent == ""
        for name in SERVICES:
            assert parser().parse_args([command, "--agent", name]).agent == name
        with pytest.raises(SystemExit):
            parser().parse_args([command, "--agent", "other"])
