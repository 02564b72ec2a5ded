"""`python -m tests.http_api.schemathesis [-n EXAMPLES] [options of `schemathesis run`]`: generated requests to a running app.

Every operation of /api/openapi.json, all checks, examples, coverage, fuzzing and stateful phases, over HTTP against our Functions
host with a real store; a stub takes the place of ACS. 200 examples per operation unless `-n` says otherwise; the tests run a
small version (test_schemathesis.py). The exit code is that of schemathesis; the end of the app's log is shown if it is not 0.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from cli.processes import ROOT, Child, free_port
from cli.stack import answers
from shared.calls.admission import Heartbeat, write_heartbeat
from shared.security.tenants import TenantDoor
from shared.store import open_store
from shared.transfers.numbers import NumberPool
from tests.support.acs_rest import AcsRest
from tests.support.call_world import environment

NUMBERS = 500
"""In the pool: no transfer of a run finds it empty, which would be a 503."""

CONFIG = """
agents:
  reception: {kind: embedded, dialogue: d.yaml}
routes:
  - {name: desk, to: ["+18005550000"], agent: reception}
tenants:
  default:
    max_concurrent_calls: 100000
    agents: [reception]
    outbound: {countries: [US], caller_ids: ["+18005550000"], calls_per_minute: 1000}
call_transfers:
  default: {agent: reception, lifetime_s: 600, acs_user: "8:acs:r_agent"}
twilio:
  default: {account_sid: AC00000000000000000000000000000001, auth_token: "env:SCHEMATHESIS_TWILIO_TOKEN", agent: reception}
"""

SETTINGS = """
headers = {{ api-id = "{id}", api-secret = "{secret}" }}

[checks.positive_data_acceptance]
# What is right in form may still be refused: no numbers in that country, not this tenant's number, not offered.
expected-statuses = [200, 202, 401, 403, 404, 409, 422]

[checks.negative_data_rejection]
# Also for its size alone.
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 431]

[[operations]]
include-operation-id = "create_call"
# Few numbers of the right form can exist, and the agent must be one of patchcord.yaml.
checks.positive_data_acceptance.expected-statuses = [202, 400, 403, 409]

[[operations]]
include-tag = "Event Grid"
# A delivery is judged event by event: one that is wrong costs the others nothing, and its own type says what it needs.
checks.positive_data_acceptance.expected-statuses = [200, 400, 401]
checks.negative_data_rejection.enabled = false

[[operations]]
include-operation-id = "call_events"
# Nobody but ACS can sign, so everything is 401.
checks.positive_data_acceptance.enabled = false
"""


async def run(options: Sequence[str], folder: Path) -> int:
    """Run schemathesis with `options`; everything is written in `folder`."""
    async with AcsRest() as acs:
        env = environment(folder, acs) | {"PATCHCORD_ENVIRONMENT": "local", "PATCHCORD_LOG_LEVEL": "warning"}
        env["SCHEMATHESIS_TWILIO_TOKEN"] = "a token that signs nothing here"
        (folder / "patchcord.yaml").write_text(CONFIG)
        store = open_store(env["PATCHCORD_STORE"])
        credentials = await TenantDoor(store, "local", time.time).issue("default")
        pool = NumberPool(store, time.time)
        for number in range(NUMBERS):
            await pool.add(f"+1800555{1000 + number}", "US")
        beating = asyncio.create_task(_beat(store))
        port = free_port()
        arguments = ["--app", str(ROOT), "--port", str(port), "--keys", str(folder / "functions.json")]
        app = Child("function app", "emulator.functions_host", arguments, env, folder / "app.log")
        base = f"http://127.0.0.1:{port}"
        settings = folder / "schemathesis.toml"
        settings.write_text(SETTINGS.format(id=credentials.api_id, secret=credentials.api_secret))
        try:
            await app.start(lambda: answers(f"{base}/api/health"), 60)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings)),
                *("run", f"{base}/api/openapi.json", "--url", base, *options),
                cwd=folder,
            )
            code = await process.wait()
        finally:
            beating.cancel()
            await app.stop()
            await store.close()
    if code:
        print((folder / "app.log").read_text()[-5000:], file=sys.stderr)
    return code


async def _beat(store) -> None:
    """A media host that has room."""
    while True:
        await write_heartbeat(store, Heartbeat("host-a", 0, 100_000, False, time.time()))
        await asyncio.sleep(1)


def main(argv: Sequence[str]) -> int:
    """Run the command; returns the exit code."""
    examples = [] if {"-n", "--max-examples"} & {*argv} else ["-n", "200"]
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(run([*examples, *argv], Path(folder)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
