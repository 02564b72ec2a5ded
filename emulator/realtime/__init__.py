"""Emulated realtime models: OpenAI, Azure OpenAI and Voice Live on loopback, with scripted turns, real speech and faults.

Written from `reference/realtime.md` and the vendors' SDKs, not from our own client, so that one mistake cannot hide on both sides.
"""

from emulator.realtime.answers import Call, CallMcp, Prompt, Say
from emulator.realtime.faults import ModelFaults
from emulator.realtime.script import Script, load_script
from emulator.realtime.server import EmulatedModel
from emulator.realtime.session import ModelSession

__all__ = [
    "Call",
    "CallMcp",
    "EmulatedModel",
    "ModelFaults",
    "ModelSession",
    "Prompt",
    "Say",
    "Script",
    "load_script",
]
