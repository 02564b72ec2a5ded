"""What every store does, run on each of them."""

import random

import pytest

from shared.errors import EntityChanged, EntityExists, InvalidInput, StoreUnavailable
from shared.store import Entity
from tests.shared.store.contract import (
    BAD_KEYS,
    BAD_NAMES,
    BAD_TABLES,
    BAD_VALUES,
    GOOD_VALUES,
    ODD_KEYS,
    row,
)


async def rows(store, backend, **bounds):
    return [each.row for each in await store.query(backend.table, "p", **bounds)]


class TestGetAndInsert:
    async def test_nothing_is_there_at_the_start(self, store, backend):
        assert await store.get(backend.table, "p", "r") is None
        assert list(await store.query(backend.table, "p")) == []
        await store.delete(backend.table, "p", "r")

    async def test_what_was_inserted_is_read_again_with_its_etag(self, store, backend):
        etag = await store.insert(backend.table, row(text="a", number=1))
        found = await store.get(backend.table, "p", "r")
        assert found == Entity("p", "r", {"text": "a", "number": 1}, etag)
        assert etag

    async def test_an_entity_may_have_no_values(self, store, backend):
        await store.insert(backend.table, row())
        assert (await store.get(backend.table, "p", "r")).values == {}

    async def test_all_values_come_back_with_their_types(self, store, backend):
        given = {f"v{index}": value for index, value in enumerate(GOOD_VALUES.values())}
        await store.insert(backend.table, row(**given))
        (listed,) = await store.query(backend.table, "p")
        for found in (await store.get(backend.table, "p", "r"), listed):
            values = {name: found.values[f"v{index}"] for index, name in enumerate(GOOD_VALUES)}
            assert values == GOOD_VALUES
            assert {name: type(value) for name, value in values.items()} == {
                name: type(value) for name, value in GOOD_VALUES.items()
            }

    async def test_a_second_insert_is_refused_and_changes_nothing(self, store, backend):
        etag = await store.insert(backend.table, row(by="first"))
        with pytest.raises(EntityExists):
            await store.insert(backend.table, row(by="second"))
        assert await store.get(backend.table, "p", "r") == Entity("p", "r", {"by": "first"}, etag)

    async def test_an_etag_of_another_entity_does_not_matter_to_insert(self, store, backend):
        await store.insert(backend.table, Entity("p", "r", {}, "stale"))

    async def test_table_partition_and_row_keep_entities_apart(self, store, backend):
        places = [
            (backend.table, "p", "r"),
            (backend.table, "p", "R"),
            (backend.table, "P", "r"),
            (backend.table + "x", "p", "r"),
        ]
        for index, (table, partition, key) in enumerate(places):
            await store.insert(table, row(key, partition, index=index))
        found = [(await store.get(*place)).values["index"] for place in places]
        assert found == [0, 1, 2, 3]
        assert [each.values["index"] for each in await store.query(backend.table, "p")] == [1, 0]

    async def test_other_connections_see_it_at_once(self, backend):
        first, second = backend.open(), backend.open()
        etag = await first.insert(backend.table, row(a=1))
        assert (await second.get(backend.table, "p", "r")).etag == etag

    async def test_odd_keys_are_taken_literally(self, store, backend):
        for key in ODD_KEYS:
            etag = await store.insert(backend.table, row(key, key, key=key))
            etag = await store.replace(backend.table, Entity(key, key, {"key": key, "again": True}, etag))
            wanted = Entity(key, key, {"key": key, "again": True}, etag)
            assert await store.get(backend.table, key, key) == wanted
            assert list(await store.query(backend.table, key)) == [wanted]
        for key in ODD_KEYS:
            await store.delete(backend.table, key, key)
            assert await store.get(backend.table, key, key) is None

    @pytest.mark.filterwarnings(
        "ignore:Sending a large body:ResourceWarning"
    )  # aiohttp's advice to the Azure SDK
    async def test_a_big_entity(self, store, backend):
        values = {f"part{index}": "é" * 32_000 for index in range(15)}
        await store.insert(backend.table, row(**values))
        assert (await store.get(backend.table, "p", "r")).values == values

    async def test_many_properties(self, store, backend):
        values = {f"n{index}": index for index in range(250)}
        await store.insert(backend.table, row(**values))
        assert (await store.get(backend.table, "p", "r")).values == values


class TestReplace:
    async def test_all_values_are_replaced_and_the_etag_is_new(self, store, backend):
        first = await store.insert(backend.table, row(old=1, both="a"))
        second = await store.replace(backend.table, Entity("p", "r", {"both": "b"}, first))
        assert await store.get(backend.table, "p", "r") == Entity("p", "r", {"both": "b"}, second)
        assert first != second

    async def test_the_same_values_make_a_new_etag_too(self, store, backend):
        etags = [await store.insert(backend.table, row(a=1))]
        for _ in range(20):
            etags.append(await store.replace(backend.table, Entity("p", "r", {"a": 1}, etags[-1])))
        assert len(set(etags)) == len(etags)

    async def test_a_stale_etag_is_refused_and_nothing_is_changed(self, store, backend):
        stale = await store.insert(backend.table, row(a=1))
        fresh = await store.replace(backend.table, Entity("p", "r", {"a": 2}, stale))
        with pytest.raises(EntityChanged):
            await store.replace(backend.table, Entity("p", "r", {"a": 3}, stale))
        assert await store.get(backend.table, "p", "r") == Entity("p", "r", {"a": 2}, fresh)

    @pytest.mark.parametrize(
        "etag", ["", "*", "nonsense", "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""]
    )
    async def test_an_etag_that_was_never_given_matches_nothing(self, store, backend, etag):
        await store.insert(backend.table, row(a=1))
        with pytest.raises(EntityChanged):
            await store.replace(backend.table, Entity("p", "r", {"a": 2}, etag))
        with pytest.raises(EntityChanged):
            await store.delete(backend.table, "p", "r", etag=etag)
        assert (await store.get(backend.table, "p", "r")).values == {"a": 1}

    async def test_what_is_gone_cannot_be_replaced(self, store, backend):
        etag = await store.insert(backend.table, row(a=1))
        await store.delete(backend.table, "p", "r")
        with pytest.raises(EntityChanged):
            await store.replace(backend.table, Entity("p", "r", {"a": 2}, etag))
        assert await store.get(backend.table, "p", "r") is None

    async def test_an_etag_does_not_survive_delete_and_insert(self, store, backend):
        etag = await store.insert(backend.table, row(a=1))
        await store.delete(backend.table, "p", "r")
        await store.insert(backend.table, row(a=1))
        with pytest.raises(EntityChanged):
            await store.replace(backend.table, Entity("p", "r", {"a": 2}, etag))


class TestDelete:
    async def test_with_the_right_etag(self, store, backend):
        etag = await store.insert(backend.table, row())
        await store.delete(backend.table, "p", "r", etag=etag)
        assert await store.get(backend.table, "p", "r") is None

    async def test_with_a_stale_etag_it_stays(self, store, backend):
        stale = await store.insert(backend.table, row(a=1))
        await store.replace(backend.table, Entity("p", "r", {"a": 2}, stale))
        with pytest.raises(EntityChanged):
            await store.delete(backend.table, "p", "r", etag=stale)
        assert (await store.get(backend.table, "p", "r")).values == {"a": 2}

    async def test_what_is_gone_is_an_error_only_with_an_etag(self, store, backend):
        etag = await store.insert(backend.table, row())
        await store.delete(backend.table, "p", "r")
        await store.delete(backend.table, "p", "r")
        with pytest.raises(EntityChanged):
            await store.delete(backend.table, "p", "r", etag=etag)

    async def test_only_the_one_named_goes(self, store, backend):
        for key in "abc":
            await store.insert(backend.table, row(key))
        await store.delete(backend.table, "p", "b")
        assert await rows(store, backend) == ["a", "c"]

    async def test_it_can_be_inserted_again(self, store, backend):
        await store.insert(backend.table, row(a=1))
        await store.delete(backend.table, "p", "r")
        await store.insert(backend.table, row(a=2))
        assert (await store.get(backend.table, "p", "r")).values == {"a": 2}


class TestQuery:
    ORDERED = (
        "+1",
        "0",
        "00",
        "01",
        "1",
        "10",
        "2",
        "A",
        "Z",
        "_",
        "a",
        "a b",
        "aa",
        "b",
        "z",
        "~",
        "é",
        "世",
        "\uffee",
    )

    @pytest.fixture
    async def filled(self, store, backend):
        shuffled = list(self.ORDERED)
        random.Random(7).shuffle(shuffled)
        for key in shuffled:
            await store.insert(backend.table, row(key))
        await store.insert(backend.table, row("other", "q"))
        return store

    async def test_rows_come_in_the_order_of_code_points(self, filled, backend):
        assert list(self.ORDERED) == sorted(self.ORDERED)
        assert await rows(filled, backend) == list(self.ORDERED)

    @pytest.mark.parametrize(
        "bounds",
        ["a-", "-a", "0-2", "a-b", "~-\uffef", "z-a", "a-a", "between-bz", "!-~~", "é-世"],
    )
    async def test_bounds_are_exclusive(self, filled, backend, bounds):
        after, before = bounds.split("-")
        wanted = [key for key in self.ORDERED if key > after and (not before or key < before)]
        assert await rows(filled, backend, after=after, before=before) == wanted

    @pytest.mark.parametrize("limit", [1, 2, len(ORDERED) - 1, len(ORDERED), 1000])
    async def test_limit_takes_the_first(self, filled, backend, limit):
        assert await rows(filled, backend, limit=limit) == list(self.ORDERED[:limit])
        assert await rows(filled, backend, after="1", limit=limit) == list(self.ORDERED[5 : 5 + limit])

    async def test_walking_with_after_visits_every_row_once(self, filled, backend):
        seen = [""]
        while page := await rows(filled, backend, after=seen[-1], limit=4):
            seen += page
        assert seen[1:] == list(self.ORDERED)

    async def test_a_bound_cannot_break_out_of_the_query(self, filled, backend):
        assert await rows(filled, backend, after="a' or RowKey gt '", before="a'' or '' eq ''") == []

    @pytest.mark.parametrize(
        "bounds", [{"limit": 0}, {"limit": -1}, {"limit": 10_001}, {"after": "a/b"}, {"before": "a\n"}]
    )
    async def test_wrong_bounds_are_named(self, store, backend, bounds):
        with pytest.raises(InvalidInput) as caught:
            await store.query(backend.table, "p", **bounds)
        assert caught.value.field == next(iter(bounds))

    async def test_more_than_one_page_of_the_service(self, store, backend):
        if backend.name == "sqlite":
            pytest.skip("SQLite has no pages")
        # 1,000 rows are one answer of the service; the table is filled in transactions, which the store does not need
        client = store._service.get_table_client(backend.table)
        await client.create_table()
        for start in range(0, 1100, 100):
            await client.submit_transaction(
                [
                    ("create", {"PartitionKey": "p", "RowKey": f"{number:04}"})
                    for number in range(start, start + 100)
                ]
            )
        assert await rows(store, backend, limit=1050) == [f"{number:04}" for number in range(1050)]
        assert len(await rows(store, backend)) == 1000


class TestWhatIsRefused:
    """Wrong keys and values are named in the same way by both stores, and nothing is sent."""

    @staticmethod
    def calls(store, table, entity):
        return {
            "get": lambda: store.get(table, entity.partition, entity.row),
            "insert": lambda: store.insert(table, entity),
            "replace": lambda: store.replace(table, entity),
            "delete": lambda: store.delete(table, entity.partition, entity.row),
            "query": lambda: store.query(table, entity.partition),
        }

    async def refused(self, store, table, entity, field, names):
        for name in names:
            with pytest.raises(InvalidInput) as caught:
                await self.calls(store, table, entity)[name]()
            assert caught.value.field == field

    @pytest.mark.parametrize("table", BAD_TABLES)
    async def test_tables(self, store, table):
        await self.refused(store, table, row(), "table", ["get", "insert", "replace", "delete", "query"])

    @pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
    async def test_keys(self, store, backend, key):
        entity = Entity("p", key, {}, 'W/"x"')
        await self.refused(store, backend.table, entity, "row", ["get", "insert", "replace", "delete"])
        entity = Entity(key, "r", {}, 'W/"x"')
        await self.refused(
            store, backend.table, entity, "partition", ["get", "insert", "replace", "delete", "query"]
        )

    @pytest.mark.parametrize("value", BAD_VALUES.values(), ids=BAD_VALUES)
    async def test_values(self, store, backend, value):
        await self.refused(store, backend.table, row(ok=1, bad=value), "values.bad", ["insert", "replace"])

    @pytest.mark.parametrize("name", BAD_NAMES)
    async def test_names(self, store, backend, name):
        await self.refused(store, backend.table, row(**{name: 1}), f"values.{name}", ["insert", "replace"])

    async def test_too_much(self, store, backend):
        many = row(**{f"n{index}": index for index in range(251)})
        big = row(**{f"n{index}": "x" * 32_000 for index in range(16)})
        for entity in (many, big):
            await self.refused(store, backend.table, entity, "values", ["insert", "replace"])


class TestClose:
    async def test_it_may_be_closed_twice_and_unused(self, backend):
        store = backend.open()
        await store.close()
        await store.close()

    async def test_a_closed_store_says_so(self, backend):
        store = backend.open()
        await store.insert(backend.table, row())
        await store.close()
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.get(backend.table, "p", "r")

    async def test_what_was_stored_outlives_the_store(self, backend):
        store = backend.open()
        etag = await store.insert(backend.table, row(a=1))
        await store.close()
        assert await backend.open().get(backend.table, "p", "r") == Entity("p", "r", {"a": 1}, etag)
