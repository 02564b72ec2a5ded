"""`patchcord doctor` against the whole of Patchcord on this machine: all well, and one mistake after the other."""

import io
import json
import logging
import time
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cli.doctor import events, media_host
from cli.doctor.command import LINKS, doctor, examine
from cli.doctor.finding import State
from cli.doctor.report import as_json, as_text, is_well
from cli.doctor.subject import from_address, from_run_file
from emulator.event_grid.filters import AdvancedFilter
from emulator.event_grid.subscriptions import Subscription
from tests.support.doctor_seeds import SEEDS
from tests.support.scan import find_secrets
from tests.support.stack import running_stack

pytestmark = pytest.mark.e2e


def broken_of(found):
    return {
        f"{link}/{one.check}": (one.found, one.mend)
        for link, some in found.items()
        for one in some
        if one.state is State.BROKEN
    }


async def test_each_misconfiguration_is_named_with_its_cure(tmp_path, monkeypatch):
    """One stack for all: starting it takes longer than everything that is asked of it."""
    problems = []
    async with running_stack(tmp_path / "stack", agent="emulated-openai") as stack:
        run_file = tmp_path / ".patchcord" / "run.json"
        stack.write_run_file(run_file)
        base = from_run_file(run_file)
        written = [await all_is_well(tmp_path, monkeypatch)]
        written += [await from_outside(stack), await a_tenants_own_resource(base, tmp_path)]
        for number, seed in enumerate(SEEDS):
            folder = tmp_path / str(number)
            folder.mkdir()
            found, scrub = await examine(
                seed.subject(base, folder), now=lambda s=seed: time.time() + s.ahead_s
            )
            broken = broken_of(found)
            if set(broken) != set(seed.broken):
                problems.append((seed.name, broken))
            else:
                text, mend = broken[seed.broken[0]]
                if seed.found not in text or seed.mend not in mend:
                    problems.append((seed.name, text, mend))
            written += [as_text("x", found, scrub), as_json("x", found, scrub, 0)]
        assert problems == []
        written += await subscriptions(stack, base)
        await nothing_was_left_behind(stack)
        written += await processes_that_stop(stack, base)
        secrets = [
            base.credentials["api-secret"],
            stack.control_key,
            stack.emulator.config.access_key,
            base.env["AZURE_ACS_CONN_KEY"],
            base.env["TWILIO_AUTH_TOKEN"],
            base.env["EMULATED_MODEL_KEY"],
            *(
                key["d"]
                for jwks in json.loads((stack.folder / "keys" / "signing.json").read_text()).values()
                for key in jwks["keys"]
            ),
        ]
    text = "\n".join(written)
    assert find_secrets(text, secrets) == []


async def all_is_well(tmp_path, monkeypatch):
    """The command as a whole: it finds `patchcord up`, and says that nothing is broken."""
    monkeypatch.chdir(tmp_path)
    level = logging.getLogger("media_host").level
    for as_program in (False, True):
        out = io.StringIO()
        arguments = Namespace(env=None, settings=None, deployment=None, json=as_program)
        code = await doctor(arguments, out)
        assert code == 0, out.getvalue()
    assert logging.getLogger("media_host").level == level, "quiet only as long as it looks"
    report = json.loads(out.getvalue())
    assert report["well"] is True
    assert list(dict.fromkeys(one["link"] for one in report["findings"])) == list(LINKS)
    states = {f"{one['link']}/{one['check']}": one["state"] for one in report["findings"]}
    assert {name for name, state in states.items() if state == "not checked"} == {
        "identity/tokens",
        "function app/from outside",
        "agents/reception-script",
        "numbers/known to ACS",
        "regions/data location and regions",
    }
    return out.getvalue()


async def from_outside(stack):
    """By its address alone: what strangers can see is well, the rest is not checked."""
    found, scrub = await examine(from_address(stack.functions_base))
    assert broken_of(found) == {}
    states = {f"{link}/{one.check}": one.state for link, some in found.items() for one in some}
    assert {name for name, state in states.items() if state is State.OK} >= {
        "function app/health",
        "function app/a forged callback",
        "function app/its own address",
        "events/handshake without credentials",
    }
    return as_text("x", found, scrub)


async def a_tenants_own_resource(base, tmp_path):
    """Two tenants with a resource of their own, one of them under a wrong id; both by the emulator's key."""
    config = yaml.safe_load(Path(base.env["PATCHCORD_CONFIG"]).read_text())
    endpoint, _, key = base.env["AZURE_ACS_CONN_KEY"].partition(";accesskey=")
    for tenant, resource_id in (("right", base.env["ACS_RESOURCE_ID"]), ("wrong", "another")):
        acs = {
            "endpoint": endpoint.removeprefix("endpoint="),
            "resource_id": resource_id,
            "key": "env:OWN_KEY",
        }
        config["tenants"][tenant] = {"acs": acs}
    path = tmp_path / "tenants.yaml"
    path.write_text(yaml.safe_dump(config))
    env = {**base.env, "PATCHCORD_CONFIG": str(path), "OWN_KEY": key}
    links = {name: LINKS[name] for name in ("settings", "patchcord.yaml", "ACS")}
    found, scrub = await examine(replace(base, env=env), links=links)
    broken = broken_of(found)
    assert set(broken) == {"ACS/resource id of wrong"}
    assert broken["ACS/resource id of wrong"][1].endswith(base.env["ACS_RESOURCE_ID"])
    return as_text("x", found, scrub)


async def subscriptions(stack, base):
    """Nobody subscribes; then somebody, to other numbers, and for ever."""
    links = {"settings": LINKS["settings"], "patchcord.yaml": LINKS["patchcord.yaml"], "events": events.check}
    stack.emulator.grid.unsubscribe("incoming-call")
    found, scrub = await examine(base, links=links)
    assert "nobody subscribes to IncomingCall" in broken_of(found)["events/subscription"][0]
    assert "start it again" in broken_of(found)["events/subscription"][1]
    await stack.emulator.subscribe(
        Subscription(
            name="others",
            endpoint=stack.webhook("incoming_call"),
            included_event_types=["Microsoft.Communication.IncomingCall"],
            filters=[AdvancedFilter("StringIn", "data.to.rawId", ["4:+18005550777"])],
        )
    )
    found, _ = await examine(base, links=links)
    broken = broken_of(found)
    assert set(broken) == {"events/filters", "events/retries"}
    assert broken["events/filters"][0] == "no filter lets through calls to +18005550000"
    assert "30 attempts within 1440 minutes" in broken["events/retries"][0]
    return [as_text("x", found, scrub)]


async def nothing_was_left_behind(stack):
    """Neither calls, nor credentials, nor entities, nor identities."""
    from shared.store import open_store

    store = open_store(stack.store_address)
    try:
        assert await store.query("calls", "default") == []
        assert [row.row for row in await store.query("credentials", "local")] == [stack.credentials["api-id"]]
        assert await store.query("doctor", "probe") == []
    finally:
        await store.close()
    operations = stack.emulator.operations
    assert operations["createIdentity", 201] == operations["deleteIdentity", 204] > 0


async def processes_that_stop(stack, base):
    """No function app; no media host."""
    links = {name: LINKS[name] for name in ("settings", "function app", "store")}
    links["media host"] = media_host.check
    await stack.functions.stop()
    await stack.media_hosts[0].stop()
    found, scrub = await examine(replace(base, set_with="in .env: {name}={value}"), links=links)
    broken = broken_of(found)
    assert set(broken) == {"function app/reached", "media host/reached"}
    assert "func start" in broken["function app/reached"][1]
    assert "python -m media_host" in broken["media host/reached"][1]
    assert not is_well(found)
    return [as_text("x", found, scrub)]
