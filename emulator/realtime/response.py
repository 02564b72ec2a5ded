"""One response: what the model has decided, sent as the events of the service, in their order and in time (realtime.md 4).

response.created, then for each item: output_item.added, the conversation's item event, content_part.added, words between
audio, the ends of all these; and response.done, always.
"""

import asyncio
import base64
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from emulator.realtime.answers import Call, CallMcp, Output, Say
from emulator.realtime.conversation import Item, new_item
from emulator.realtime.speaking import pieces

if TYPE_CHECKING:
    from emulator.realtime.session import ModelSession

type Json = dict[str, Any]
type Reason = Literal["turn_detected", "client_cancelled"]

ARGUMENTS_PIECE = 12
"""Characters of one delta of a function's arguments."""


def new_id(kind: str) -> str:
    """An id as the services make them."""
    return f"{kind}_{secrets.token_hex(10)}"


class Response:
    """See the module.

    Args:
        session: whose.
        modalities: of this response.
        metadata: told back.
        out_of_band: it belongs to no conversation.
    """

    def __init__(
        self,
        session: "ModelSession",
        modalities: list[str],
        metadata: Mapping[str, str] | None = None,
        *,
        out_of_band: bool = False,
    ) -> None:
        self.id = new_id("resp")
        self.out_of_band = out_of_band
        self.finished = asyncio.Event()
        self.spoken_ms = 0.0
        self.audio_from: float | None = None
        """Loop time (s) of the first audio."""
        self._session = session
        self._dialect = session.dialect
        self._modalities = modalities
        self._metadata = dict(metadata) if metadata else None
        self._output: list[Item] = []
        self._cancelled: asyncio.Future[Reason] = asyncio.get_running_loop().create_future()

    @property
    def spoken_items(self) -> list[Item]:
        """Its items that have audio, in order."""
        return [item for item in self._output if item.audio_ms]

    def cancel(self, reason: Reason) -> None:
        """Stop as soon as may be; the events that end it are sent all the same."""
        if not self._cancelled.done():
            self._cancelled.set_result(reason)

    async def run(self, decide: Callable[[], Awaitable[Sequence[Output]]]) -> None:
        """All of it; `decide` says what there is to do."""
        faults = self._session.faults
        try:
            await self._tell("response.created", response=self._body("in_progress"))
            if self._dialect.rate_limits:
                await self._session.send_rate_limits()
            if faults.take("unknown_events"):
                await self._tell("response.thoughts_nobody_knows.delta", response_id=self.id, delta="hm")
            if faults.take("malformed"):
                await self._session.send_text('{"type":"response.output_audio.delta",')
            if faults.take("failed_responses"):
                await self._failed(faults.response_error)
                return
            outputs = await self._unless_cancelled(decide()) or ()
            await self._pause(faults.first_audio_s)
            for output in outputs:
                if self._cancelled.done():
                    break
                await self._do(output)
            await self._done()
        finally:
            self.finished.set()

    async def _do(self, output: Output) -> None:
        match output:
            case Say() if self._dialect.speaks(self._modalities):
                await self._say(output)
            case Say(text=text):
                await self._write(text)
            case Call():
                await self._call(output)
            case CallMcp():
                await self._call_mcp(output)

    # --- items ---

    async def _begin(self, body: Json) -> Item:
        """A new item of this response; its index is its place among them."""
        item = new_item({"id": new_id("item"), **body})
        self._output.append(item)
        index = len(self._output) - 1
        await self._tell(
            "response.output_item.added", response_id=self.id, output_index=index, item=item.body
        )
        if not self.out_of_band:
            item.before = self._session.conversation.add(item)
            kind = self._dialect.item_events[0]
            await self._tell(kind, previous_item_id=item.before, item=item.body)
        return item

    async def _end(self, item: Item, **body: object) -> None:
        item.body = {**item.body, **body}
        if not self.out_of_band and len(self._dialect.item_events) > 1:
            kind = self._dialect.item_events[1]
            await self._tell(kind, previous_item_id=item.before, item=item.body)
        index = self._output.index(item)
        await self._tell("response.output_item.done", response_id=self.id, output_index=index, item=item.body)

    def _place(self, item: Item, content: bool = True) -> Json:
        place: Json = {
            "response_id": self.id,
            "item_id": item.id,
            "output_index": self._output.index(item),
        }
        return {**place, "content_index": 0} if content else place

    async def _say(self, say: Say) -> None:
        session, faults = self._session, self._session.faults
        format = self._dialect.output_format(session.session)
        audio = format.from_pcm(
            await session.synthesise(say.text, format.sample_rate) if say.pcm is None else say.pcm
        )
        body = {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        item = await self._begin(body)
        place = self._place(item)
        part = {"type": "audio", "transcript": ""}
        await self._tell("response.content_part.added", **place, part=part)
        item.body = {**item.body, "content": [{"type": self._dialect.spoken, "transcript": ""}]}
        said: list[str] = []
        sent = 0
        wordy = self._dialect.wordy(session.session)
        for piece in pieces(say.text, audio, format, faults, session.rng):
            if self._cancelled.done():
                break
            for word in piece.words:
                said.append(word.text)
                text = word.text if len(said) == 1 else f" {word.text}"
                await self._tell(f"{self._dialect.transcript}.delta", **place, delta=text)
                if wordy:
                    times = {"audio_offset_ms": word.at_ms, "audio_duration_ms": word.ms, "text": word.text}
                    await self._tell(
                        "response.audio_timestamp.delta", **place, **times, timestamp_type="word"
                    )
            ms = format.ms(len(piece.audio))
            sent += len(piece.audio)
            if not item.cut:
                item.audio_ms = format.ms(sent)
            self.spoken_ms += ms
            session.voice_used = True
            if self.audio_from is None:
                self.audio_from = asyncio.get_running_loop().time()
            delta = base64.b64encode(piece.audio).decode()
            await self._tell(f"{self._dialect.audio}.delta", **place, delta=delta)
            await self._pause(ms / 1000 / faults.speed if faults.speed else 0)
        text = " ".join(said)
        if item.cut:  # the client was quicker than the end
            text = ""
        await self._tell(f"{self._dialect.audio}.done", **place)
        await self._tell(f"{self._dialect.transcript}.done", **place, transcript=" ".join(said))
        if wordy:
            await self._tell("response.audio_timestamp.done", **place)
        await self._tell("response.content_part.done", **place, part={**part, "transcript": " ".join(said)})
        content = [{"type": self._dialect.spoken, "transcript": text}]
        await self._end(item, status=self._status(), content=content)

    async def _write(self, text: str) -> None:
        item = await self._begin(
            {"type": "message", "role": "assistant", "status": "in_progress", "content": []}
        )
        place = self._place(item)
        prefix = "response.output_text" if self._dialect.is_ga else "response.text"
        await self._tell("response.content_part.added", **place, part={"type": "text", "text": ""})
        await self._tell(f"{prefix}.delta", **place, delta=text)
        await self._tell(f"{prefix}.done", **place, text=text)
        await self._tell("response.content_part.done", **place, part={"type": "text", "text": text})
        await self._end(item, status="completed", content=[{"type": self._dialect.written, "text": text}])

    async def _call(self, call: Call) -> None:
        arguments = json.dumps(dict(call.arguments))
        call_id = new_id("call")
        body = {
            "type": "function_call",
            "status": "in_progress",
            "name": call.name,
            "call_id": call_id,
            "arguments": "",
        }
        item = await self._begin(body)
        place = {**self._place(item, content=False), "call_id": call_id}
        for at in range(0, len(arguments), ARGUMENTS_PIECE):
            piece = arguments[at : at + ARGUMENTS_PIECE]
            await self._tell("response.function_call_arguments.delta", **place, delta=piece)
        for _ in range(2 if self._session.faults.duplicate_arguments else 1):
            await self._tell(
                "response.function_call_arguments.done", **place, name=call.name, arguments=arguments
            )
            await self._end(item, status=self._status(), arguments=arguments)

    async def _call_mcp(self, call: CallMcp) -> None:
        approval = self._session.mcp_approval(call.server)
        arguments = json.dumps(dict(call.arguments))
        body: Json = {"server_label": call.server, "name": call.name, "arguments": arguments}
        if approval == "always":
            item = await self._begin({"type": "mcp_approval_request", **body})
            self._session.waiting_approvals[item.id] = call
            await self._end(item)
            return
        item = await self._begin({"type": "mcp_call", **body, "arguments": ""})
        place = self._place(item, content=False)
        await self._tell("response.mcp_call_arguments.delta", **place, delta=arguments)
        await self._tell("response.mcp_call_arguments.done", **place, arguments=arguments)
        del place["response_id"]
        await self._tell("response.mcp_call.in_progress", **place)
        await self._tell("response.mcp_call.completed", **place)
        await self._end(item, arguments=arguments, output=call.output)
        self._session.conversation.news.append(item)

    # --- its end ---

    def _status(self) -> str:
        return "incomplete" if self._cancelled.done() else "completed"

    async def _done(self) -> None:
        if self._cancelled.done():
            reason = self._cancelled.result()
            await self._close("cancelled", {"type": "cancelled", "reason": reason})
        else:
            await self._close("completed", None)

    async def _failed(self, code: str) -> None:
        error = {"type": "server_error", "code": code, "message": "The response failed on demand."}
        if self._dialect.is_ga:
            error = {**error, "type": "tokens" if "rate_limit" in code else "server_error"}
        await self._close("failed", {"type": "failed", "error": error})

    async def _close(self, status: str, details: Json | None) -> None:
        body = self._body(status, details)
        self._session.over(self)
        await self._tell("response.done", response=body)

    def _body(self, status: str, details: Json | None = None) -> Json:
        usage = None
        if status != "in_progress":
            usage = self._dialect.usage(len(self._session.conversation.items), self.spoken_ms)
        return self._dialect.response(
            self._session.session,
            self._modalities,
            id=self.id,
            status=status,
            status_details=details,
            output=[item.body for item in self._output],
            conversation_id=None if self.out_of_band else self._session.conversation_id,
            metadata=self._metadata,
            usage=usage,
        )

    # --- time ---

    async def _tell(self, kind: str, **fields: object) -> None:
        await self._session.tell(kind, **fields)

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than until it is cancelled."""
        if seconds > 0:
            await asyncio.wait([self._cancelled], timeout=seconds)

    async def _unless_cancelled[Result](self, work: Awaitable[Result]) -> Result | None:
        task: asyncio.Future[Any] = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, self._cancelled], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            task.cancel()
