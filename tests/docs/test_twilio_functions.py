"""docs/examples/twilio-functions under Node with Twilio's helper library, before a whole stack and behind the emulated Twilio."""

import asyncio
import json
import os
from contextlib import asynccontextmanager
from pathlib import Path

import jwt
import pytest

from cli.processes import free_port
from cli.stack import answers
from emulator.twilio.config import StudioFlow, TwilioNumber
from tests.support.node import node_modules
from tests.support.stack import running_stack, settled
from tests.support.timing import patience

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs/examples/twilio-functions"

DIRECT, FLOW = "+18005550010", "+18005550011"
SHUT_DIRECT, SHUT_FLOW = "+18005550012", "+18005550013"
PERSON, DESK = "+18005550199", "+18005550198"
DIALOGUE = """
name: desk
start: menu
no_match: bye
no_input: bye
listen: {no_input_ms: 60000}
vars: {accountTier: none}
states:
  menu: {say: "Tier {accountTier}.", keys: {"1": person, "2": done}}
  person: {say: Wait., barge_in: never, end: {outcome: AGENT, reason: asked_for_human, transfer: {topic: bill}}}
  done:
    say: Done.
    end: {outcome: SYSTEM, reason: done, reference: {tier: "{accountTier}"}, transfer: {größe: "“ß” 🙂"}}
  bye: {say: Bye., end: {outcome: SYSTEM, reason: goodbye}}
"""
CONFIG = """
agents:
  reception: {kind: embedded, dialogue: desk.yaml}
routes: [{name: reception, to: ["+18005550000"], agent: reception}]
twilio:
  default: {account_sid: AC00000000000000000000000000000001, auth_token: "env:TWILIO_AUTH_TOKEN", agent: reception}
"""
OVER = {"expect_hang_up": {"within_s": 60}}
TALKS = [{"listen": {"within_s": 30}}]


def test_the_package_names_what_the_functions_require():
    wanted = set(json.loads((EXAMPLE / "package.json").read_text())["dependencies"])
    for file in EXAMPLE.glob("*.js"):
        required = {line.split("'")[1] for line in file.read_text().splitlines() if "require(" in line}
        assert required == {"axios"} <= wanted  # `Twilio` is the runtime's


class Functions:
    """The functions as a service of Twilio's: a Node process."""

    def __init__(self, base: str, log: Path) -> None:
        self.base, self.log = base, log

    def told(self, path: str) -> list[str]:
        """What a function has answered so far."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line["body"] for line in lines if line["path"] == path]


@asynccontextmanager
async def functions(stack, name, **changed):
    """The functions with the stack's address and credentials, and nothing else of it."""
    port, log = free_port(), stack.folder / f"{name}.log"
    env = {
        "PATH": os.environ["PATH"],
        "NODE_PATH": str(node_modules(EXAMPLE / "package.json")),
        "TWILIO_AUTH_TOKEN": stack.emulator.config.twilio.auth_token,
        "ASAPP_API_HOST": stack.functions_base,
        "ASAPP_API_ID": stack.credentials["api-id"],
        "ASAPP_API_SECRET": stack.credentials["api-secret"],
        "HUMAN_NUMBER": PERSON,
        "STUDIO_RETURN_URL": stack.emulator.twilio.flow_address("desk") + "?FlowEvent=return",
        **changed,
    }
    command = ["node", str(ROOT / "tests/support/twilio_functions.cjs"), str(EXAMPLE), str(port)]
    with log.open("wb") as output:
        node = await asyncio.create_subprocess_exec(*command, env=env, stdout=output, stderr=output)
    try:
        base = f"http://127.0.0.1:{port}"
        async with asyncio.timeout(patience(20)):
            while not await answers(f"{base}/health"):
                assert node.returncode is None, log.read_text()
                await asyncio.sleep(0.05)
        yield Functions(base, log)
    finally:
        if node.returncode is None:
            node.terminate()
        await node.wait()
    text = log.read_text()
    assert "Error" not in text and env["ASAPP_API_SECRET"] not in text, text


async def dial(stack, to, *steps):
    """A whole call; returns its story and its summary."""
    call = await stack.emulator.dial({"line": "twilio", "to": to, "steps": [*TALKS, *steps]})
    async with asyncio.timeout(patience(60)):
        await call.ended()
    summary = call.summary()
    assert summary["failed"] is None, summary
    return call, summary


def verbs(call):
    return [event["verb"] for event in call.events if event["kind"] == "twiml"]


async def a_direct_number_to_a_person(stack, service):
    call, _ = await dial(stack, DIRECT, {"press": "1"}, OVER)
    assert verbs(call) == ["Connect", "Dial"]
    token = call.call.stream.url.rpartition("/")[2]
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == call.correlation_id
    record = await settled(stack, call.correlation_id)
    assert record["line"] == "twilio" and record["callTransferId"] == call.correlation_id
    assert record["inputVariables"] == {"accountTier": "gold", "größe": "L & XL"}
    assert (record["task"], record["customerId"]) == ("menu", "+14255550100")
    assert record["outcome"]["transferType"] == "AGENT"
    assert any(f"<Dial>{PERSON}</Dial>" in body for body in service.told("/call-complete"))
    return call


async def a_direct_number_whose_task_is_done(stack, _):
    call, summary = await dial(stack, DIRECT, {"press": "2"}, OVER)
    assert verbs(call) == ["Connect", "Hangup"]
    assert summary["ended"]["reason"] == "agent_hung_up"


async def a_direct_number_whose_caller_hangs_up(stack, _):
    call, summary = await dial(stack, DIRECT, "hang_up")
    assert summary["ended"]["by"] == "caller"
    assert (await settled(stack, call.correlation_id))["outcome"]["transferType"] == "CALLER_DISCONNECT"


async def a_studio_flow(stack, service):
    call, _ = await dial(stack, FLOW, {"press": "2"}, OVER)
    assert verbs(call) == ["Redirect", "Connect", "Redirect", "Say", "Hangup"]
    [flow] = [event for event in call.events if event["kind"] == "flow"]
    assert (flow["transferType"], flow["status"]) == ("SYSTEM", "COMPLETED")
    state = {
        "callTransferStatus": "COMPLETED",
        "transferType": "SYSTEM",
        "currentTaskName": "desk",
        "referenceVariables": {"tier": "none"},
        "transferVariables": {"größe": "“ß” 🙂"},
    }
    assert [json.loads(body) for body in service.told("/transfer-state")] == [state]


async def numbers_of_a_service_with_wrong_credentials(stack, broken):
    """No agent can be had: the caller hears so; a person is called, or the flow goes on and reads that there is nothing."""
    calls = [
        await stack.emulator.dial({"line": "twilio", "to": to, "steps": [OVER]})
        for to in (SHUT_DIRECT, SHUT_FLOW)
    ]
    async with asyncio.timeout(patience(60)):
        for call in calls:
            await call.ended()
    assert [verbs(call) for call in calls] == [["Say", "Dial"], ["Redirect", "Say", "Redirect", "Dial"]]
    assert [json.loads(body)["transferType"] for body in broken.told("/transfer-state")] == [None]
    assert all("<Connect" not in engaged for engaged in broken.told("/engage"))
    assert "no stream for the call: status 401" in broken.log.read_text()


@pytest.mark.e2e
async def test_whole_calls_of_a_direct_number_and_of_a_studio_flow(tmp_path):
    node_modules(EXAMPLE / "package.json")
    (tmp_path / "desk.yaml").write_text(DIALOGUE)
    config = tmp_path / "patchcord.yaml"
    config.write_text(CONFIG)
    async with (
        running_stack(tmp_path / "stack", config=config) as stack,
        functions(stack, "functions") as service,
        functions(
            stack,
            "broken",
            ASAPP_API_SECRET="pcs_" + "x" * 43,
            STUDIO_RETURN_URL=stack.emulator.twilio.flow_address("shut") + "?FlowEvent=return",
        ) as broken,
    ):
        twilio = stack.emulator.twilio
        given = "taskName=menu&accountTier=gold&gr%C3%B6%C3%9Fe=L+%26+XL"
        twilio.set_number(DIRECT, TwilioNumber(voice_url=f"{service.base}/engage?{given}"))
        then = {"SYSTEM": "<Response><Say>On it goes.</Say><Hangup/></Response>"}
        twilio.set_number(SHUT_DIRECT, TwilioNumber(voice_url=f"{broken.base}/engage"))
        for name, number, of, other in (
            ("desk", FLOW, service, then),
            ("shut", SHUT_FLOW, broken, {"": f"<Response><Dial>{DESK}</Dial></Response>"}),
        ):
            engage, state = f"{of.base}/engage?FlowEvent=return", f"{of.base}/transfer-state"
            twilio.set_flow(name, StudioFlow(redirect=engage, request=state, then=other))
            twilio.set_number(number, TwilioNumber(flow=name))
        await asyncio.gather(
            a_direct_number_to_a_person(stack, service),
            a_direct_number_whose_task_is_done(stack, service),
            a_direct_number_whose_caller_hangs_up(stack, service),
            a_studio_flow(stack, service),
            numbers_of_a_service_with_wrong_credentials(stack, broken),
        )
