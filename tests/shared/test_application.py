import asyncio
import json
import logging

import pytest
from aiohttp import web

from shared import application
from shared.application import Application
from shared.errors import ConfigurationError, KeysUnavailable, StoreUnavailable
from shared.http import request
from tests.support.acs_rest import AcsRest
from tests.support.call_world import Clock, Signer, environment, open_world


def asked(credentials=None, body=b"", **params):
    headers = {"api-id": credentials.api_id, "api-secret": credentials.api_secret} if credentials else {}
    return request("req-5", headers, body, params)


async def poison(world):
    return [row.values for row in await world.store.query("poison", "events")]


class TestReading:
    async def test_a_tenant_reads_its_calls(self, world):
        record = await world.answered()
        credentials = await world.app.door.issue("default")
        reply = await world.app.list_calls(asked(credentials))
        [listed] = json.loads(reply.body)["calls"]
        assert (reply.status, listed["callId"], listed["state"]) == (200, record.call_id, "answered")
        reply = await world.app.get_call(record.call_id, asked(credentials))
        assert json.loads(reply.body) == json.loads(json.dumps(record.to_json()))

    async def test_another_tenants_call_is_like_none(self, world):
        record = await world.answered()
        theirs = await world.answered("+18005550002", correlation="corr-2")
        globex = await world.app.door.issue("globex")
        other = await world.app.get_call(record.call_id, asked(globex))
        none = await world.app.get_call("c-unknown", asked(globex))
        assert other == none
        assert (other.status, json.loads(other.body)["error"]["code"]) == (404, "404-01")
        [listed] = json.loads((await world.app.list_calls(asked(globex))).body)["calls"]
        assert listed["callId"] == theirs.call_id
        own = await world.app.get_call(theirs.call_id, asked(globex))
        assert own.status == 200

    async def test_without_credentials_nothing_is_read(self, world):
        record = await world.answered()
        assert (await world.app.list_calls(asked())).status == 401
        assert (await world.app.get_call(record.call_id, asked())).status == 401

    async def test_credentials_of_another_environment_do_not_hold(self, tmp_path, monkeypatch):
        async with open_world(tmp_path, monkeypatch, PATCHCORD_ENVIRONMENT="sandbox") as world:
            sandbox = await world.app.door.issue("default")
        async with open_world(tmp_path, monkeypatch, PATCHCORD_ENVIRONMENT="production") as world:
            assert (await world.app.list_calls(asked(sandbox))).status == 401

    @pytest.mark.parametrize("limit", ["1", "500"])
    async def test_limits(self, world, limit):
        credentials = await world.app.door.issue("default")
        assert (await world.app.list_calls(asked(credentials, limit=limit))).status == 200

    @pytest.mark.parametrize("limit", ["0", "501", "-1", "", "x", "1e2", "٣", "0000000019999"])
    async def test_wrong_limits(self, world, limit):
        credentials = await world.app.door.issue("default")
        assert (await world.app.list_calls(asked(credentials, limit=limit))).status == 400

    async def test_the_list_has_so_many(self, world):
        for i in range(3):
            await world.answered(correlation=f"c{i}")
            world.clock.at += 1
            await world.host()
        credentials = await world.app.door.issue("default")
        reply = await world.app.list_calls(asked(credentials, limit="2"))
        assert len(json.loads(reply.body)["calls"]) == 2

    async def test_a_get_has_no_body(self, world):
        assert (await world.app.list_calls(asked(body=b"x"))).status == 413


class TestHealth:
    async def test_ok_and_no_word_more(self, world):
        reply = await world.app.health()
        assert (reply.status, reply.body) == (200, b'{"status":"ok"}')

    async def test_degraded_and_no_word_more(self, world):
        world.fail_store(1, "calls")
        reply = await world.app.health()
        assert (reply.status, reply.body) == (503, b'{"status":"degraded"}')


class TestTriggers:
    @pytest.mark.parametrize(
        "event",
        [
            {},
            {"id": "x", "eventType": "Microsoft.Communication.IncomingCall"},
            {"id": None, "eventType": 7},
        ],
    )
    async def test_a_malformed_event_is_put_aside_and_done(self, world, event):
        assert await world.app.incoming_call(event, "r") is None
        [row] = await poison(world)
        assert row["reason"] == "malformed"
        assert world.acs.requests == []

    async def test_a_call_without_a_context_is_put_aside(self, world):
        await world.host()
        await world.app.incoming_call(world.incoming(incomingCallContext=""), "r")
        [row] = await poison(world)
        assert "data.incomingCallContext" in row["detail"]
        assert world.acs.requests == []

    async def test_a_mistake_of_ours_is_put_aside_and_done(self, world, monkeypatch, caplog):
        async def broken(*_, **__):
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(type(world.app.answering), "incoming", broken)
        await world.app.incoming_call(world.incoming(), "r")
        [row] = await poison(world)
        assert (row["reason"], row["detail"]) == ("internal", "ZeroDivisionError")

    async def test_a_lasting_fault_is_put_aside_by_its_code(self, world, monkeypatch):
        async def refuse(*_, **__):
            raise ConfigurationError("X", "y")

        monkeypatch.setattr(type(world.app.answering), "incoming", refuse)
        await world.app.incoming_call(world.incoming(), "r")
        assert [row["reason"] for row in await poison(world)] == ["500-02"]

    async def test_the_same_bad_event_is_put_aside_once(self, world):
        for _ in range(3):
            await world.app.incoming_call({"id": "x"}, "r")
        assert len(await poison(world)) == 1

    async def test_if_it_cannot_even_be_put_aside_it_is_delivered_again(self, world):
        world.fail_store(1, "poison")
        with pytest.raises(StoreUnavailable):
            await world.app.incoming_call({"id": "x"}, "r")

    async def test_other_events_are_reported(self, world, caplog):
        event = {**world.incoming(), "eventType": "Microsoft.Communication.CallStarted"}
        with caplog.at_level(logging.INFO, "shared.calls.lifecycle"):
            await world.app.incoming_call(event, "r")
            await world.app.call_lifecycle(event)
            await world.app.call_lifecycle({"id": "bad"})
        assert caplog.text.count("call corr-1") == 2
        assert world.acs.requests == []

    async def test_the_sweep_says_what_it_did(self, world, caplog):
        with caplog.at_level(logging.INFO, "shared.application"):
            await world.app.sweep()
            assert "sweep" not in caplog.text
            await world.calls.watch("default", "c0")
            world.clock.at += 200
            await world.app.sweep()
        assert "unwatched 1" in caplog.text


class Vault:
    """Two key vault secrets' place."""

    def __init__(self, text):
        self.text, self.saved = text, []

    async def load(self):
        return self.text

    async def save(self, text):
        self.text = text
        self.saved.append(text)

    async def close(self):
        pass


class TestRotation:
    def near_expiry(self, name="signing", vault="kv", kind="Microsoft.KeyVault.SecretNearExpiry"):
        return {
            "id": "k-1",
            "eventType": kind,
            "subject": name,
            "eventTime": "2027-01-15T08:00:00Z",
            "data": {"VaultName": vault, "ObjectType": "Secret", "ObjectName": name},
        }

    @pytest.fixture
    async def vault(self, world, tmp_path):
        from dataclasses import replace

        signing = Vault((tmp_path / "signing.json").read_text())
        world.app.signing, world.app.verification = (
            signing,
            Vault((tmp_path / "verification.json").read_text()),
        )
        world.app.settings = replace(
            world.app.settings,
            signing_keys="https://kv.vault.azure.net/secrets/signing",
            verification_keys="https://kv.vault.azure.net/secrets/public",
        )
        world.clock.at += 86_400
        return signing

    async def test_our_secrets_are_rotated_once(self, world, vault):
        assert await world.app.rotate_signing_keys(self.near_expiry())
        assert not await world.app.rotate_signing_keys(self.near_expiry("public", "KV"))
        assert len(vault.saved) == 1

    @pytest.mark.parametrize(
        "change",
        [{"name": "other"}, {"vault": "foreign"}, {"kind": "Microsoft.KeyVault.SecretExpired"}],
    )
    async def test_other_secrets_are_not(self, world, vault, change):
        assert not await world.app.rotate_signing_keys(self.near_expiry(**change))
        assert vault.saved == []

    async def test_a_malformed_event_is_not(self, world, vault):
        assert not await world.app.rotate_signing_keys({})

    async def test_a_vault_that_is_away_is_raised(self, world, vault, monkeypatch):
        async def away():
            raise KeysUnavailable("away")

        monkeypatch.setattr(vault, "load", away)
        with pytest.raises(KeysUnavailable):
            await world.app.rotate_signing_keys(self.near_expiry())


class TestOpening:
    async def test_local_keys_are_made_and_kept(self, tmp_path):
        async with AcsRest() as acs:
            env = environment(tmp_path, acs)
            first = await Application.open(env, now=Clock())
            made = (tmp_path / "signing.json").read_text()
            second = await Application.open(env, now=Clock())
            assert (tmp_path / "signing.json").read_text() == made
            assert '"d"' not in (tmp_path / "verification.json").read_text()
            for app in (first, second):
                await app.close()
                await app.close()

    async def test_our_own_log_has_the_level_of_the_setting(self, tmp_path, monkeypatch):
        ours = logging.getLogger("shared")
        monkeypatch.setattr(ours, "level", ours.level)  # put back afterwards
        async with AcsRest() as acs:
            for level in ("warning", "debug"):
                app = await Application.open(environment(tmp_path, acs) | {"PATCHCORD_LOG_LEVEL": level})
                await app.close()
                assert logging.getLevelName(ours.getEffectiveLevel()) == level.upper()

    async def test_vault_keys_are_never_made_here(self, tmp_path):
        async with AcsRest() as acs:
            env = environment(tmp_path, acs)
            env["PATCHCORD_SIGNING_KEYS"] = "https://kv.vault.azure.net/secrets/signing"
            app = await Application.open(env)
            await app.close()
        assert not (tmp_path / "signing.json").exists()

    @pytest.mark.parametrize("name", ["PATCHCORD_STORE", "CALLBACK_EVENTS_URI", "PATCHCORD_CONFIG"])
    async def test_what_is_wrong_is_named(self, tmp_path, name):
        async with AcsRest() as acs:
            env = environment(tmp_path, acs) | {name: "nonsense"}
        with pytest.raises(ConfigurationError, match=name):
            await Application.open(env)

    async def test_acs_keys_come_over_one_session(self, tmp_path):
        served = []

        async def jwks(_):
            served.append(1)
            return web.Response(text=signer.jwks())

        clock = Clock()
        signer = Signer(clock)
        site_app = web.Application()
        site_app.router.add_get("/calling/keys", jwks)
        runner = web.AppRunner(site_app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        async with AcsRest() as acs:
            env = environment(tmp_path, acs) | {"ACS_JWKS_URL": f"http://127.0.0.1:{port}/calling/keys"}
            app = await Application.open(env, now=clock)
            for _ in range(2):
                await app.callbacks.signature.verify(signer.sign(), "default")
            await app.session.fetch(f"http://127.0.0.1:{port}/calling/keys")
            await app.close()
        await runner.cleanup()
        assert len(served) == 2

    async def test_one_application_per_process_and_a_failure_is_tried_again(self, monkeypatch):
        opened, closed = [], []

        class Opened:
            async def close(self):
                closed.append(self)

        async def open_it():
            opened.append(1)
            if len(opened) == 1:
                raise ConfigurationError("X", "y")
            return Opened()

        monkeypatch.setattr(Application, "open", open_it)
        monkeypatch.setattr(application, "_shared", [])
        monkeypatch.setattr(application, "_closing", [])
        with pytest.raises(ConfigurationError):
            await application.shared_application()
        first = await application.shared_application()
        assert await application.shared_application() is first
        assert len(opened) == 2
        # The end of the loop cancels what still runs.
        [closing] = application._closing
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
        assert closed == [first]
