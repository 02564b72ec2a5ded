import asyncio
import logging

import pytest
from aiohttp import web

from shared import application
from shared.application import Application
from shared.errors import ConfigurationError
from tests.support.acs_rest import AcsRest
from tests.support.call_world import Clock, Signer, environment


class TestHealth:
    async def test_ok_and_no_word_more(self, world):
        reply = await world.app.health()
        assert (reply.status, reply.body) == (200, b'{"status":"ok"}')

    async def test_degraded_and_no_word_more(self, world):
        world.fail_store(1, "calls")
        reply = await world.app.health()
        assert (reply.status, reply.body) == (503, b'{"status":"degraded"}')


class TestTriggers:
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
            await app.fetcher.fetch(f"http://127.0.0.1:{port}/calling/keys")
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
