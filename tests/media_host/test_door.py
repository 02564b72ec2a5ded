"""The closed door: every reason to be refused, each with a test that fails when its check is removed."""

import asyncio
import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from websockets.datastructures import Headers
from websockets.exceptions import InvalidMessage, InvalidStatus

from media_host.door import Entry
from shared.calls.admission import Heartbeat, write_heartbeat
from shared.calls.events import EventKind
from shared.errors import StoreUnavailable, TokenRejected
from shared.security.audiences import Audience
from shared.security.key_document import new_document, serialise
from tests.support.media_world import open_media_world
from tests.support.peers import RawPeer, upgrade_request


@pytest.fixture
async def world(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch) as world:
        yield world


async def refused(world, status=401, **dial):
    """The answer to one upgrade request."""
    with pytest.raises(InvalidStatus) as caught:
        await world.dial(**dial)
    assert caught.value.response.status_code == status
    assert world.agents == [] or len(world.agents) == 1
    return caught.value.response.body


def tampered(token, header=None, **claims):
    """The same token with other claims or another header, and the old signature."""
    head, body, signature = token.split(".")

    def encode(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    def decode(part):
        return json.loads(base64.urlsafe_b64decode(part + "=="))

    return f"{encode(decode(head) | (header or {}))}.{encode(decode(body) | claims)}.{signature}"


async def test_a_good_token_opens_the_door_and_the_record_says_so(world):
    call_id, _, _ = await world.talk()

    async def connected():
        return (await world.record(call_id)).media.connections

    await world.eventually(connected)
    record = await world.record(call_id)
    assert (record.media.host_id, record.call_connection_id) == ("host-a", "cc-1")


async def test_the_token_is_good_for_30_seconds_and_not_for_33(world):
    first, second = await world.call(), await world.call()
    tokens = await world.token(first), await world.token(second)
    world.offset += 29
    await world.dial(token=tokens[0])
    world.offset += 4
    await refused(world, token=tokens[1])


async def test_an_established_stream_outlives_its_token(world):
    _, line, agent = await world.talk()
    world.offset += 600
    frame = await line.speak()
    await world.eventually(lambda: agent.heard == [frame])


async def test_a_token_opens_one_connection(world):
    call_id = await world.call()
    token = await world.token(call_id)
    results = await asyncio.gather(*(world.dial(token=token) for _ in range(20)), return_exceptions=True)
    lines = [result for result in results if not isinstance(result, Exception)]
    assert len(lines) == 1
    assert {result.response.status_code for result in results if isinstance(result, InvalidStatus)} == {401}
    assert len(world.agents) == 1


async def test_a_replay_after_the_end_is_refused(world):
    call_id = await world.call()
    token = await world.token(call_id)
    line = await world.dial(token=token)
    await line.hang_up()
    await world.ended(call_id)
    await world.event(call_id, "gone", EventKind.DISCONNECTED, code=200, subCode=7000)
    await refused(world, token=token)
    await refused(world, call_id=call_id)  # even with a fresh one


@pytest.mark.parametrize(
    "spoil",
    ["none", "nonsense", "audience", "other key", "hs256", "alg none", "subject", "tenant", "kid", "long"],
)
async def test_what_is_no_token_of_ours(world, spoil):
    call_id, other = await world.call(), await world.call(tenant="globex")
    good = await world.token(call_id)
    claims = jwt.decode(good, options={"verify_signature": False})
    kid = jwt.get_unverified_header(good)["kid"]
    token = {
        "none": "x",
        "nonsense": "a.b.c",
        "audience": await world.token(call_id, Audience.ACS_CALLBACK),
        "other key": jwt.encode(claims, ed25519.Ed25519PrivateKey.generate(), "EdDSA", {"kid": kid}),
        "hs256": jwt.encode(claims, "k" * 32, "HS256", {"kid": kid}),
        "alg none": jwt.encode(claims, None, "none", {"kid": kid}),
        "subject": tampered(good, sub=other),
        "tenant": tampered(good, tenant="globex"),
        "kid": tampered(good, header={"kid": "../../etc"}),
        "long": good + "A" * 1500,
    }[spoil]
    assert await refused(world, token=token) == b"unauthorized\n"


async def test_a_removed_key_opens_nothing(world):
    token = await world.token(await world.call())
    (world.folder / "public.json").write_text(serialise(new_document(world.now())))
    await refused(world, token=token)


async def test_a_token_for_a_call_that_never_was_or_is_another_tenants(world):
    call_id = await world.call()
    await refused(world, token=await world.token("c000"))
    await refused(world, token=await world.token(call_id, tenant="globex"))


@pytest.mark.parametrize(
    "headers",
    [
        {"connection": "cc-2"},
        {"connection": ""},
        {"correlation": "corr-2"},
        {"signature": False},
        {"signature": "Bearer x.y.z"},
        {"signature": "Basic abc"},
    ],
)
async def test_acs_headers_must_fit_the_record(world, headers):
    call_id = await world.call()
    token = await world.token(call_id)
    assert await refused(world, token=token, headers=world.headers(**headers)) == b"unauthorized\n"
    await world.dial(token=token)  # and the refusal has not used up the token


async def test_a_foreign_signature(world):
    call_id = await world.call()
    signer, world.signer.key = (
        world.signer.key,
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    )
    headers = world.headers()
    world.signer.key = signer
    await refused(world, call_id=call_id, headers=headers)


@pytest.mark.parametrize("name", ["x-ms-call-connection-id", "x-ms-call-correlation-id", "authorization"])
async def test_a_header_given_twice_is_refused(world, name):
    call_id = await world.call()
    request = upgrade_request(f"/acs/{await world.token(call_id)}", **world.headers())
    request = request[:-2] + name.encode() + b": cc-2\r\n\r\n"
    peer = await RawPeer.dial(world.host.server.port)
    assert (await peer.http(request))[0] == 401
    await peer.close()


async def test_acs_may_dial_before_the_answer_is_recorded_and_binds_the_call(world):
    call_id = await world.call(answered=False)
    await world.dial(call_id)
    assert not await world.calls.bind_connection(call_id, "cc-2")
    assert await world.calls.bind_connection(call_id, "cc-1")


async def test_without_a_connection_id_nothing_is_bound(world):
    call_id = await world.call(answered=False)
    await refused(world, call_id=call_id, headers=world.headers(connection=""))
    assert await world.calls.bind_connection(call_id, "cc-1")


async def test_a_call_that_is_bound_to_another_connection(world):
    call_id = await world.call(answered=False)
    assert await world.calls.bind_connection(call_id, "cc-9")
    await refused(world, call_id=call_id)


async def test_without_acs_signatures_the_answer_is_waited_for(tmp_path, monkeypatch):
    from dataclasses import replace

    from shared.settings import AcsJwt

    async with open_media_world(tmp_path, monkeypatch, acs_jwt=AcsJwt(False, "", "", "")) as world:
        call_id = await world.call(answered=False)
        dialling = asyncio.create_task(world.dial(call_id, headers=world.headers(signature=False)))
        await asyncio.sleep(0.1)
        assert not dialling.done()
        await world.event(call_id, "answered", EventKind.ANSWERED, callConnectionId="cc-1", ms=5)
        await dialling
        other = await world.call(answered=False, correlationId="corr-1")
        token = await world.token(other)
        dialling = asyncio.create_task(refused(world, token=token, headers=world.headers(connection="cc-2")))
        await world.event(other, "answered", EventKind.ANSWERED, callConnectionId="cc-3", ms=5)
        await dialling
        assert replace(world.settings, capacity=1)


async def test_a_store_that_is_away_keeps_the_door_shut(world, monkeypatch):
    call_id = await world.call()
    token = await world.token(call_id)
    insert = world.host._store.insert

    async def fail(table, entity):
        if table == "jti":
            raise StoreUnavailable("away")
        return await insert(table, entity)

    monkeypatch.setattr(world.host._store, "insert", fail)
    await refused(world, 503, token=token)
    monkeypatch.undo()
    await world.dial(token=token)


# --- connecting again (design.md 4.4)


async def lost(world, *, host_id="host-b", age_s=60.0, **more):
    """A call whose audio another host carried, and its used, expired token."""
    call_id = await world.call()
    token = await world.token(call_id, **more)
    await world.event(
        call_id,
        "media-1",
        EventKind.MEDIA_CONNECTED,
        hostId=host_id,
        callConnectionId="cc-1",
        audioFormat="pcm24KMono",
        resumed=False,
    )
    beat = Heartbeat(host_id, 1, 10, False, world.now() - age_s)
    await write_heartbeat(world.store, beat)
    world.offset += 40
    return call_id, token


async def test_audio_of_a_dead_host_is_taken_over(world):
    call_id, token = await lost(world)
    await world.dial(token=token)
    await world.eventually(lambda: world.agents and world.agents[0].started.is_set())
    assert world.agents[0].start_args.resumed

    async def recorded():
        events = await world.events(call_id, EventKind.MEDIA_CONNECTED)
        return [event.data["resumed"] for event in events if event.data["hostId"] == "host-a"]

    assert await world.eventually(recorded) == [True]


async def test_a_take_over_that_broke_at_once_may_be_tried_again(world, monkeypatch):
    _, token = await lost(world)
    monkeypatch.setattr(world.host.server, "_enter", lambda connection, request, entry: connection.abort())
    with pytest.raises(InvalidMessage):
        await world.dial(token=token)
    monkeypatch.undo()
    world.offset += 2
    await world.dial(token=token)


async def test_of_two_hosts_one_takes_over(world):
    """The door alone, without this process's list of sessions, as if each request came to another host."""
    world.offset += 2 - (world.now() + 40) % 2
    _, token = await lost(world)
    checks = (world.host.server._door.check(token, Headers(world.headers())) for _ in range(5))
    results = await asyncio.gather(*checks, return_exceptions=True)
    assert [type(item) for item in results if not isinstance(item, TokenRejected)] == [Entry]


async def test_only_one_takes_over(world):
    world.offset += 2 - (world.now() + 40) % 2  # not across the border of two turns
    _, token = await lost(world)
    results = await asyncio.gather(*(world.dial(token=token) for _ in range(10)), return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1


async def test_after_our_own_line_broke_the_same_token_comes_back(world):
    call_id, line, _ = await world.talk()
    used = await world.token(call_id)
    await line.close()
    await world.ended(call_id)
    again = await world.dial(token=used, headers=world.headers())
    await again.close()
    await world.ended(call_id)
    world.offset += 40
    await world.dial(token=used)
    await world.eventually(lambda: len(world.agents) == 3)
    await world.eventually(world.agents[2].started.is_set)
    assert world.agents[2].start_args.resumed


@pytest.mark.parametrize("why", ["alive elsewhere", "settled", "ended", "no signature", "never connected"])
async def test_no_take_over(world, why):
    if why == "never connected":
        call_id = await world.call()
        token = await world.token(call_id)
        world.offset += 40
    else:
        call_id, token = await lost(world, age_s=-38 if why == "alive elsewhere" else 60)
    if why == "settled":
        await world.event(call_id, "outcome", EventKind.OUTCOME, transferType="SYSTEM", reason="goodbye")
    if why == "ended":
        await world.event(call_id, "gone", EventKind.DISCONNECTED, code=200, subCode=7000)
    await refused(world, token=token, headers=world.headers(signature=why != "no signature"))
    assert world.agents == []


async def test_no_replay_while_connected_here(world):
    call_id = await world.call()
    token = await world.token(call_id)
    await world.dial(token=token)

    async def connected():
        return (await world.record(call_id)).media.connections

    await world.eventually(connected)
    await refused(world, token=token)


async def test_nothing_secret_is_logged(world, caplog):
    caplog.set_level("DEBUG")
    call_id = await world.call()
    token = await world.token(call_id)
    line = await world.dial(token=token)
    await line.key("4")
    await refused(world, token=token)
    await line.hang_up()
    await world.ended(call_id)
    ours = [
        record.getMessage() for record in caplog.records if record.name.startswith(("media_host", "shared"))
    ]
    assert ours
    assert not [text for text in ours if token in text or token.split(".")[2] in text or "eyJ" in text]
