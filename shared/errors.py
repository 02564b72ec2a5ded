"""Every error that Patchcord raises on purpose, as one tree.

    PatchcordError
    ├── ConfigurationError          a setting or a line of patchcord.yaml is wrong; named at start
    ├── InvalidInput                400-01  a request, an event or a frame has a wrong field
    ├── Unauthenticated             401-01  no or wrong credentials
    │   └── TokenRejected           401-01  a token or a signature does not hold
    ├── Forbidden                   403-01  known, but not allowed to do this
    │   ├── OutOfScope              403-02  these credentials were not made for this door
    │   └── SignatureRejected       403-05  Twilio has not signed this request
    ├── NotFound                    404-01  nothing by that name for this tenant
    ├── MethodNotAllowed            405-01  there is this path, for other methods
    ├── Conflict                    409-01  it is already there, or has changed since it was read
    │   ├── EntityExists            insert-if-absent found one
    │   └── EntityChanged           replace-if-match lost the race
    ├── LimitReached                429-01  a limit of the tenant or of the system (retryable)
    ├── CallGone                    410-01  ACS no longer knows the call; nothing to retry
    └── Unavailable                 503-01  a dependency does not answer (retryable)
        ├── StoreUnavailable        503-02
        ├── KeysUnavailable         503-03
        ├── CallControlUnavailable  503-04  ACS's REST interface
        └── AgentUnavailable        503-05  the voice agent cannot be started

Callers decide by type and by `retryable`, never by text. `code` and `status` are public: the HTTP envelope is
`{"error": {"requestId", "code", "message"}}`, so a message never holds a secret.
"""

from collections.abc import Collection


class PatchcordError(Exception):
    """The root: `status` is the HTTP status (int), `code` the public sub-code, `retryable` whether waiting may cure it."""

    status = 500
    code = "500-01"
    retryable = False

    @property
    def message(self) -> str:
        """The text for people, without a stack trace."""
        return str(self)


class ConfigurationError(PatchcordError):
    """A setting is missing or wrong.

    Args:
        setting: the environment variable, or the path in a file (`patchcord.yaml: routes[0].to`).
        expected: what would be right, as a phrase.
        found: the wrong value; leave it out when it may be secret.
    """

    code = "500-02"

    def __init__(self, setting: str, expected: str, found: str | None = None) -> None:
        self.setting = setting
        self.expected = expected
        shown = "" if found is None else f", found {found!r}"
        super().__init__(f"{setting}: expected {expected}{shown}")


class InvalidInput(PatchcordError):
    """A field of something that came in is wrong; nothing has been changed.

    Args:
        field: where it stands (`data.to.rawId`).
        expected: what would be right, as a phrase.
    """

    status = 400
    code = "400-01"

    def __init__(self, field: str, expected: str) -> None:
        self.field = field
        self.expected = expected
        super().__init__(f"{field}: expected {expected}")


class Unauthenticated(PatchcordError):
    """No credentials, or wrong ones. The text is the same for every reason, so that nobody can probe."""

    status = 401
    code = "401-01"

    def __init__(self, reason: str = "credentials") -> None:
        self.reason = reason
        super().__init__("authentication failed")


class TokenRejected(Unauthenticated):
    """A token or a signature does not hold; `reason` is for metrics and tests, never for the answer."""


class Forbidden(PatchcordError):
    """The caller is known, but may not do this."""

    status = 403
    code = "403-01"


class OutOfScope(Forbidden):
    """These credentials were not made for this door."""

    code = "403-02"


class SignatureRejected(Forbidden):
    """A webhook or an upgrade is not signed as Twilio signs; `reason` is for metrics and tests, never for the answer."""

    code = "403-05"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__("the signature does not hold")


class NotFound(PatchcordError):
    """Nothing by that name for this tenant; the text is the same for another tenant's things."""

    status = 404
    code = "404-01"


class MethodNotAllowed(PatchcordError):
    """There is this path, for other methods.

    Args:
        allowed: which ones.
    """

    status = 405
    code = "405-01"

    def __init__(self, allowed: Collection[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"method: expected {self.allowed}")


class Conflict(PatchcordError):
    """It is already there, or it has changed since it was read."""

    status = 409
    code = "409-01"


class EntityExists(Conflict):
    """Insert-if-absent found an entity with this key."""


class EntityChanged(Conflict):
    """Replace-if-match or delete-if-match: the entity has another etag by now, or is gone."""


class LimitReached(PatchcordError):
    """A limit of the tenant or of the whole system."""

    status = 429
    code = "429-01"
    retryable = True


class CallGone(PatchcordError):
    """ACS no longer knows the call: the caller hung up, or the ring time is over (acs.md 4.3: 404/8522)."""

    status = 410
    code = "410-01"


class Unavailable(PatchcordError):
    """A dependency does not answer now; the same request may go through later."""

    status = 503
    code = "503-01"
    retryable = True


class StoreUnavailable(Unavailable):
    """The entity store does not answer."""

    code = "503-02"


class KeysUnavailable(Unavailable):
    """No signing or verification keys could be read, and none are cached."""

    code = "503-03"


class CallControlUnavailable(Unavailable):
    """ACS's REST interface does not answer, or answers 429 or 5xx after its retries."""

    code = "503-04"


class AgentUnavailable(Unavailable):
    """The voice agent cannot be started."""

    code = "503-05"
