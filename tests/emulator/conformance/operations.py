"""What a row of the table says, and what a run sees of it. The rows are in `rows`."""

import re
from dataclasses import dataclass, field

DOCUMENTED, INFERRED, GUESSED = "documented", "inferred", "guessed"
FIDELITIES = (DOCUMENTED, INFERRED, GUESSED)
OPTIONAL_KEYS = ("interruptCallMediaOperation",)
"""Sent by one form of the client and not by the other."""


@dataclass(frozen=True)
class Then:
    """A callback that follows: kind, `resultInformation.code` and `.subCode` (None when it carries none).

    `own`: it carries the operation's context (or, without one, may carry anything).
    """

    kind: str
    code: int | None = 200
    sub_code: int | None = 0
    own: bool = True

    def __str__(self) -> str:
        return self.kind if self.code is None else f"{self.kind} {self.code}/{self.sub_code}"


@dataclass(frozen=True)
class Operation:
    """One row. `error` is the body's code; `result` the class of what the method returns, `fields` those of it that must be set."""

    method: str
    case: str
    request: str
    status: int
    repeatability: bool
    callbacks: tuple[Then, ...] = ()
    fidelity: str = DOCUMENTED
    basis: str = ""
    keys: tuple[str, ...] = ()
    result: str = "NoneType"
    fields: tuple[str, ...] = ()
    error: str = ""

    @property
    def key(self) -> str:
        return f"{self.method}: {self.case}" if self.case else self.method

    def differences(self, seen: "Seen") -> list[str]:
        """What the run saw otherwise."""
        keys = tuple(key for key in seen.keys if key not in OPTIONAL_KEYS)
        pairs = {
            "status": (self.status, seen.status),
            "request": (self.request, seen.request),
            "repeatability": (self.repeatability, seen.repeatability),
            "keys": (self.keys, keys),
            "result": (self.result, seen.result),
            "error": (self.error, seen.error),
            "callbacks": (self.callbacks, seen.callbacks),
            "fields that are not set": ([], sorted(set(self.fields) - seen.fields)),
        }
        return [f"{what}: {saw} and not {want}" for what, (want, saw) in pairs.items() if want != saw]

    def matches(self, verb: str, path: str) -> bool:
        """Whether a request went where this one goes."""
        want_verb, template = self.request.split(" ")
        pattern = re.sub(r"\\\{\w+\\\}", r"[^/]+?", re.escape(template))
        return verb == want_verb and re.fullmatch(pattern, path) is not None


@dataclass(frozen=True)
class Seen:
    """What the run saw of one row."""

    status: int
    request: str
    repeatability: bool
    keys: tuple[str, ...]
    result: str
    fields: frozenset[str]
    error: str
    callbacks: tuple[Then, ...] = field(default=())
