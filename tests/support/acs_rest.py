"""A server that records what the Call Automation SDK sends and answers what it is told (status codes of acs.md 1.3).

It is no emulator: nothing happens to any call. `emulator/acs` is the real thing; this one shows single requests.
"""

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web

from shared.settings import AcsAccess

OPERATIONS = (
    ("POST", r"/calling/callConnections:(answer|redirect|reject)"),
    ("POST", r"/calling/callConnections(?P<create>)"),
    ("POST", r"/calling/callConnections/[^/:]+:(\w+)"),
    ("POST", r"/calling/callConnections/[^/:]+/participants:(\w+)"),
    ("GET", r"/calling/callConnections/[^/:]+()"),
    ("GET", r"/calling/callConnections/[^/:]+/(participants)"),
    ("DELETE", r"/calling/callConnections/([^/:]+)"),
)
STATUS = {
    "answer": 200,
    "create": 201,
    "redirect": 204,
    "reject": 204,
    "terminate": 204,
    "transferToParticipant": 202,
    "add": 202,
    "remove": 202,
    "cancelAddParticipant": 202,
    "hold": 200,
    "unhold": 200,
    "sendDtmfTones": 202,
    "participants": 200,
    "leave": 204,
    "startMediaStreaming": 202,
    "play": 202,
    "recognize": 202,
    "stopMediaStreaming": 202,
    "cancelAllMediaOperations": 202,
    "properties": 200,
}
ACCESS_KEY = "c2VjcmV0LWtleS1vZi10aGUtdGVzdA=="


@dataclass
class Recorded:
    operation: str
    path: str
    headers: Mapping[str, str]
    body: dict


@dataclass
class Told:
    """One answer: a status, the body's error code, more headers."""

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class AcsRest:
    """`async with AcsRest() as acs:`; `acs.requests` in order, `acs.tell("answer", Told(503))` for the next ones."""

    def __init__(self, ssl=None) -> None:
        self.requests: list[Recorded] = []
        self.connection_id = "cc-1"
        self.state = "connected"
        self.streaming = ""  # the state of the audio connection, or "" to say nothing of it
        self.participants = ["4:+14255550100", "8:acs:resource_app"]
        self.hold = None  # an asyncio.Event: answers wait for it
        self.arrived = asyncio.Event()
        self._told: dict[str, list[Told]] = {}
        self._ssl = ssl
        self._runner: web.AppRunner | None = None
        self.port = 0

    def tell(self, operation: str, *answers: Told) -> None:
        self._told.setdefault(operation, []).extend(answers)

    def of(self, operation: str) -> list[Recorded]:
        return [request for request in self.requests if request.operation == operation]

    @property
    def access(self) -> AcsAccess:
        if self._ssl:
            return AcsAccess(f"https://127.0.0.1:{self.port}")
        return AcsAccess(f"http://127.0.0.1:{self.port}", ACCESS_KEY)

    async def _handle(self, request: web.Request) -> web.Response:
        path = request.path
        operation = "?"
        for method, pattern in OPERATIONS:
            found = re.fullmatch(pattern, path)
            if method == request.method and found:
                names = {"DELETE": "leave", "POST": found[1] or "create"}
                operation = names.get(method) or found[1] or "properties"
        text = await request.text()
        recorded = Recorded(operation, path, request.headers.copy(), json.loads(text) if text else {})
        self.requests.append(recorded)
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        told = self._told.get(operation)
        if told:
            answer = told.pop(0)
            body = {"error": {"code": answer.code or "x", "message": "told so"}}
            return web.json_response(body, status=answer.status, headers=answer.headers)
        status = STATUS.get(operation, 400)
        if status == 204:
            return web.Response(status=204)
        return web.json_response(self._body(operation), status=status)

    def _body(self, operation: str) -> dict:
        if operation == "answer":
            return {"callConnectionId": self.connection_id, "callConnectionState": "connecting"}
        if operation in ("properties", "create"):
            return {
                "callConnectionId": self.connection_id,
                "callConnectionState": "connecting" if operation == "create" else self.state,
                "serverCallId": "server-1",
                "correlationId": "corr-1",
                **(
                    {"mediaStreamingSubscription": {"id": "m", "state": self.streaming}}
                    if self.streaming
                    else {}
                ),
            }
        if operation == "participants":
            roster = [{"identifier": {"rawId": who, "kind": "unknown"}} for who in self.participants]
            return {"value": [{**one, "isMuted": False, "isOnHold": False} for one in roster]}
        return {"invitationId": "invitation-1"} if operation == "add" else {}

    async def __aenter__(self) -> "AcsRest":
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._ssl)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        await self._runner.cleanup()
