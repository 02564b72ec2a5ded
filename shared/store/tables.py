"""The entity store in Azure Table Storage (or Azurite): for the cloud, any number of processes and machines.

Answers are told apart by status code, never by error code or text: Azurite leaves the code out (reference functions.md 6).

The SDK's own retries are off, because they cannot know that a write whose answer was lost has been carried out: the retry
would find its own entity and report a lost race that nobody won. Every write therefore carries an id of its own in the hidden
property `_write`, and a conflict that a repetition may have made is looked up before it is believed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.data.tables import EdmType, EntityProperty, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.errors import ConfigurationError, EntityChanged, EntityExists, InvalidInput, StoreUnavailable
from shared.store.checks import check_bounds, check_entity, check_key, check_table
from shared.store.entities import Entity, Value
from shared.telemetry import metrics

RETRY_DELAYS_S = (0.1, 0.4)
"""Pauses before the second and the third try (s)."""
_WRITE_ID = "_write"
_PAGE = 1000  # most entities of one answer of the service


class TablesStore:
    """An `EntityStore` in a storage account; tables are created when the first entity is inserted.

    Args:
        address: a storage connection string (also `UseDevelopmentStorage=true`), or `https://ACCOUNT.table.core.windows.net`.
        managed_identity: client id of the user-assigned identity for an https address, or "" for the default chain.
        timeout_s: how long one operation may take with all its tries (s).
        try_timeout_s: how long one request may take to connect or to answer (s).

    Raises:
        ConfigurationError: the connection string is not one (it is not shown).
    """

    def __init__(
        self, address: str, managed_identity: str = "", *, timeout_s: float = 10.0, try_timeout_s: float = 3.0
    ) -> None:
        self._timeout_s = timeout_s
        self._closed = False
        self._credential = None
        options: dict[str, Any] = {
            "retry_total": 0,
            "connection_timeout": try_timeout_s,
            "read_timeout": try_timeout_s,
        }
        if address.startswith("https://"):
            from azure.identity.aio import DefaultAzureCredential

            self._credential = DefaultAzureCredential(managed_identity_client_id=managed_identity or None)
            self._service = TableServiceClient(address, credential=self._credential, **options)
        else:
            try:
                self._service = TableServiceClient.from_connection_string(address, **options)
            except ValueError:
                raise ConfigurationError("PATCHCORD_STORE", "a storage connection string") from None

    async def get(self, table: str, partition: str, row: str) -> Entity | None:
        """The entity, or None (also when there is no such table yet)."""
        client = self._client(table)
        check_key("partition", partition)
        check_key("row", row)
        found = await self._run(lambda _: _read(client, partition, row))
        return None if found is None else _entity(found)

    async def insert(self, table: str, entity: Entity) -> str:
        """Insert if absent and return the new etag; raises EntityExists."""
        client = self._client(table)
        body = _body(entity)

        async def attempt(again: bool) -> str:
            try:
                return str((await self._create(client, body))["etag"])
            except HttpResponseError as error:
                if error.status_code != 409:
                    raise
            if again and (etag := await _etag_if_written(client, body)):
                return etag
            raise EntityExists(f"{table} already has this entity")

        return await self._run(attempt)

    async def replace(self, table: str, entity: Entity) -> str:
        """Replace all values if the etag still matches and return the new one; raises EntityChanged."""
        client = self._client(table)
        body = _body(entity)

        async def attempt(_: bool) -> str:
            try:
                done = await client.update_entity(
                    body, UpdateMode.REPLACE, etag=entity.etag, match_condition=MatchConditions.IfNotModified
                )
                return str(done["etag"])
            except HttpResponseError as error:
                if error.status_code not in (404, 412):
                    raise
            # Even on the first try: aiohttp sends a PUT again by itself when a kept-alive connection breaks.
            if etag := await _etag_if_written(client, body):
                return etag
            raise _changed(table)

        if not _is_etag(entity.etag):
            raise _changed(table)
        return await self._run(attempt)

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        """Delete; with `etag` only if it still matches (else EntityChanged, also when the answer to a first try was lost)."""
        client = self._client(table)
        check_key("partition", partition)
        check_key("row", row)
        if etag is not None and not _is_etag(etag):
            raise _changed(table)

        async def attempt(_: bool) -> None:
            status: list[int] = []  # the client hides a 404
            condition = MatchConditions.Unconditionally if etag is None else MatchConditions.IfNotModified
            try:
                await client.delete_entity(
                    partition,
                    row,
                    etag=etag,
                    match_condition=condition,
                    raw_response_hook=lambda response: status.append(response.http_response.status_code),
                )
            except HttpResponseError as error:
                if error.status_code != 412:
                    raise
            if etag is not None and status[-1:] != [204]:
                raise _changed(table)

        await self._run(attempt)

    async def query(
        self, table: str, partition: str, *, after: str = "", before: str = "", limit: int = 1000
    ) -> Sequence[Entity]:
        """Entities of one partition in the order of their row keys, `after` < row < `before`, at most `limit`."""
        client = self._client(table)
        check_key("partition", partition)
        check_bounds(after, before, limit)
        terms = [f"PartitionKey eq {_quoted(partition)}"]
        if after:
            terms.append(f"RowKey gt {_quoted(after)}")
        if before:
            terms.append(f"RowKey lt {_quoted(before)}")

        async def attempt(_: bool) -> list[Entity]:
            found: list[Entity] = []
            pages = client.query_entities(" and ".join(terms), results_per_page=min(limit, _PAGE))
            try:
                async for each in pages:
                    found.append(_entity(each))
                    if len(found) == limit:
                        break
            except HttpResponseError as error:
                if error.status_code != 404:
                    raise
            return found

        return await self._run(attempt)

    async def close(self) -> None:
        """Close the connections; idempotent. Later operations raise StoreUnavailable."""
        if self._closed:
            return
        self._closed = True
        await self._service.close()
        if self._credential is not None:
            await self._credential.close()

    def _client(self, table: str) -> TableClient:
        check_table(table)
        return self._service.get_table_client(table)

    async def _create(self, client: TableClient, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Insert; a 404 can only mean that the table is not there yet."""
        try:
            return await client.create_entity(body)
        except HttpResponseError as error:
            if error.status_code != 404:
                raise
        try:
            await client.create_table()
        except HttpResponseError as error:
            if error.status_code != 409:  # another process was quicker
                raise
        return await client.create_entity(body)

    async def _run[T](self, attempt: Callable[[bool], Awaitable[T]]) -> T:
        """The answer of `attempt(again)`, tried up to three times while the service does not answer properly."""
        if self._closed:
            raise StoreUnavailable("the store is closed")
        try:
            async with asyncio.timeout(self._timeout_s):
                for delay in RETRY_DELAYS_S:
                    try:
                        return await attempt(delay != RETRY_DELAYS_S[0])
                    except AzureError as error:
                        _raise_unless_passing(error)
                    await asyncio.sleep(delay)
                return await attempt(True)
        except TimeoutError:
            metrics.STORE_ERRORS.add(store="tables")
            raise StoreUnavailable("the table store did not answer in time") from None
        except AzureError as error:
            metrics.STORE_ERRORS.add(store="tables")
            raise StoreUnavailable(_described(error)) from error


def _described(error: AzureError) -> str:
    status = error.status_code if isinstance(error, HttpResponseError) else None
    return f"the table store does not answer: {type(error).__name__}, status {status or 'none'}"


def _raise_unless_passing(error: AzureError) -> None:
    """Let a fault that waiting may cure pass; raise what another try would only repeat."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    if status in (400, 413):
        raise InvalidInput("entity", f"something the table store accepts (it answered {status})") from error
    if status is not None and status < 500 and status not in (408, 429):
        metrics.STORE_ERRORS.add(store="tables")
        raise StoreUnavailable(_described(error)) from error


async def _read(client: TableClient, partition: str, row: str) -> Mapping[str, Any] | None:
    try:
        return await client.get_entity(partition, row)
    except HttpResponseError as error:
        if error.status_code != 404:
            raise
    return None


async def _etag_if_written(client: TableClient, body: Mapping[str, Any]) -> str | None:
    """The etag of the stored entity if it is the one of `body`: an earlier try was carried out after all."""
    found = await _read(client, body["PartitionKey"], body["RowKey"])
    if found is None or found.get(_WRITE_ID) != body[_WRITE_ID]:
        return None
    return _entity(found).etag


def _changed(table: str) -> EntityChanged:
    return EntityChanged(f"the entity in {table} has changed or is gone")


def _is_etag(etag: str) -> bool:
    """Whether the service can have given it; it answers 400 to another text, and `*` would match anything."""
    return etag.startswith('W/"')


def _quoted(key: str) -> str:
    return "'" + key.replace("'", "''") + "'"


def _body(entity: Entity) -> dict[str, Any]:
    body: dict[str, Any] = {
        "PartitionKey": entity.partition,
        "RowKey": entity.row,
        _WRITE_ID: uuid4().hex,
    }
    for name, value in check_entity(entity).items():
        body[name] = _typed(value)
    return body


def _typed(value: Value) -> Value | EntityProperty:
    """A plain int is Edm.Int32 for the SDK; what does not fit is marked as Int64."""
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        return EntityProperty(value, EdmType.INT64)
    return value


def _entity(found: Mapping[str, Any]) -> Entity:
    values = {
        name: value.value if isinstance(value, EntityProperty) else value
        for name, value in found.items()
        if name not in ("PartitionKey", "RowKey", _WRITE_ID)
    }
    metadata: Mapping[str, Any] = found.metadata  # type: ignore[attr-defined]  # the SDK says Mapping, it is a TableEntity
    return Entity(found["PartitionKey"], found["RowKey"], values, metadata["etag"])
