"""`--agent emulated-openai` and `--agent emulated-voicelive`: the configuration with an emulated realtime model in it.

Every embedded agent that a route names is replaced by the model under the same name; the scripted one stays as its fallback.
The transfer `human` becomes a warm one, to an emulated telephone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cli.processes import ROOT
from shared.config.document import load_config
from shared.errors import ConfigurationError

type Json = dict[str, Any]

SERVICES: Mapping[str, str] = {"emulated-openai": "openai", "emulated-voicelive": "voice-live"}
"""The services that can be emulated, by the name that the command line takes."""

KEY_VARIABLE = "EMULATED_MODEL_KEY"
PERSON = ROOT / "emulator" / "scripts" / "phones" / "person.yaml"
SCRIPTED = "-script"
"""Ends the name of the scripted agent that a model has replaced."""

INSTRUCTIONS = """\
You answer the telephone of an order desk. Ask what the caller wants, in one short sentence at a time.
For the status of an order ask for its five digit number, to be keyed in and ended by the hash key, then use lookup_order.
If the caller wants a person, say that you are connecting, and use transfer_to_human.
"""
GREETING = "Hello, this is the order desk. You are talking to an emulated model. How can I help you?"
ANNOUNCEMENT = "A caller of the order desk wants to talk to you. Press 1 to take the call."


def derived_config(shipped: Path, agent: str, endpoint: str) -> str:
    """`shipped` with the emulated `agent` (a name of `SERVICES`) at `endpoint` (`ws://127.0.0.1:PORT`), as YAML.

    Raises:
        ConfigurationError: `shipped` is wrong, or routes no call to an embedded agent.
    """
    load_config(shipped)
    config: Json = yaml.safe_load(shipped.read_text())
    agents: Json = config["agents"]
    routed = {route["agent"] for route in config["routes"] if "agent" in route}
    replaced = [name for name in routed if agents[name]["kind"] == "embedded"]
    if not replaced:
        raise ConfigurationError("--agent", "a route in patchcord.yaml whose agent is embedded")
    for other in agents.values():
        if other["kind"] == "embedded":
            other["dialogue"] = str((shipped.parent / other["dialogue"]).resolve())
    for name in replaced:
        scripted = agents[name]
        agents[name + SCRIPTED] = scripted
        agents[name] = _model(scripted, SERVICES[agent], endpoint) | {"fallback": [name + SCRIPTED]}
    return "# Made by `--agent`; see cli/emulated_agent.py.\n" + yaml.safe_dump(config, sort_keys=False)


def _model(scripted: Json, service: str, endpoint: str) -> Json:
    """A realtime agent in place of a scripted one."""
    transfers = dict(scripted.get("transfers", {}))
    human = transfers.get("human")
    if isinstance(human, str):
        transfers["human"] = {"to": human, "mode": "warm", "announce": ANNOUNCEMENT}
    kept: Json = {name: scripted[name] for name in ("audio", "recording", "tools") if name in scripted}
    return {
        "kind": "realtime",
        "service": service,
        "endpoint": endpoint,
        "model": "emulated",
        "key": f"env:{KEY_VARIABLE}",
        "transcription": {"model": "emulated"},
        "instructions": INSTRUCTIONS,
        "greeting": GREETING,
        "transfers": transfers,
        **kept,
    }
