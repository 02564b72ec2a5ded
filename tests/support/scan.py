"""Looks for secrets in the output of tests, demo and processes: `python -m tests.support.scan FOLDER…`.

Knows what our secrets look like; tests that know the very values (keys pressed, an access key) pass them as `known`.
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

SECRETS = {
    "a JSON Web Token or incomingCallContext": re.compile(r"eyJ[\w-]{10,}\.(?:[\w-]{10,}|eyJ)[\w.-]*"),
    "a tenant's API secret": re.compile(r"\bpcs_[\w-]{16,}"),
    "an access key": re.compile(r"(?i)\b(?:accesskey|accountkey)=(?!\[)[A-Za-z0-9+/]{16,}"),
    "a function key in an address": re.compile(r"[?&]code=(?!\[)[\w-]{16,}"),
    "a signature": re.compile(r"(?i)HMAC-SHA256 SignedHeaders"),
    "a private key": re.compile(r"BEGIN (?:EC |RSA )?PRIVATE KEY|\"d\": ?\""),
}


def find_secrets(text: str, known: Iterable[str] = ()) -> list[str]:
    """What was found, one line each, without repeating the secret."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for name, pattern in SECRETS.items():
            if pattern.search(line):
                found.append(f"line {number}: {name}")
        found += [f"line {number}: a known secret" for secret in known if secret in line]
    return found


def scan(folders: Iterable[Path], known: Iterable[str] = ()) -> list[str]:
    """Findings in all text files below `folders`."""
    known = list(known)
    found = []
    for folder in folders:
        for path in sorted(item for item in folder.rglob("*") if item.suffix in (".txt", ".log", ".json")):
            if "keys" in path.parts:
                continue  # the key files themselves: 0600, and their place is the point of them
            found += [
                f"{path}: {finding}" for finding in find_secrets(path.read_text(errors="replace"), known)
            ]
    return found


def main() -> int:
    """Print findings; the exit code is 1 when there are any."""
    found = scan(Path(argument) for argument in sys.argv[1:])
    print("\n".join(found) if found else f"no secret in {', '.join(sys.argv[1:])}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
