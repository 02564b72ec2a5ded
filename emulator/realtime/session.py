"""One session: the connection of one client, from the model's side. What the client sends is dispatched here."""

import asyncio
import logging
import random
import re
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from emulator.realtime import client_events as client
from emulator.realtime.answers import Answer, CallMcp, Output, Prompt, Say
from emulator.realtime.conversation import Conversation, Item, new_item
from emulator.realtime.dialect import Dialect
from emulator.realtime.errors import ClientError
from emulator.realtime.faults import ModelFaults
from emulator.realtime.hearing import CallersTurn
from emulator.realtime.mcp import McpServers
from emulator.realtime.response import Response, new_id
from emulator.realtime.sessions_flat import ResponseCreate as FlatResponseCreate
from emulator.realtime.sessions_ga import ResponseCreate as GaResponseCreate

log = logging.getLogger(__name__)

type Json = dict[str, Any]
type Synthesise = Callable[[str, int], Awaitable[bytes]]
type Recognise = Callable[[bytes, int], Awaitable[str]]

EXACTLY = re.compile(r"\s*say exactly[^:\"]*:?\s*(.+?)\s*", re.IGNORECASE | re.DOTALL)
"""Instructions of one response that the emulated model follows to the letter; the words are JSON or as they stand."""
HUGE = 8 * 1024 * 1024
KEPT_EVENTS = 1000


class ModelSession:
    """See the module; tests drive it by `next`, `respond`, `tell` and `end`.

    Args:
        socket: the client's connection.
        dialect: of the address that was dialled.
        session: as it is before its first update.
        answer: the model's mind.
        faults: of this session; they may be changed at any time.
        synthesise: text and rate (Hz) to PCM16LE.
        recognise: PCM16LE and rate (Hz) to words; "" for what was not understood.
        mcp: tools of the MCP servers that there are, by label.
        rng: of the uneven pieces.

    Attributes:
        seen: the client's last events, audio left out.
        appended: bytes of the caller's audio.
    """

    def __init__(
        self,
        socket: ServerConnection,
        dialect: Dialect,
        session: Json,
        *,
        answer: Answer,
        faults: ModelFaults,
        synthesise: Synthesise,
        recognise: Recognise,
        mcp: Mapping[str, Sequence[str]],
        rng: random.Random,
    ) -> None:
        self.socket = socket
        self.dialect = dialect
        self.session = session
        self.faults = faults
        self.synthesise = synthesise
        self.recognise = recognise
        self.rng = rng
        self.conversation = Conversation()
        self.conversation_id = new_id("conv")
        self.seen: deque[Json] = deque(maxlen=KEPT_EVENTS)
        self.appended = 0
        self.voice_used = False
        self.active: Response | None = None
        self.last: Response | None = None
        self.waiting_approvals: dict[str, CallMcp] = {}
        self.ended = asyncio.Event()
        self._answer = answer
        self._answered = False
        self._caller = CallersTurn(self)
        self._mcp = McpServers(self, mcp)
        self._tasks: set[asyncio.Task[None]] = set()
        self._unread: deque[Json] = deque(maxlen=KEPT_EVENTS)
        self._arrived = asyncio.Event()

    # --- the connection ---

    async def run(self) -> None:
        """Serve the client until the connection ends."""
        faults = self.faults
        timers = [self.spawn(self._expire(faults.expires_after_s))]
        if faults.lost_after_s is not None:
            timers.append(self.spawn(self._lose(faults.lost_after_s)))
        try:
            if faults.mute != "session":
                await self.tell("session.created", session=self.session)
            async for frame in self.socket:
                await self._take(frame)
        except ConnectionClosed:
            pass
        finally:
            self.ended.set()
            self._arrived.set()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def tell(self, kind: str, **fields: object) -> None:
        """Send a server event of this type."""
        event = {"type": kind, "event_id": new_id("event"), **fields}
        await self.send_text(msgspec.json.encode(event).decode())

    async def send_text(self, text: str) -> None:
        """Send a frame as it is; nothing when the client has gone."""
        try:
            await self.socket.send(text)
        except ConnectionClosed:
            log.debug("the client has gone")

    async def end(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; 1006 cuts it."""
        if code == 1006:
            self.socket.transport.abort()
        else:
            await self.socket.close(code, reason)

    async def expire(self) -> None:
        """The session's time is up."""
        if self.faults.expiry_error:
            text = "Your session hit the maximum duration of 60 minutes."
            await self.refuse(ClientError("session_expired", text))
        await self.end(self.faults.close_code, "session expired")

    async def next(self, kind: str) -> Json:
        """The next client event of this type; those before it are passed over (they stay in `seen`).

        Raises:
            EOFError: the connection has ended before one came.
        """
        while True:
            while self._unread:
                event = self._unread.popleft()
                if event["type"] == kind:
                    return event
            if self.ended.is_set():
                raise EOFError(f"the client has gone without {kind}")
            self._arrived.clear()
            await self._arrived.wait()

    async def respond(self, *outputs: Output, metadata: Mapping[str, str] | None = None) -> Response:
        """A response out of the model's own will; returns when it is over. Not while another is under way."""

        async def decide() -> Sequence[Output]:
            return outputs

        response = Response(self, self.dialect.modalities(self.session), metadata)
        self.active = response
        await response.run(decide)
        return response

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do this beside everything else, until the connection ends."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("the emulated model failed", exc_info=error)

    async def _expire(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.expire()

    async def _lose(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.end(self.faults.close_code)

    # --- what the client sends ---

    async def _take(self, frame: str | bytes) -> None:
        event_id = None
        try:
            event = client.parse(frame)
            event_id = event.event_id
            if not isinstance(event, client.Append):
                seen = msgspec.json.decode(frame)
                self.seen.append(seen)
                self._unread.append(seen)
                self._arrived.set()
            await self._do(event)
        except ClientError as error:
            await self.refuse(error, event_id)

    async def refuse(self, error: ClientError, event_id: str | None = None) -> None:
        """Send an `error`; `event_id` is that of the client event which it is about."""
        body = {
            "type": "invalid_request_error",
            "code": error.code,
            "message": error.message,
            "param": error.param,
            "event_id": event_id,
        }
        await self.tell("error", error=body)

    async def _do(self, event: client.ClientEvent) -> None:
        conversation = self.conversation
        match event:
            case client.Append(audio=audio):
                if len(audio) > client.MAX_APPEND:
                    raise ClientError("invalid_value", "More than 15 MiB of audio.", "audio")
                self.appended += len(audio)
                await self._caller.append(audio)
            case client.SessionUpdate(session=value):
                await self._update(value)
            case client.ItemCreate(item=value, previous_item_id=after):
                await self._create_item(value, after)
            case client.ResponseCreate():
                self._create_response(event)
            case client.ResponseCancel(response_id=wanted):
                active = self.active
                if active is None or wanted not in (None, active.id):
                    raise ClientError(
                        "response_cancel_not_active", "Cancellation failed: no active response found"
                    )
                active.cancel("client_cancelled")
            case client.Truncate(item_id=item_id, content_index=index, audio_end_ms=end_ms):
                if self.faults.truncate_refused:
                    raise ClientError("invalid_value", f"Audio content is already shorter than {end_ms}ms")
                conversation.truncate(item_id, index, end_ms)
                place = {"item_id": item_id, "content_index": index, "audio_end_ms": end_ms}
                await self.tell("conversation.item.truncated", **place)
            case client.Delete(item_id=item_id):
                conversation.delete(item_id)
                await self.tell("conversation.item.deleted", item_id=item_id)
            case client.Retrieve(item_id=item_id):
                await self.tell("conversation.item.retrieved", item=conversation.find(item_id).body)
            case client.Commit():
                await self._caller.commit()
            case client.Clear():
                self._caller.clear()
                await self.tell("input_audio_buffer.cleared")

    async def _update(self, value: Json) -> None:
        updated = self.dialect.updated(self.session, value)
        if self.voice_used and self.dialect.voice(updated) != self.dialect.voice(self.session):
            text = "Cannot update a conversation's voice if assistant audio is present."
            raise ClientError("cannot_update_voice", text, "session.voice")
        faults = self.faults
        if faults.ignored_silence and self.dialect.turn_detection(updated):
            updated = self.dialect.with_turn_detection(updated, silence_duration_ms=500)
        self.session = updated
        self._caller.configure()
        if faults.mute in ("session", "update"):
            return
        echo = self.dialect.with_format(updated, faults.updated_format) if faults.updated_format else updated
        for _ in range(2 if faults.double_updated else 1):
            await self.tell("session.updated", session=echo)
        if faults.huge_frame:
            await self.tell("session.padding_nobody_knows", padding="x" * HUGE)
        await self._mcp.list_tools()

    # --- items ---

    async def add(self, body: Json, after: str | None = None) -> Item:
        """Put a complete item into the conversation, and say so."""
        item = new_item(body)
        before = self.conversation.add(item, after)
        self.conversation.news.append(item)
        for kind in self.dialect.item_events:
            await self.tell(kind, previous_item_id=before, item=item.body)
        return item

    async def _create_item(self, value: Json, after: str | None) -> None:
        item = client.parse_item(value, self.dialect.written)
        body = {"id": new_id("item"), **msgspec.to_builtins(item)}
        if not self.dialect.is_ga and isinstance(item, client.FunctionOutput):
            body.pop("status", None)
        if isinstance(item, client.FunctionOutput) and not self.conversation.calls(item.call_id):
            text = f"Tool call ID '{item.call_id}' not found in conversation."
            raise ClientError("invalid_tool_call_id", text, "item.call_id")
        call = None
        if isinstance(item, client.Approval):
            call = self.waiting_approvals.pop(item.approval_request_id, None)
            if call is None:
                raise ClientError("invalid_value", "No such approval request.", "item.approval_request_id")
        await self.add(body, after)
        if call is not None and isinstance(item, client.Approval) and item.approve:
            await self._mcp.carry_out(call, item.approval_request_id)

    def mcp_approval(self, server: str) -> str:
        """`always` or `never`: whether tools of this server need an approval."""
        return self._mcp.approval(server)

    # --- responses ---

    def _create_response(self, event: client.ResponseCreate) -> None:
        if self.faults.mute == "responses":
            return
        wanted = self.dialect.response_create(event.response)
        if self.dialect.is_ga:
            if not isinstance(event.additional_instructions, msgspec.UnsetType):
                text = "Unknown parameter: 'additional_instructions'."
                raise ClientError("unknown_parameter", text, "additional_instructions")
        self.create_response(wanted)

    def create_response(self, wanted: GaResponseCreate | FlatResponseCreate | None = None) -> None:
        """Begin to answer; None as if the caller's turn had ended.

        Raises:
            ClientError: another response is under way.
        """
        wanted = GaResponseCreate() if wanted is None else wanted
        out_of_band = wanted.conversation == "none"
        if self.active is not None and not out_of_band:
            text = f"Conversation already has an active response in progress: {self.active.id}."
            raise ClientError("conversation_already_has_active_response", text)
        given = wanted.modalities if isinstance(wanted, FlatResponseCreate) else wanted.output_modalities
        modalities = self.dialect.modalities(self.session)
        if not isinstance(given, msgspec.UnsetType):
            modalities = [*given]
        response = Response(self, modalities, wanted.metadata, out_of_band=out_of_band)
        if not out_of_band:
            self.active = response
        self.spawn(response.run(lambda: self._decide(wanted)))

    async def _decide(self, wanted: GaResponseCreate | FlatResponseCreate) -> Sequence[Output]:
        if isinstance(wanted, FlatResponseCreate):
            ready = wanted.pre_generated_assistant_message
            if not isinstance(ready, msgspec.UnsetType):
                return [Say(" ".join(part.text for part in ready.content))]
        if exact := EXACTLY.fullmatch(wanted.instructions):
            return [Say(_unquoted(exact[1]))]
        await self._caller.understood()
        news: list[Item] = []
        first = not self._answered
        if wanted.conversation == "auto":
            news, self.conversation.news = self.conversation.news, []
            self._answered = True
        tools = self.session["tools"]
        if not isinstance(wanted.tools, msgspec.UnsetType):
            tools = msgspec.to_builtins(wanted.tools)
        names = frozenset(tool["name"] for tool in tools if tool["type"] == "function")
        if wanted.tool_choice == "none":
            names = frozenset()
        prompt = Prompt(
            [self._named(item) for item in news], wanted.instructions, names, first, wanted.metadata or {}
        )
        return self._answer(prompt)

    def _named(self, item: Item) -> Json:
        """The item's body; the output of a function with the function's name."""
        if item.body["type"] != "function_call_output":
            return item.body
        calls = [other.body for other in self.conversation.items.values() if "name" in other.body]
        name = next(call["name"] for call in calls if call.get("call_id") == item.body["call_id"])
        return {**item.body, "name": name}

    def over(self, response: Response) -> None:
        """A response has ended."""
        if self.active is response:
            self.active, self.last = None, response
            self._caller.answered(response)

    async def send_rate_limits(self) -> None:
        """`rate_limits.updated`, of an account that has plenty."""
        limits = [
            {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 0.06},
            {"name": "tokens", "limit": 40000, "remaining": 39000, "reset_seconds": 1.5},
        ]
        await self.tell("rate_limits.updated", rate_limits=limits)


def _unquoted(text: str) -> str:
    """The string in JSON text, or the text as it is."""
    try:
        return str(msgspec.json.decode(text, type=str))
    except msgspec.DecodeError:
        return text
