"""Who is let in, and to what: addresses, credentials and parameters of the handshake (realtime.md 1)."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from emulator.realtime.dialect import FLAT, GA, Dialect

AGENT = {
    "agent-name",
    "agent-project-name",
    "agent-version",
    "conversation-id",
    "agent-authentication-identity-client-id",
    "foundry-resource-override",
}
KNOWN = {
    "/v1/realtime": {"model"},
    "/openai/v1/realtime": {"model"},
    "/voice-live/realtime": {"api-version", "model", "x-ms-client-sdk"} | AGENT,
}


class Refused(Exception):
    """The handshake is answered by this status (HTTPStatus) and text."""

    def __init__(self, status: HTTPStatus, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class Guest:
    """Who was let in: the dialect of the address, and the model or the Foundry agent's name that was asked for."""

    dialect: Dialect
    model: str
    agent: str = ""
    project: str = ""
    conversation: str = ""


class Door:
    """Checks handshakes.

    Args:
        key: the resource's key; "" with `token` "" lets everybody in.
        token: an Entra token that is taken.
    """

    def __init__(self, key: str, token: str) -> None:
        self._key = key
        self._token = token

    def admit(self, target: str, headers: Mapping[str, str]) -> Guest:
        """Look at a request; `target` is its path with the query.

        Raises:
            Refused: 404 no such address, 401 credentials, 400 parameters.
        """
        parts = urlsplit(target)
        known = KNOWN.get(parts.path)
        if known is None:
            raise Refused(HTTPStatus.NOT_FOUND, "Resource not found")
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/openai/v1/realtime" and "api-version" in query:
            raise Refused(HTTPStatus.UNAUTHORIZED, "api-version is not for /openai/v1")
        agent = "agent-name" in query
        self._check(parts.path, headers, agent=agent)
        for name in query:
            if name not in known:
                raise Refused(HTTPStatus.BAD_REQUEST, f"Unknown query parameter: {name}")
        if parts.path != "/voice-live/realtime":
            return Guest(GA, self._needed(query, "model"))
        self._needed(query, "api-version")
        if not agent:
            return Guest(FLAT, self._needed(query, "model"))
        if "model" in query:
            raise Refused(HTTPStatus.BAD_REQUEST, "An agent has its own model")
        project = self._needed(query, "agent-project-name")
        return Guest(FLAT, "", query["agent-name"], project, query.get("conversation-id", ""))

    @staticmethod
    def _needed(query: Mapping[str, str], name: str) -> str:
        value = query.get(name, "")
        if not value:
            raise Refused(HTTPStatus.BAD_REQUEST, f"Missing query parameter: {name}")
        return value

    def _check(self, path: str, headers: Mapping[str, str], *, agent: bool) -> None:
        """OpenAI takes its key as a bearer token; Azure takes keys in `api-key` and Entra tokens as bearer; agents no keys."""
        if not (self._key or self._token):
            return
        bearer = headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = [(bearer, self._token)]
        if path == "/v1/realtime":
            wanted = [(bearer, self._key)]
        elif not agent:
            wanted.append((headers.get("api-key", ""), self._key))
        if not any(right and hmac.compare_digest(given.encode(), right.encode()) for given, right in wanted):
            raise Refused(HTTPStatus.UNAUTHORIZED, "Access denied due to invalid subscription key or token")
