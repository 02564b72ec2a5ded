"""A foreign app in a process of its own: https, wss and Microsoft's client, with nothing of Patchcord but the environment.

`python https_app.py sync|aio`; ACS_CONNECTION_STRING, CERTIFICATE and KEY are given. Prints JSON lines: what happened.
"""

import asyncio
import json
import os
import ssl
import sys
import warnings

warnings.filterwarnings(
    "ignore", category=DeprecationWarning
)  # Microsoft's client signs with `datetime.utcnow`

from aiohttp import web  # noqa: E402  # after the filter
from azure.communication.callautomation import (  # noqa: E402  # after the filter
    CallAutomationClient,
    MediaStreamingAudioChannelType,
    MediaStreamingContentType,
    MediaStreamingOptions,
    StreamingTransportType,
)
from azure.communication.callautomation.aio import CallAutomationClient as AioClient  # noqa: E402  # after the filter
from azure.identity import DefaultAzureCredential  # noqa: E402  # after the filter
from azure.identity.aio import DefaultAzureCredential as AioDefaultAzureCredential  # noqa: E402  # after the filter

CONNECTION = os.environ["ACS_CONNECTION_STRING"]
ENDPOINT = CONNECTION.partition(";")[0].removeprefix("endpoint=")


def say(what: str, **data: object) -> None:
    print(json.dumps({"what": what, **data}), flush=True)


class App:
    def __init__(self, mode: str) -> None:
        self.aio = mode == "aio"
        self.base = ""
        self.connected = asyncio.Event()

    async def with_key(self, context: str, **options: object) -> str:
        """Answer; returns the connection's id."""
        callback = f"https://{self.base}/callbacks"
        if self.aio:
            async with AioClient.from_connection_string(CONNECTION) as client:
                return (await client.answer_call(context, callback, **options)).call_connection_id
        with CallAutomationClient.from_connection_string(CONNECTION) as client:
            answered = await asyncio.to_thread(client.answer_call, context, callback, **options)
            return answered.call_connection_id

    async def with_token(self, connection: str) -> str:
        """The call's state, asked for with a managed identity's token."""
        if self.aio:
            async with AioDefaultAzureCredential() as credential, AioClient(ENDPOINT, credential) as client:
                properties = await client.get_call_connection(connection).get_call_properties()
        else:
            with DefaultAzureCredential() as credential, CallAutomationClient(ENDPOINT, credential) as client:
                properties = await asyncio.to_thread(
                    client.get_call_connection(connection).get_call_properties
                )
        return properties.call_connection_state

    async def events(self, request: web.Request) -> web.Response:
        event = (await request.json())[0]
        if "validationCode" in event["data"]:
            return web.json_response({"validationResponse": event["data"]["validationCode"]})
        media = MediaStreamingOptions(
            transport_url=f"wss://{self.base}/media",
            transport_type=StreamingTransportType.WEBSOCKET,
            content_type=MediaStreamingContentType.AUDIO,
            audio_channel_type=MediaStreamingAudioChannelType.MIXED,
            start_media_streaming=True,
        )
        connection = await self.with_key(event["data"]["incomingCallContext"], media_streaming=media)
        say("answered", state=await self.with_token(connection))
        return web.Response()

    async def callbacks(self, request: web.Request) -> web.Response:
        for event in await request.json():
            say("callback", type=event["type"].rpartition(".")[2])
        return web.Response()

    async def media(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        say("media", kind=(await socket.receive_json())["kind"], secure=request.secure)
        async for _ in socket:
            pass
        return socket


async def main() -> None:
    app = App(sys.argv[1])
    server = web.Application()
    server.router.add_post("/events", app.events)
    server.router.add_post("/callbacks", app.callbacks)
    server.router.add_get("/media", app.media)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    app.base = f"127.0.0.1:{runner.addresses[0][1]}"
    say("ready", base=app.base)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


asyncio.run(main())
