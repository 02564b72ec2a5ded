"""Identities of the resource: users with ids `8:acs:RESOURCE_USER` and their access tokens (acs.md 1.3, identity rows).

The paths, status codes and bodies are those of SDK 1.5.0 (api-version 2023-10-01). Guessed, since acs.md says nothing: the codes
in error bodies; that a user of another resource is answered 403; that a deleted one is answered 404.
"""

import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from emulator.acs.errors import RestError, invalid
from emulator.acs.signing import Signer

type Json = dict[str, Any]

SCOPES = frozenset({"chat", "voip", "chat.join", "chat.join.limited", "voip.join"})
SHORTEST_MIN, LONGEST_MIN = 60, 1440
KEPT_USERS = 100_000
AUDIENCE = "urn:emulator:acs-user"
"""Ours; the service's tokens carry none that is documented."""


@dataclass(slots=True)
class _User:
    deleted: bool = False
    tokens: dict[str, float] = field(default_factory=dict)
    """Ids of tokens that have not been revoked, with their ends (Unix time, s)."""


class Identities:
    """The users of one resource. An id is known once it was made, or seen: as in the cloud, ids outlive the process.

    Args:
        resource_id: the resource's immutable id, the first part of every user's.
        signer: signs the tokens.
        now: Unix time (s).
    """

    def __init__(self, resource_id: str, signer: Signer, now: Callable[[], float] = time.time) -> None:
        self._prefix = f"8:acs:{resource_id}_"
        self._signer = signer
        self._now = now
        self._users: OrderedDict[str, _User] = OrderedDict()

    def create(self, scopes: object = None, minutes: object = None) -> Json:
        """A new user, with a token when scopes are given: the body of `POST /identities`.

        Raises:
            RestError: 400 for wrong scopes or a wrong lifetime.
        """
        checked = None if scopes is None else self._request(scopes, minutes)
        user_id = self._prefix + str(uuid.uuid4())
        user = self._users[user_id] = _User()
        while len(self._users) > KEPT_USERS:
            self._users.popitem(last=False)
        body: Json = {"identity": {"id": user_id}}
        if checked:
            body["accessToken"] = self._token(user_id, user, *checked)
        return body

    def issue(self, user_id: str, scopes: object, minutes: object = None) -> Json:
        """A further token: the body of `:issueAccessToken`.

        Raises:
            RestError: 400 as in `create`, 403 and 404 as in `delete`.
        """
        checked = self._request(scopes, minutes)
        return self._token(user_id, self._find(user_id), *checked)

    def revoke(self, user_id: str) -> None:
        """All tokens of the user are void.

        Raises:
            RestError: as in `delete`.
        """
        self._find(user_id).tokens.clear()

    def delete(self, user_id: str) -> None:
        """The user and all tokens are gone.

        Raises:
            RestError: 403 for a user of another resource, 404 for one that was deleted (both guessed).
        """
        user = self._find(user_id)
        user.deleted = True
        user.tokens.clear()

    def holder(self, token: str) -> str | None:
        """Whose token this is; None when it is not ours, has ended or was revoked."""
        claims = self._signer.verify(token, AUDIENCE, self._signer.issuer)
        if claims is None:
            return None
        user_id = f"8:{claims.get('skypeid')}"
        user = self._users.get(user_id)
        return user_id if user is not None and claims.get("jti") in user.tokens else None

    def _find(self, user_id: str) -> _User:
        if not user_id.startswith(self._prefix) or len(user_id) > 256:
            raise RestError(403, "Forbidden", "The identity does not belong to this resource.")
        user = self._users.setdefault(user_id, _User())
        if user.deleted:
            raise RestError(404, "NotFound", "The identity was deleted.")
        return user

    @staticmethod
    def _request(scopes: object, minutes: object) -> tuple[list[str], int]:
        if (
            not isinstance(scopes, list)
            or not scopes
            or not all(scope in SCOPES for scope in map(str, scopes))
        ):
            raise invalid("scopes")
        if minutes is None:
            return [str(scope) for scope in scopes], LONGEST_MIN
        if isinstance(minutes, bool) or not isinstance(minutes, int):
            raise invalid("expiresInMinutes")
        if not SHORTEST_MIN <= minutes <= LONGEST_MIN:
            raise invalid("expiresInMinutes")
        return [str(scope) for scope in scopes], minutes

    def _token(self, user_id: str, user: _User, scopes: list[str], minutes: int) -> Json:
        token_id, now = uuid.uuid4().hex, self._now()
        user.tokens = {known: ends for known, ends in user.tokens.items() if ends > now}
        user.tokens[token_id] = ends = int(now) + minutes * 60
        claims = {
            "aud": AUDIENCE,
            "iss": self._signer.issuer,
            "jti": token_id,
            "skypeid": user_id.removeprefix("8:"),
            "scp": 1792,
            "acsScope": ",".join(scopes),
            "resourceId": self._prefix.removeprefix("8:acs:").rstrip("_"),
        }
        token = self._signer.sign(claims, minutes * 60)
        return {"token": token, "expiresOn": datetime.fromtimestamp(ends, UTC).isoformat()}
