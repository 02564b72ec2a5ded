"""A whole Call Automation app: answers each call, says hello, asks for a key, and hangs up. See docs/emulator.md."""

import os

from aiohttp import web
from azure.communication.callautomation import PhoneNumberIdentifier, RecognizeInputType, TextSource
from azure.communication.callautomation.aio import CallAutomationClient

BASE = os.environ.get("APP_BASE", "http://127.0.0.1:8080")
client = CallAutomationClient.from_connection_string(os.environ["ACS_CONNECTION_STRING"])
VOICE, HELLO = "en-US-NancyNeural", "Hello from an app that has never met a phone. Press one to go."


async def events(request: web.Request) -> web.Response:
    """Event Grid's webhook."""
    for event in await request.json():
        data = event["data"]
        if event["eventType"] == "Microsoft.EventGrid.SubscriptionValidationEvent":
            return web.json_response({"validationResponse": data["validationCode"]})
        if event["eventType"] == "Microsoft.Communication.IncomingCall":
            caller = data["from"]["phoneNumber"]["value"].removeprefix("+")
            await client.answer_call(data["incomingCallContext"], f"{BASE}/callbacks/{caller}",
                                     cognitive_services_endpoint="https://speech.example")  # fmt: skip
    return web.Response()


async def callbacks(request: web.Request) -> web.Response:
    """What becomes of a call."""
    caller = PhoneNumberIdentifier("+" + request.match_info["caller"])
    for event in await request.json():
        call = client.get_call_connection(event["data"]["callConnectionId"])
        match event["type"].rpartition(".")[2]:
            case "CallConnected":
                prompt = TextSource(text=HELLO, voice_name=VOICE)
                await call.start_recognizing_media(RecognizeInputType.DTMF, caller, play_prompt=prompt,
                                                   dtmf_max_tones_to_collect=1)  # fmt: skip
            case "RecognizeCompleted":
                await call.play_media(TextSource(text="Goodbye.", voice_name=VOICE))
            case "PlayCompleted" | "RecognizeFailed" | "PlayFailed":
                await call.hang_up(is_for_everyone=True)
    return web.Response()


if __name__ == "__main__":
    app = web.Application()
    app.add_routes([web.post("/events", events), web.post("/callbacks/{caller}", callbacks)])
    web.run_app(app, host="127.0.0.1", port=int(BASE.rpartition(":")[2]))
