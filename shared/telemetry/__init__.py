"""What people who look after Patchcord get to see: logs, metrics, traces. Nothing secret is in any of them.

`redaction` says what is secret, `logs` writes lines, `metrics` is the table of all metrics, `traces` makes spans, `calls` tells of
whole calls, `exporters` sends it all away (the only part that imports OpenTelemetry, and only when an address is configured).
Like logging, it belongs to the process: `setup.start` is called once, and what is called before, or without it, costs nothing.
"""

from shared.telemetry.logs import RedactingFilter, configure_logging, protect_logging, quiet_libraries
from shared.telemetry.redaction import REPLACEMENTS, mask_number, redact

__all__ = [
    "REPLACEMENTS",
    "RedactingFilter",
    "configure_logging",
    "mask_number",
    "protect_logging",
    "quiet_libraries",
    "redact",
]
