"""A call that an app has answered without a media socket, and its connection through either of Microsoft's Python clients."""

import asyncio
import contextlib
import io
import wave
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from azure.communication.callautomation import (
    CallAutomationClient,
    CommunicationIdentifier,
    PhoneNumberIdentifier,
)
from azure.core.credentials import AzureKeyCredential

from tests.support.app import ACCESS_KEY, App, emulated_app, sine
from tests.support.timing import patience

CALLER = "+14255550100"
WAIT = {"wait_ms": 60_000}


class Whistle:
    """A voice that costs nothing: 300 ms of a tone for any text; its pitch is a property."""

    hz = 600

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        return sine(self.hz, 300, sample_rate)


class Connection:
    """An app's connection. Methods of the client are called by name; `sync` ones run in a thread."""

    def __init__(self, app: App, connection_id: str, flavour: str) -> None:
        self.app = app
        self.id = connection_id
        self.caller: CommunicationIdentifier = PhoneNumberIdentifier(CALLER)
        self._sync: CallAutomationClient | None = None
        if flavour == "sync":
            self._sync = CallAutomationClient(app.emulator.endpoint, AzureKeyCredential(ACCESS_KEY))

    async def __call__(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        if self._sync is None:
            connection = self.app.client.get_call_connection(self.id)
            return await getattr(connection, method)(*arguments, **keywords)
        connection = self._sync.get_call_connection(self.id)
        return await asyncio.to_thread(getattr(connection, method), *arguments, **keywords)

    def close(self) -> None:
        if self._sync is not None:
            self._sync.close()

    # --- callbacks of this connection ---

    def callbacks(self, kind: str) -> list[dict]:
        return [
            event["data"]
            for event in self.app.callbacks
            if event["type"] == f"Microsoft.Communication.{kind}"
            and event["data"]["callConnectionId"] == self.id
        ]

    async def callback(self, kind: str, number: int = 0, seconds: float = 5) -> dict:
        """The data of the callback of a kind, waited for."""
        await self.app.until(lambda: len(self.callbacks(kind)) > number, seconds)
        return self.callbacks(kind)[number]

    def kinds(self, *wanted: str) -> list[str]:
        """The kinds of this connection's callbacks that begin with one of `wanted`, in order."""
        return [
            kind
            for event in self.app.callbacks
            if event["data"]["callConnectionId"] == self.id
            and (kind := event["type"].removeprefix("Microsoft.Communication.")).startswith(wanted)
        ]


def codes(data: dict) -> tuple[int, int]:
    """`code` and `subCode` of a callback."""
    return data["resultInformation"]["code"], data["resultInformation"]["subCode"]


def heard(call: Any) -> tuple[bytes, int]:
    """The frames of 20 ms in which the caller heard anything, and their rate (Hz)."""
    with wave.open(io.BytesIO(call.heard_wav())) as file:
        pcm, rate = file.readframes(file.getnframes()), file.getframerate()
    frame = rate // 50 * 2
    frames = (pcm[start : start + frame] for start in range(0, len(pcm), frame))
    return b"".join(part for part in frames if any(part)), rate


def heard_ms(call: Any) -> float:
    """For how long the caller heard something (ms)."""
    pcm, rate = heard(call)
    return len(pcm) / 2 / rate * 1000


@contextlib.asynccontextmanager
async def talking(
    flavour: str = "aio", steps: Iterable[object] = (WAIT,), **options: Any
) -> AsyncIterator[tuple[Connection, Any]]:
    """A call that is up; yields the app's connection and the phone's call. `answer` makes keywords for `answer_call`."""
    answer: Callable[[App], dict] = options.pop("answer", lambda app: {})
    options.setdefault("voice", Whistle())
    async with emulated_app(**options) as app:
        app.start_media = None

        async def answered(data: dict) -> None:
            await app.answer(data, **answer(app))

        app.on_call = answered
        call = await app.emulator.dial({"from": CALLER, "to": "+18005550000", "steps": list(steps)})
        data = await app.callback("CallConnected")
        connection = Connection(app, data["callConnectionId"], flavour)
        try:
            yield connection, call
        finally:
            connection.close()
            call.hang_up()
            async with asyncio.timeout(patience(10)):
                await call.ended()
