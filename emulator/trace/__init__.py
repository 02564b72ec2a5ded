"""The wire trace: what went over the wires of each call, as JSON lines without secrets."""

from emulator.trace.record import Trace
from emulator.trace.view import format_trace

__all__ = ["Trace", "format_trace"]
