"""Texts without secrets: for logs, traces and whatever else leaves a process for people who look after it.

`redact` takes out whatever looks like a token, a key, a password, an `incomingCallContext` or a card number. It knows shapes,
not meanings: pressed digits and what a caller said have none, so they must never be handed to a logger or a span.
"""

import re
from collections.abc import Iterable

# Between a name and its value: `name: value`, `name=value`, `"name": "value"`, `\"name\": \"value\"`, `('name', b'value')`.
_BETWEEN = r"(?:\\?[\"']\s*,|\\?[\"']?\s*[:=])\s*(?:b(?=[\"']))?\\?[\"']?"
_VALUE = r"[^\s,;\"'}&\\]+"

REPLACEMENTS: Iterable[tuple[re.Pattern[str], str]] = (
    # A private key as PEM, and the private part of a JWK.
    (
        re.compile(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
        "[key]",
    ),
    (re.compile(r"\\?\"d\\?\"\s*:\s*\\?\"[\w-]{20,}\\?\""), "[key]"),
    # JSON Web Tokens, whole or cut off: ours in a path, ACS's in a header, incomingCallContext (`alg: none`).
    (re.compile(r"eyJ[\w+/-]{9,}=*(?:\.[\w-]*){0,2}"), "[token]"),
    (
        re.compile(
            rf"(?i)(\b(?:proxy-)?authorization{_BETWEEN})(?:hmac-sha256\s+[^\s\"'}}\\]+|(?:[a-z]\w{{2,20}}\s+)?{_VALUE})"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?i)\b(bearer|hmac-sha256)\s+(?=\S*[\d=])[^\s,\"'}\\]{16,}"), r"\1 [secret]"),
    (
        re.compile(
            r"(?i)(\b(?:incoming_?call_?context|access_?key|account_?key|shared_?access_?(?:signature|key)|"
            r"api[-_]?(?:secret|key)|x-functions-key|ocp-apim-subscription-key|aeg-sas-(?:key|token)|"
            rf"(?:access|refresh|id)_token|client_secret|password){_BETWEEN}){_VALUE}"
        ),
        r"\1[secret]",
    ),
    (re.compile(r"(?i)([?&](?:code|sig|token|key)=)[^&\s\"'\\]+"), r"\1[secret]"),
    # Tenants' API secrets (security/tenants.py) and OpenAI's keys carry these prefixes.
    (re.compile(r"\b(?:pcs_|sk-)[\w-]{16,}"), "[secret]"),
    # Long enough for a payment card. What must stay: the tail of a GUID, a fraction, a Unix time in ms, us or ns.
    (
        re.compile(
            r"(?<![\w])(?<!\d\.)(?<![0-9a-fA-F]{4}-)(?!1\d{12}(?:\d{3}){0,2}(?![ -]?\d))"
            r"\d(?:[ -]?\d){12,18}(?![ -]?\d)(?!\w|\.\d|-\w)"
        ),
        "[number]",
    ),
)


def redact(text: str) -> str:
    """`text` without secrets. Safe to apply twice."""
    for pattern, replacement in REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def mask_number(number: str) -> str:
    """A phone number or raw id fit for a log: `+1425…00`; what is too short to mask is hidden altogether."""
    return f"{number[:5]}…{number[-2:]}" if len(number) >= 9 else "…"
