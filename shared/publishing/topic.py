"""The Event Grid topic that we publish to, by Microsoft's own client."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.errors import InvalidInput, Unavailable
from shared.security.secrets import Secrets

if TYPE_CHECKING:
    from azure.core.credentials import AzureKeyCredential
    from azure.eventgrid.aio import EventGridPublisherClient
    from azure.identity.aio import DefaultAzureCredential

CONNECT_S, READ_S, RETRIES = 3, 10, 1
"""Nobody waits for a publication, and the sweep repeats it: few attempts, short ones."""

_NEVER = (400, 413)
"""Statuses that say that the events themselves are wrong."""


class TopicUnavailable(Unavailable):
    """The topic does not take events now: away, busy, or it does not let us in (which an operator can cure)."""


class EventRefused(InvalidInput):
    """The topic will never take this event."""


class Topic:
    """Sends events.

    Args:
        address: the topic's endpoint, `https://NAME.REGION-1.eventgrid.azure.net/api/events`.
        key: a reference to its access key (`shared.security.secrets`), or "" for the managed identity.
        secrets: reads the key; what it caches is fresh within ten minutes of a change.
        managed_identity: client id of the identity, or "" for whatever `DefaultAzureCredential` finds.
    """

    def __init__(self, address: str, key: str, secrets: Secrets, managed_identity: str = "") -> None:
        self._address = address
        self._key = key
        self._secrets = secrets
        self._managed_identity = managed_identity
        self._identity: DefaultAzureCredential | None = None
        self._credential: AzureKeyCredential | None = None
        self._client: EventGridPublisherClient | None = None

    async def send(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Publish CloudEvents in one request.

        Raises:
            TopicUnavailable: not now.
            EventRefused: never: one of them is wrong.
            ConfigurationError: there is no key by this reference.
            KeysUnavailable: the key cannot be read now.
        """
        from azure.core.exceptions import AzureError, HttpResponseError
        from azure.core.messaging import CloudEvent

        client = await self._opened()
        try:
            await client.send([CloudEvent.from_dict(dict(event)) for event in events])
        except HttpResponseError as error:
            if error.status_code in _NEVER:
                raise EventRefused(
                    "event", f"one that the topic takes (it said {error.status_code})"
                ) from None
            # Of a topic that is not there, the client keeps no status.
            said = error.status_code or type(error).__name__
            raise TopicUnavailable(f"the topic answered {said}") from None
        except AzureError as error:
            raise TopicUnavailable(f"the topic does not answer ({type(error).__name__})") from None

    async def _opened(self) -> "EventGridPublisherClient":
        key = await self._secrets.get(self._key) if self._key else ""
        if self._client is None:
            from azure.core.credentials import AzureKeyCredential
            from azure.eventgrid.aio import EventGridPublisherClient

            credential: Any
            if key:
                credential = self._credential = AzureKeyCredential(key)
            else:
                from azure.identity.aio import DefaultAzureCredential

                credential = self._identity = DefaultAzureCredential(
                    managed_identity_client_id=self._managed_identity or None
                )
            self._client = EventGridPublisherClient(
                self._address,
                credential,
                retry_total=RETRIES,
                connection_timeout=CONNECT_S,
                read_timeout=READ_S,
            )
        elif self._credential is not None:
            self._credential.update(key)
        return self._client

    async def close(self) -> None:
        """Give back connections; idempotent."""
        client, self._client = self._client, None
        identity, self._identity = self._identity, None
        if client is not None:
            await client.close()
        if identity is not None:
            await identity.close()
