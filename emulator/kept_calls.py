"""The calls that can be looked back at: so many of them, and so much of their audio."""

from emulator.phone.scripted import ScriptedCall

KEPT_CALLS = 200
"""So many calls, with those that go on, can be looked back at: in the control API, in `Emulator.calls`."""
KEPT_AUDIO = 128 * 1024 * 1024
"""Bytes of what was said and heard in ended calls; older calls lose their audio first. One minute of a call is 5.8 MB at 24 kHz."""


def keep(calls: dict[str, ScriptedCall], call: ScriptedCall) -> None:
    """Add a call to `calls` (by id, oldest first), and let go of what is too much. A call that goes on is never let go."""
    calls[call.id] = call
    over = [kept for kept in calls.values() if kept.is_over]
    for gone in over[: max(0, len(calls) - KEPT_CALLS)]:
        del calls[gone.id]
        gone.forget_audio()
    left = KEPT_AUDIO
    for kept in reversed(over):
        left -= kept.kept_bytes
        if left < 0:
            kept.forget_audio()
