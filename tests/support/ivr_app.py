"""An IVR in a process of its own, with nothing of Patchcord: Microsoft's client, and aiohttp for webhook and callbacks.

It welcomes its caller, asks for a key, and transfers to the ACS user behind that key with custom context. A caller who cannot
be transferred, and one who is transferred back to it, is told so, and the IVR hangs up.

`ACS_ENDPOINT`, `ACS_KEY`, `IVR_PORT` and `IVR_CHOICES` (JSON: key to raw id and headers) are given. Prints JSON lines: what
happened. Each call has a number, which its callbacks' address carries.
"""

import asyncio
import json
import logging
import os
import sys
from dataclasses import dataclass

from aiohttp import web
from azure.communication.callautomation import (
    CommunicationUserIdentifier,
    PhoneNumberIdentifier,
    RecognizeInputType,
    TextSource,
)
from azure.communication.callautomation.aio import CallAutomationClient
from azure.core.credentials import AzureKeyCredential

KEYS = {"one": "1", "two": "2"}
WELCOME = "Welcome to the bank."
QUESTION = "Press one for an agent."
SORRY = "Sorry, nobody is free."
GOODBYE = "Goodbye."


def tell(what: str, **data: object) -> None:
    """One line of what happened."""
    print(json.dumps({"what": what, **data}), flush=True)


def text(words: str) -> TextSource:
    """What is spoken into the call."""
    return TextSource(text=words, voice_name="en-US-JennyNeural")


@dataclass(frozen=True)
class Visit:
    """One call to the IVR; `headers` are the custom context that came with it."""

    number: int
    caller: PhoneNumberIdentifier
    headers: dict


class Ivr:
    """All calls of the IVR."""

    def __init__(self, client: CallAutomationClient, base: str, choices: dict) -> None:
        self.client = client
        self.base = base
        self.choices = choices
        self.visits: list[Visit] = []

    async def events(self, request: web.Request) -> web.Response:
        for event in await request.json():
            data = event["data"]
            if "validationCode" in data:
                return web.json_response({"validationResponse": data["validationCode"]})
            await self.answer(data)
        return web.Response()

    async def answer(self, data: dict) -> None:
        headers = data.get("customContext", {}).get("voipHeaders", {})
        number, caller = len(self.visits), data["from"]["phoneNumber"]["value"]
        self.visits.append(Visit(number, PhoneNumberIdentifier(caller), headers))
        tell("IncomingCall", visit=number, caller=caller, to=data["to"]["rawId"], headers=headers)
        await self.client.answer_call(data["incomingCallContext"], f"{self.base}/callbacks/{number}")

    async def callbacks(self, request: web.Request) -> web.Response:
        visit = self.visits[int(request.match_info["visit"])]
        for event in await request.json():
            kind, data = event["type"].removeprefix("Microsoft.Communication."), event["data"]
            result = data.get("resultInformation") or {}
            codes = [result.get("code"), result.get("subCode")]
            tell(kind, visit=visit.number, codes=codes, context=data.get("operationContext"))
            await self.react(visit, kind, data)
        return web.Response()

    async def react(self, visit: Visit, kind: str, data: dict) -> None:
        call = self.client.get_call_connection(data["callConnectionId"])
        match kind, data.get("operationContext"):
            case "CallConnected", _:
                words, then = (GOODBYE, "hang up") if visit.headers else (WELCOME, "ask")
                await call.play_media_to_all(text(words), operation_context=then)
            case "PlayCompleted", "ask":
                await call.start_recognizing_media(
                    RecognizeInputType.DTMF,
                    visit.caller,
                    play_prompt=text(QUESTION),
                    interrupt_prompt=True,
                    dtmf_max_tones_to_collect=1,
                    initial_silence_timeout=60,
                )
                tell("asked", visit=visit.number)
            case "RecognizeCompleted", _:
                choice = self.choices[KEYS[data["dtmfResult"]["tones"][0]]]
                await call.transfer_call_to_participant(
                    CommunicationUserIdentifier(choice["user"]),
                    voip_headers=choice["headers"],
                    operation_context="transfer",
                )
            case (("CallTransferFailed" | "RecognizeFailed"), _):
                properties = await call.get_call_properties()
                tell("still", visit=visit.number, state=properties.call_connection_state)
                await call.play_media_to_all(text(SORRY), operation_context="hang up")
            case "PlayCompleted", "hang up":
                await call.hang_up(is_for_everyone=True)


async def main() -> None:
    """Serve until the process is ended."""
    port = int(os.environ["IVR_PORT"])
    async with CallAutomationClient(
        os.environ["ACS_ENDPOINT"], AzureKeyCredential(os.environ["ACS_KEY"])
    ) as client:
        ivr = Ivr(client, f"http://127.0.0.1:{port}", json.loads(os.environ["IVR_CHOICES"]))
        app = web.Application()
        app.router.add_get("/health", lambda _: web.Response())
        app.router.add_post("/events", ivr.events)
        app.router.add_post("/callbacks/{visit}", ivr.callbacks)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    asyncio.run(main())
