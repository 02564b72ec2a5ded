"""What only the Azure Tables store does: tries again, and knows its own writes when an answer was lost."""

import asyncio
import contextlib
import socket
import time
from urllib.parse import urlsplit

import pytest

from shared.errors import ConfigurationError, EntityChanged, EntityExists, InvalidInput, StoreUnavailable
from shared.store import Entity
from shared.store.tables import TablesStore
from tests.shared.store.contract import Backend, row
from tests.shared.store.faulty import FaultyTables, serve
from tests.support.azurite import connection_string
from tests.support.timing import patience

OPERATIONS = {
    "get": lambda store: store.get("calls", "p", "r"),
    "insert": lambda store: store.insert("calls", row()),
    "replace": lambda store: store.replace("calls", Entity("p", "r", {}, "W/\"datetime'2020'\"")),
    "delete": lambda store: store.delete("calls", "p", "r"),
    "query": lambda store: store.query("calls", "p"),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)


@contextlib.asynccontextmanager
async def opened(address, **options):
    store = TablesStore(address, **options)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def faulty(request):
    """Passes on to Azurite if the test has the mark."""
    if request.node.get_closest_marker("azurite") is None:
        return FaultyTables()
    parts = dict(part.split("=", 1) for part in request.getfixturevalue("azurite").split(";") if part)
    address = urlsplit(parts["TableEndpoint"])
    return FaultyTables(f"{address.scheme}://{address.netloc}")


@pytest.fixture
async def store(faulty):
    async with serve(faulty) as address, opened(address) as store:
        yield store


@pytest.fixture
def table():
    return Backend("tables", "").table


class TestNoAnswer:
    @every_operation
    async def test_nobody_is_there(self, operation):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        began = time.monotonic()
        async with opened(connection_string(f"http://127.0.0.1:{port}")) as store:
            with pytest.raises(StoreUnavailable, match="ServiceRequestError"):
                await operation(store)
        assert time.monotonic() - began < patience(5)

    @every_operation
    async def test_somebody_is_there_who_never_answers(self, operation, faulty):
        faulty.plan = ["mute"] * 9
        async with serve(faulty) as address, opened(address, timeout_s=0.1) as store:
            with pytest.raises(StoreUnavailable, match="in time"):
                await operation(store)
        assert len(faulty.seen) == 1

    async def test_one_request_may_not_use_up_all_the_time(self, faulty):
        faulty.plan = ["mute"] * 9
        async with (
            serve(faulty) as address,
            opened(address, timeout_s=patience(20), try_timeout_s=0.05) as store,
        ):
            with pytest.raises(StoreUnavailable):
                await store.get("calls", "p", "r")
        assert len(faulty.seen) == 3

    @every_operation
    @pytest.mark.parametrize("status", [408, 429, 500, 503, 504])
    async def test_a_passing_fault_is_tried_three_times(self, operation, status, store, faulty, monkeypatch):
        monkeypatch.setattr("shared.store.tables.RETRY_DELAYS_S", (0.001, 0.002))
        faulty.plan = [str(status)] * 9
        with pytest.raises(StoreUnavailable, match=str(status)) as caught:
            await operation(store)
        assert len(faulty.seen) == 3
        assert caught.value.retryable

    @every_operation
    @pytest.mark.parametrize("status", [401, 403])
    async def test_credentials_that_are_refused_are_not_tried_again(self, operation, status, store, faulty):
        faulty.plan = [str(status)] * 9
        with pytest.raises(StoreUnavailable, match=str(status)):
            await operation(store)
        assert len(faulty.seen) == 1

    @every_operation
    @pytest.mark.parametrize("status", [400, 413])
    async def test_what_the_service_calls_wrong_is_not_tried_again(self, operation, status, store, faulty):
        faulty.plan = [str(status)] * 9
        with pytest.raises(InvalidInput, match=str(status)):
            await operation(store)
        assert len(faulty.seen) == 1

    async def test_a_table_that_cannot_be_created(self, store, faulty):
        faulty.plan = ["404", "403"]
        with pytest.raises(StoreUnavailable, match="403"):
            await store.insert("calls", row())
        assert faulty.seen == ["POST", "POST"]


@pytest.mark.azurite
class TestTriesAgain:
    @pytest.mark.parametrize("fault", ["503", "drop", "lose"])
    async def test_each_operation_gets_through(self, store, faulty, table, fault):
        await store.insert(table, row("other"))
        faulty.plan = [fault]
        etag = await store.insert(table, row(a=1))
        faulty.plan = [fault]
        assert (await store.get(table, "p", "r")).etag == etag
        faulty.plan = [fault]
        etag = await store.replace(table, Entity("p", "r", {"a": 2}, etag))
        faulty.plan = [fault]
        assert [each.row for each in await store.query(table, "p")] == ["other", "r"]
        assert await store.get(table, "p", "r") == Entity("p", "r", {"a": 2}, etag)
        faulty.plan = [fault]
        await store.delete(table, "p", "r")
        assert await store.get(table, "p", "r") is None

    async def test_an_insert_whose_answer_was_lost_is_not_taken_for_a_lost_race(self, store, faulty, table):
        await store.insert(table, row("other"))
        faulty.seen.clear()
        faulty.plan = ["lose", "503"]
        etag = await store.insert(table, row(a=1))
        assert faulty.seen == ["POST", "POST", "POST", "GET"]
        assert await store.replace(table, Entity("p", "r", {"a": 2}, etag))

    async def test_an_insert_that_lost_the_race_while_it_was_retried(self, store, faulty, table, azurite):
        async with opened(azurite) as quicker:
            await quicker.insert(table, row(by="quicker"))
            faulty.plan = ["drop"]
            with pytest.raises(EntityExists):
                await store.insert(table, row(by="slower"))
            assert (await quicker.get(table, "p", "r")).values == {"by": "quicker"}

    async def test_a_replace_that_lost_the_race_while_it_was_retried(self, store, faulty, table, azurite):
        etag = await store.insert(table, row())
        async with opened(azurite) as quicker:
            await quicker.replace(table, Entity("p", "r", {"by": "quicker"}, etag))
            faulty.plan = ["drop"]
            with pytest.raises(EntityChanged):
                await store.replace(table, Entity("p", "r", {"by": "slower"}, etag))
            await quicker.delete(table, "p", "r")
            faulty.plan = ["503"]
            with pytest.raises(EntityChanged):
                await store.replace(table, Entity("p", "r", {"by": "slower"}, etag))

    async def test_racers_over_a_bad_line_have_one_winner(self, store, faulty, table):
        """Nobody wins twice, and no race is lost by everybody."""
        await store.insert(table, row("other"))
        for number in range(5):
            faulty.plan = ["lose", "503", "lose", "drop", "lose"]
            results = await asyncio.gather(
                *(store.insert(table, row(str(number), by=index)) for index in range(8)),
                return_exceptions=True,
            )
            found = await store.get(table, "p", str(number))
            winners = [index for index, each in enumerate(results) if isinstance(each, str)]
            assert winners == [found.values["by"]]
            assert {type(each) for each in results} == {str, EntityExists}

    async def test_the_id_of_a_write_is_not_among_the_values(self, store, table):
        await store.insert(table, row())
        assert (await store.get(table, "p", "r")).values == {}
        assert (await store.query(table, "p"))[0].values == {}

    async def test_a_table_that_was_deleted_under_way_is_made_again(self, store, table):
        await store.insert(table, row())
        await store._service.delete_table(table)
        assert await store.get(table, "p", "r") is None
        assert list(await store.query(table, "p")) == []
        await store.insert(table, row())


class TestAddress:
    async def test_the_identity_is_asked_for_an_https_address(self):
        async with opened("https://account.table.core.windows.net", managed_identity="client-id") as store:
            assert store._service.credential is store._credential

    @pytest.mark.parametrize(
        "address", ["AccountName=x;Secret", "TableEndpoint=http://127.0.0.1:1/x", "nonsense"]
    )
    def test_a_wrong_connection_string_is_not_shown(self, address):
        with pytest.raises(ConfigurationError) as caught:
            TablesStore(address)
        assert str(caught.value) == "PATCHCORD_STORE: expected a storage connection string"
