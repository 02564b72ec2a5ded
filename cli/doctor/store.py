"""Link "store": write, read, and the conditional writes on which every race is settled."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from uuid import uuid4

from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.identity import TABLES
from shared.errors import ConfigurationError, EntityChanged, EntityExists, PatchcordError
from shared.store import Entity, EntityStore, open_store

TABLE, PARTITION = "doctor", "probe"
SLOW_MS = 500.0
"""A call makes a handful of writes before it is answered."""


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """One entity of our own: made, made again (refused), replaced, replaced by an old state (refused), found, deleted."""
    settings = exam.settings
    if none := exam.without("entities", "PATCHCORD_STORE"):
        yield none
        return
    address = settings.store
    path = Path(address.removeprefix("sqlite:"))
    if address.startswith("sqlite:") and not path.exists():
        yield broken(
            "entities",
            f"there is no {path} seen from here: nothing runs on it, or the folder is another",
            "start both processes in this folder, or: " + exam.subject.mend("PATCHCORD_STORE", "sqlite:PATH"),
        )
        return
    if address.startswith("https:") and TABLES in exam.no_token:
        yield unknown("entities", "no token for Table Storage, see identity")
        return
    try:
        store = open_store(address, settings.managed_identity)
        exam.store = store
        milliseconds = await _probe(store)
    except ConfigurationError as error:
        yield broken("entities", str(error), exam.subject.mend("PATCHCORD_STORE"))
    except PatchcordError as error:
        await _give_up(exam)
        yield broken("entities", str(error), _mend(exam, address))
    else:
        slow = milliseconds > SLOW_MS
        text = f"read, written, races refused; {milliseconds:.0f} ms for one operation"
        if slow and exam.is_public:
            yield broken("entities", text, "put the storage account into the region of the function app")
        else:
            yield ok("entities", text)
    if address.startswith("sqlite:") and exam.is_public:
        yield broken(
            "for several machines",
            "SQLite is one machine's, but CALLBACK_EVENTS_URI is a public address",
            exam.subject.mend("PATCHCORD_STORE", "https://ACCOUNT.table.core.windows.net")
            + " (fine on your own machine behind a tunnel)",
        )


def _mend(exam: Examination, address: str) -> str:
    if address.startswith("https:"):
        return "role Storage Table Data Contributor for who uses it, and the account's firewall: az role assignment create --help"
    if address.startswith("sqlite:"):
        return f"see that this user may write {address.removeprefix('sqlite:')} and its folder"
    return "start what PATCHCORD_STORE names (Azurite: npx azurite), or " + exam.subject.mend(
        "PATCHCORD_STORE"
    )


async def _give_up(exam: Examination) -> None:
    store, exam.store = exam.store, None
    if store is not None:
        await store.close()


async def _probe(store: EntityStore) -> float:
    """Milliseconds of one operation, on the average.

    Raises:
        PatchcordError: it does not answer, or does not refuse what it must.
    """
    row = f"probe-{uuid4().hex}"
    began = time.monotonic()
    first = await store.insert(TABLE, Entity(PARTITION, row, {"at": 1}))
    try:
        async with asyncio.timeout(30):
            if not await _refused(store.insert(TABLE, Entity(PARTITION, row, {"at": 2})), EntityExists):
                raise PatchcordError("it takes the same entity twice")
            await store.replace(TABLE, Entity(PARTITION, row, {"at": 3}, first))
            if not await _refused(
                store.replace(TABLE, Entity(PARTITION, row, {"at": 4}, first)), EntityChanged
            ):
                raise PatchcordError("it replaces an entity that has changed")
            found = await store.get(TABLE, PARTITION, row)
            if found is None or found.values["at"] != 3:
                raise PatchcordError("it does not give back what was written")
    except TimeoutError:
        raise PatchcordError("it did not answer within 30 s") from None
    finally:
        await store.delete(TABLE, PARTITION, row)
    return (time.monotonic() - began) * 1000 / 6


async def _refused(write: Awaitable[str], error: type[PatchcordError]) -> bool:
    try:
        await write
    except error:
        return True
    return False
