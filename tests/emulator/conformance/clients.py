"""Microsoft's clients in their two forms."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import azure.communication.callautomation as sdk
import azure.communication.callautomation.aio as aio_sdk
import azure.communication.identity as identity_sdk
import azure.communication.identity.aio as aio_identity_sdk

from emulator.python_sdk import AioEmulatorTransport, EmulatorTransport
from emulator.service import Emulator

FORMS = ("sync", "aio")


def identifier(address: str) -> Any:
    """Of a number or an ACS user, as the SDK has it."""
    return (sdk.CommunicationUserIdentifier if address.startswith("8:") else sdk.PhoneNumberIdentifier)(
        address
    )


class Sent:
    """The last request that a transport sent, by its id."""

    def __init__(self) -> None:
        self.request_id = ""
        self.status = 0

    def note(self, request: Any, response: Any) -> None:
        self.request_id = request.headers["x-ms-client-request-id"]
        self.status = response.status_code


def transport_of(form: str, endpoint: str, ca_file: Path, sent: Sent) -> Any:
    if form == "sync":

        class Transport(EmulatorTransport):
            def send(self, request: Any, **options: Any) -> Any:
                response = super().send(request, **options)
                sent.note(request, response)
                return response

        return Transport(endpoint, connection_verify=str(ca_file))

    class AioTransport(AioEmulatorTransport):
        async def send(self, request: Any, **options: Any) -> Any:
            response = await super().send(request, **options)
            sent.note(request, response)
            return response

    return AioTransport(endpoint, connection_verify=str(ca_file))


class Clients:
    """The clients of one scene; the synchronous ones work in threads.

    Attributes:
        calls: the CallAutomationClient.
        identities: the CommunicationIdentityClient.
        sent: the last request of both.
    """

    def __init__(self, form: str, emulator: Emulator, threads: ThreadPoolExecutor) -> None:
        self._form = form
        self._threads = threads
        self.sent = Sent()
        transport = transport_of(form, emulator.endpoint, emulator.authority.ca_file, self.sent)
        calls = (sdk if form == "sync" else aio_sdk).CallAutomationClient
        users = (identity_sdk if form == "sync" else aio_identity_sdk).CommunicationIdentityClient
        self.calls = calls.from_connection_string(emulator.connection_string, transport=transport)
        self.identities = users.from_connection_string(emulator.connection_string, transport=transport)

    async def call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a method of a client; pages and streams are read to their end."""
        if self._form == "sync":

            def work() -> Any:
                answer = method(*args, **kwargs)
                if method.__name__ == "list_participants":
                    return list(answer)
                return b"".join(answer.iter_bytes()) if hasattr(answer, "iter_bytes") else answer

            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        answer = method(*args, **kwargs)
        if method.__name__ == "list_participants":
            return [one async for one in answer]
        answer = await answer
        if hasattr(answer, "iter_bytes"):
            return b"".join([part async for part in answer.iter_bytes()])
        return answer

    async def close(self) -> None:
        if self._form == "sync":
            self.calls.close()
        else:
            await self.calls.close()
