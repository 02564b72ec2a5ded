"""An IVR of your own before and behind a Patchcord agent, in one file: Microsoft's client, and aiohttp for webhooks.

It answers, asks for an account number and for what the caller wants, transfers to the agent with custom context, takes
the caller back, and goes on by the outcome: a person, or goodbye. docs/ivr.md says what goes over the wire.

Subscribe it (Event Grid, IncomingCall) to `data.to.kind` = phoneNumber and to `data.to.rawId` = IVR_USER. Needed:
`pip install aiohttp azure-communication-callautomation`; ACS_ENDPOINT, ACS_KEY, IVR_BASE (the public address of this
program), IVR_PORT, IVR_SPEECH (the Cognitive Services resource), IVR_USER and AGENT_USER (8:acs:…), PERSON_NUMBER, and
IVR_NUMBER (shown to the person). In production, put a secret into both addresses and check ACS's signature.
"""

import asyncio
import json
import os
from dataclasses import dataclass, field

from aiohttp import web
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    PhoneNumberIdentifier,
    RecognizeInputType,
    TextSource,
)
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AzureKeyCredential

DIGITS = dict(zip("zero one two three four five six seven eight nine".split(), "0123456789", strict=True))


def tell(what: str, **data: object) -> None:
    """One line of what happened; never a pressed key."""
    print(json.dumps({"what": what, **data}), flush=True)


@dataclass
class Visit:
    """One call to this IVR, and what came with it."""

    number: int
    caller: str
    headers: dict = field(repr=False)
    account: str = ""
    tries: int = 0


class Ivr:
    """All calls."""

    def __init__(self, client: CallAutomationClient, env: dict) -> None:
        self.client, self.env, self.visits = client, env, []

    async def events(self, request: web.Request) -> web.Response:
        """Event Grid: its handshake, and calls that come in."""
        for event in await request.json():
            data = event["data"]
            if "validationCode" in data:
                return web.json_response({"validationResponse": data["validationCode"]})
            headers = (data.get("customContext") or {}).get("voipHeaders") or {}
            visit = Visit(len(self.visits), data["from"]["rawId"].removeprefix("4:"), headers)
            self.visits.append(visit)
            tell(
                "IncomingCall",
                visit=visit.number,
                caller=visit.caller,
                to=data["to"]["rawId"],
                headers=headers,
            )
            await self.client.answer_call(
                data["incomingCallContext"],
                f"{self.env['IVR_BASE']}/callbacks/{visit.number}",
                cognitive_services_endpoint=self.env["IVR_SPEECH"],
            )
        return web.Response()

    async def callbacks(self, request: web.Request) -> web.Response:
        """What becomes of a call; the address says which one."""
        visit = self.visits[int(request.match_info["visit"])]
        for event in await request.json():
            kind, data = event["type"].removeprefix("Microsoft.Communication."), event["data"]
            result = data.get("resultInformation") or {}
            tell(kind, visit=visit.number, codes=[result.get("code"), result.get("subCode")])
            await self.react(self.client.get_call_connection(data["callConnectionId"]), visit, kind, data)
        return web.Response()

    async def react(self, call, visit: Visit, kind: str, data: dict) -> None:
        """The flow: `operationContext` says what a callback answers."""
        match kind, data.get("operationContext"):
            case "CallConnected", _ if visit.headers.get("transferType") == "AGENT":
                caller_id = PhoneNumberIdentifier(self.env["IVR_NUMBER"])
                person = PhoneNumberIdentifier(self.env["PERSON_NUMBER"])
                await call.transfer_call_to_participant(
                    person, source_caller_id_number=caller_id, operation_context="person"
                )
            case "CallConnected", _ if visit.headers.get("transferType"):
                await self.say(call, "Thank you. Goodbye.")
            case "CallConnected", _:
                await self.ask(call, visit, "Welcome. Your account number, please, then pound.", "account", 9)
            case "RecognizeCompleted", "account":
                visit.account = "".join(DIGITS.get(tone, "") for tone in data["dtmfResult"]["tones"])
                await self.ask(call, visit, "Press one for an agent.", "choice", 1)
            case "RecognizeCompleted", "choice" if data["dtmfResult"]["tones"] == ["one"]:
                back = {"returnTo": self.env["IVR_USER"], "returnStep": "after-agent"}
                await call.transfer_call_to_participant(
                    CommunicationUserIdentifier(self.env["AGENT_USER"]),
                    voip_headers={
                        "accountNumber": visit.account, "from-ivr": "Hauptmenü, key 1", "empty": "",
                        "externalConversationId": f"ivr-{visit.number}", **back,
                    },
                    operation_context="agent",
                )  # fmt: skip
            case (("RecognizeFailed" | "RecognizeCompleted"), ("account" | "choice") as step) if (
                visit.tries < 2
            ):
                visit.tries += 1
                await self.ask(call, visit, "Please try again.", step, 9 if step == "account" else 1)
            case (("RecognizeFailed" | "RecognizeCompleted" | "CallTransferFailed"), _):
                await self.say(call, "Sorry. Goodbye.")
            case (("PlayCompleted" | "PlayFailed"), "bye"):
                await call.hang_up(is_for_everyone=True)

    async def ask(self, call, visit: Visit, words: str, step: str, most: int) -> None:
        """Speak, and take keys; the caller need not wait for the end."""
        await call.start_recognizing_media(
            RecognizeInputType.DTMF, PhoneNumberIdentifier(visit.caller), operation_context=step, interrupt_prompt=True,
            play_prompt=self.text(words), dtmf_max_tones_to_collect=most, dtmf_stop_tones=["pound"],
            initial_silence_timeout=60, dtmf_inter_tone_timeout=10,
        )  # fmt: skip
        tell("asked", visit=visit.number, step=step)

    async def say(self, call, words: str) -> None:
        """The last words."""
        await call.play_media_to_all(self.text(words), operation_context="bye")

    def text(self, words: str) -> TextSource:
        """What is spoken into the call."""
        return TextSource(text=words, voice_name="en-US-JennyNeural")


async def main() -> None:
    """Serve until the process is ended."""
    env = dict(os.environ)
    async with CallAutomationClient(env["ACS_ENDPOINT"], AzureKeyCredential(env["ACS_KEY"])) as client:
        ivr, app = Ivr(client, env), web.Application()
        app.router.add_get("/health", lambda _: web.Response())
        app.router.add_post("/events", ivr.events)
        app.router.add_post("/callbacks/{visit}", ivr.callbacks)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", int(env["IVR_PORT"])).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
