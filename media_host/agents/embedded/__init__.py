"""The embedded demo agent: a scripted dialogue with grammar speech recognition and a robotic voice. Not a language model."""

from pathlib import Path

from media_host.agents.embedded.agent import EmbeddedAgent
from media_host.agents.embedded.dialogue import load_dialogue
from media_host.speech import Speech


def create(dialogue: Path, speech: Speech) -> EmbeddedAgent:
    """An agent for one call; the file is read once per process.

    Args:
        dialogue: the dialogue file.
        speech: the engines of this process, started.

    Raises:
        ConfigurationError: the file has a mistake.
    """
    return EmbeddedAgent(load_dialogue(dialogue), speech)
