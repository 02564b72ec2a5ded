import asyncio
import json
import logging

import pytest

from shared.http import request
from tests.support.call_world import CONTEXT, open_world
from tests.support.timing import patience


@pytest.fixture
async def credentials(world):
    return await world.app.door.issue("default")


def asked(body, credentials=None, *, names=("api-id", "api-secret"), **headers):
    found = {key.replace("_", "-"): value for key, value in headers.items()}
    if credentials:
        found |= {names[0]: credentials.api_id, names[1]: credentials.api_secret}
    return request("req-9", found, body if isinstance(body, bytes) else json.dumps(body).encode())


async def post(world, *args, compatible=False, options=False, **kwargs):
    reply = await world.app.acs_events(asked(*args, **kwargs), options=options, compatible=compatible)
    return reply.status, json.loads(reply.body) if reply.body else reply.headers


def cloud(event):
    """The same event as a CloudEvent."""
    return {
        "id": event["id"],
        "source": "/subscriptions/x",
        "specversion": "1.0",
        "type": event["eventType"],
        "time": event["eventTime"],
        "data": event["data"],
    }


VALIDATION = {
    "id": "v-1",
    "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
    "eventTime": "2027-01-15T08:00:00Z",
    "subject": "",
    "data": {"validationCode": "512d38b6", "validationUrl": "http://169.254.169.254/validate"},
}
OTHER = {**VALIDATION, "id": "o-1", "eventType": "Microsoft.Communication.CallStarted", "data": {}}


@pytest.mark.parametrize("form", ["array", "object", "cloud"])
async def test_a_delivery_with_credentials_answers_the_call(world, credentials, form):
    await world.host()
    event = world.incoming()
    body = {"array": [event], "object": event, "cloud": cloud(event)}[form]
    assert await post(world, body, credentials) == (200, {"requestId": "req-9", "events": 1})
    assert len(world.acs.of("answer")) == 1
    assert (await world.calls.list("default"))[0].state == "answered"


BAD = {
    "none": lambda c: {},
    "no secret": lambda c: {"api-id": c.api_id},
    "no id": lambda c: {"api-secret": c.api_secret},
    "wrong secret": lambda c: {"api-id": c.api_id, "api-secret": "pcs_" + "A" * 43},
    "wrong id": lambda c: {"api-id": "pci_" + "0" * 16, "api-secret": c.api_secret},
    "empty": lambda c: {"api-id": "", "api-secret": ""},
    "doubled": lambda c: {"api-id": c.api_id, "api-secret": f"{c.api_secret},{c.api_secret}"},
    "doubled in another case": lambda c: {
        "api-id": c.api_id,
        "API-ID": c.api_id,
        "api-secret": c.api_secret,
    },
    "compatible names here": lambda c: {"asapp-api-id": c.api_id, "asapp-api-secret": c.api_secret},
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_without_good_credentials_nothing_happens(world, credentials, caplog, bad):
    await world.host()
    body = json.dumps([world.incoming()]).encode()
    with caplog.at_level(logging.DEBUG):
        reply = await world.app.acs_events(request("req-9", bad(credentials), body), options=False)
    assert reply.status == 401
    assert json.loads(reply.body) == {
        "error": {"requestId": "req-9", "code": "401-01", "message": "authentication failed"}
    }
    assert world.acs.requests == []
    assert await world.calls.list("default") == []
    assert CONTEXT not in caplog.text


async def test_credentials_come_before_the_body_is_read(world):
    assert (await post(world, b"not json"))[0] == 401
    assert (await post(world, [VALIDATION]))[0] == 401


async def test_another_tenants_credentials_do_not_reach_this_route(world):
    await world.host()
    globex = await world.app.door.issue("globex")
    status, _ = await post(world, [world.incoming()], globex)
    assert status == 200
    assert world.acs.requests == []
    assert [row.values["reason"] for row in await world.store.query("poison", "events")] == ["no_route"]
    await post(world, [world.incoming("+18005550002")], globex)
    assert len(world.acs.of("answer")) == 1
    assert len(await world.calls.list("globex")) == 1


async def test_on_the_compatible_path_both_names_serve_but_not_at_once(world, credentials):
    old = ("asapp-api-id", "asapp-api-secret")
    assert (await post(world, [OTHER], credentials, names=old, compatible=True))[0] == 200
    assert (await post(world, [OTHER], credentials, compatible=True))[0] == 200
    both = {old[0].replace("-", "_"): credentials.api_id, old[1].replace("-", "_"): credentials.api_secret}
    assert (await post(world, [OTHER], credentials, compatible=True, **both))[0] == 401
    assert (await post(world, [OTHER], compatible=True))[0] == 401


async def test_header_names_are_a_setting(tmp_path, monkeypatch):
    names = {"PATCHCORD_API_ID_HEADER": "asapp-api-id", "PATCHCORD_API_SECRET_HEADER": "asapp-api-secret"}
    async with open_world(tmp_path, monkeypatch, **names) as world:
        credentials = await world.app.door.issue("default")
        old = ("ASAPP-API-ID", "ASAPP-API-SECRET")
        assert (await post(world, [OTHER], credentials, names=old))[0] == 200
        assert (await post(world, [OTHER], credentials, names=old, compatible=True))[0] == 200
        assert (await post(world, [OTHER], credentials))[0] == 401


async def test_the_validation_handshake_wants_credentials(world, credentials):
    assert await post(world, [VALIDATION], credentials, aeg_event_type="SubscriptionValidation") == (
        200,
        {"validationResponse": "512d38b6"},
    )
    assert (await post(world, [VALIDATION], aeg_event_type="SubscriptionValidation"))[0] == 401


async def test_the_validation_handshake_without_credentials_is_a_setting(tmp_path, monkeypatch):
    async with open_world(tmp_path, monkeypatch, REQUIRE_HEADERS_ON_VALIDATION="false") as world:
        assert await post(world, [VALIDATION]) == (200, {"validationResponse": "512d38b6"})
        assert (await post(world, [OTHER]))[0] == 401
        assert (await post(world, [world.incoming()]))[0] == 401
        assert (await post(world, b"", options=True, webhook_request_origin="eventgrid.azure.net"))[0] == 200
        credentials = await world.app.door.issue("default")
        assert (await post(world, [OTHER], credentials))[0] == 200


@pytest.mark.parametrize(
    ("body", "header"),
    [
        ([VALIDATION, OTHER], "SubscriptionValidation"),
        ([OTHER], "SubscriptionValidation"),
        ([{**VALIDATION, "data": {}}], "SubscriptionValidation"),
    ],
)
async def test_a_validation_that_is_none_is_refused(world, credentials, body, header):
    assert (await post(world, body, credentials, aeg_event_type=header))[0] == 400


async def test_cloud_events_handshake(world, credentials):
    status, headers = await post(
        world, b"", credentials, options=True, webhook_request_origin="eventgrid.azure.net"
    )
    assert status == 200
    assert headers == {
        "allow": "POST, OPTIONS",
        "webhook-allowed-origin": "eventgrid.azure.net",
        "webhook-allowed-rate": "120",
    }


@pytest.mark.parametrize("origin", ["", "a b", "x\r\nset-cookie: y", "*", "https://a.b", "a" * 300])
async def test_a_strange_origin_is_not_echoed(world, credentials, origin):
    status, _ = await post(world, b"", credentials, options=True, webhook_request_origin=origin)
    assert status == 400


async def test_the_cloud_events_handshake_wants_credentials(world):
    assert (await post(world, b"", options=True, webhook_request_origin="eventgrid.azure.net"))[0] == 401


async def test_nothing_is_ever_fetched(world, credentials, monkeypatch):
    def no_session(*_):
        raise AssertionError("a request named an address, and it was fetched")

    monkeypatch.setattr("shared.security.jwks.JwksFetcher.fetch", no_session)
    await post(world, [VALIDATION], credentials)
    await post(
        world,
        b"",
        credentials,
        options=True,
        webhook_request_origin="a.b",
        webhook_request_callback="http://169.254.169.254/",
    )
    assert world.acs.requests == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "400-01"),
        (b"7", "400-01"),
        (b"[" * 20_000, "400-01"),
        ([{"id": "x"}], "400-01"),
        (["x"], "400-01"),
    ],
)
async def test_what_cannot_be_read_is_refused(world, credentials, body, code):
    status, answer = await post(world, body, credentials)
    assert (status, answer["error"]["code"]) == (400, code)


async def test_a_call_without_its_context_is_refused_by_its_own_code(world, credentials):
    await world.host()
    status, answer = await post(world, [world.incoming(incomingCallContext="")], credentials)
    assert (status, answer["error"]["code"]) == (400, "400-03")
    assert world.acs.requests == []
    [row] = await world.store.query("poison", "events")
    assert (row.values["eventId"], row.values["reason"]) == ("ev-1", "malformed")


async def test_one_bad_event_does_not_cost_the_others(world, credentials):
    await world.host()
    events = [world.incoming(correlation=f"c{i}", event_id=f"e{i}") for i in range(3)]
    status, _ = await post(world, [{"bad": 1}, *events, OTHER, {**events[0], "data": {}}], credentials)
    assert status == 200
    assert len(world.acs.of("answer")) == 3
    assert len(await world.store.query("poison", "events")) == 2


async def test_a_passing_fault_is_503_after_the_other_events_were_handled(world, credentials):
    await world.host()
    world.fail_store(1, "live")
    events = [world.incoming(correlation=f"c{i}", event_id=f"e{i}") for i in range(2)]
    reply = await world.app.acs_events(asked(events, credentials), options=False)
    assert (reply.status, reply.headers["retry-after"]) == (503, "2")
    assert [record.state for record in await world.calls.list("default")].count("answered") == 1
    assert (await world.app.acs_events(asked(events, credentials), options=False)).status == 200
    assert [record.state for record in await world.calls.list("default")] == ["answered", "answered"]


async def test_a_mistake_of_ours_costs_one_event_only(world, credentials, monkeypatch, caplog):
    incoming = type(world.app.answering).incoming

    async def stumble(self, event, **kwargs):
        if event.id == "e1":
            raise RuntimeError(CONTEXT)
        return await incoming(self, event, **kwargs)

    await world.host()
    monkeypatch.setattr(type(world.app.answering), "incoming", stumble)
    events = [world.incoming(correlation=f"c{i}", event_id=f"e{i}") for i in range(3)]
    assert (await post(world, events, credentials))[0] == 200
    assert len(world.acs.of("answer")) == 2
    [row] = await world.store.query("poison", "events")
    assert (row.values["eventId"], row.values["reason"]) == ("e1", "internal")
    assert CONTEXT not in str(row.values)


async def test_the_callers_of_a_batch_do_not_wait_for_each_other(world, credentials):
    await world.host()
    world.acs.hold = asyncio.Event()  # ACS keeps every answer back
    events = [world.incoming(correlation=f"c{i}", event_id=f"e{i}") for i in range(3)]
    delivery = asyncio.create_task(post(world, events, credentials))
    async with asyncio.timeout(patience(4)):
        while len(world.acs.of("answer")) < 3:
            await asyncio.sleep(0.01)
    world.acs.hold.set()
    assert (await delivery)[0] == 200


async def test_malformed_events_that_cannot_be_put_aside_are_delivered_again(world, credentials):
    world.fail_store(1, "poison")
    assert (await post(world, [{"bad": 1}], credentials))[0] == 503


async def test_a_lasting_fault_outside_the_event_ends_the_delivery(world, credentials, monkeypatch):
    from shared.errors import Forbidden

    async def refuse(*_, **__):
        raise Forbidden("no")

    monkeypatch.setattr(type(world.app.answering), "incoming", refuse)
    assert (await post(world, [world.incoming()], credentials))[0] == 403


async def test_other_events_are_acknowledged_and_logged_once(world, credentials, caplog):
    events = [
        {**OTHER, "id": f"x{i}", "eventType": f"Microsoft.Communication.{name}", "data": {"correlationId": 7}}
        for i, name in enumerate(
            "CallStarted CallEnded CallParticipantAdded CallParticipantRemoved UserDisconnected".split()
        )
    ]
    with caplog.at_level(logging.INFO, "shared.calls.lifecycle"):
        assert (await post(world, events, credentials))[0] == 200
    assert len(caplog.records) == 5
    assert world.acs.requests == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"x" * (1024 * 1024 + 1), {}, 413),
        (b"", {f"h{i}": "x" for i in range(101)}, 431),
        (b"", {"h": "x" * 40_000}, 431),
    ],
)
async def test_limits_come_before_credentials(world, body, headers, status):
    reply = await world.app.acs_events(request("req-9", headers, body), options=False)
    assert reply.status == status
    assert json.loads(reply.body)["error"]["code"] == f"{status}-01"
