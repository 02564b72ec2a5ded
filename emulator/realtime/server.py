"""The emulated models: one WebSocket server on loopback that speaks both dialects, each at its own addresses."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Self

import websockets.asyncio.server
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from emulator.realtime.answers import Answer
from emulator.realtime.door import Door, Guest, Refused
from emulator.realtime.faults import ModelFaults
from emulator.realtime.response import new_id
from emulator.realtime.script import REJECT_BELOW, Script
from emulator.realtime.session import ModelSession
from emulator.realtime.speaking import hum
from media_host.speech import Speech
from shared.errors import AgentUnavailable

HEALTH = "/healthz"
MAX_MESSAGE = 21 * 1024 * 1024
"""Bytes of one client event: 15 MiB of audio in base64."""


class EmulatedModel:
    """The server: `async with EmulatedModel(script) as model`, then `model.endpoint`.

    Below it are `/v1/realtime` (OpenAI), `/openai/v1/realtime` (Azure OpenAI) and `/voice-live/realtime`; the address decides
    on the dialect.

    Args:
        script: what it says and understands; without one `answer` decides.
        answer: makes a session's mind (see `answers`); without a script and this it says nothing by itself, and tests drive
            `await model.session()`.
        key: the key that clients must have; "" (with `token` "") lets everybody in.
        token: the Entra token that clients may have instead.
        faults: of all sessions; change `model.faults` for those to come.
        speech: engines that were started; with a script they are started here when it is None. Without any, speech is a hum
            and nothing is understood.
        mcp: MCP servers that there are, beside the script's: names of their tools by label.
        port: to listen on; 0 takes a free one.
        now: Unix seconds, for `expires_at`.
        seed: of the uneven pieces.

    Attributes:
        sessions: those that are open.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        answer: Callable[[], Answer] | None = None,
        key: str = "",
        token: str = "",
        faults: ModelFaults | None = None,
        speech: Speech | None = None,
        mcp: Mapping[str, Sequence[str]] | None = None,
        port: int = 0,
        now: Callable[[], float] = time.time,
        seed: int = 1,
    ) -> None:
        self.faults = faults or ModelFaults()
        self.sessions: list[ModelSession] = []
        self._script = script
        self._new_answer = script.mind if script is not None else answer or (lambda: lambda _: ())
        self._door = Door(key, token)
        self._mcp = {**(script.file.mcp if script is not None else {}), **(mcp or {})}
        self._speech = speech
        self._own_speech: Speech | None = None
        self._port = port
        self._now = now
        self._rng = random.Random(seed)  # noqa: S311  # cuts audio into pieces, protects nothing
        self._guests: dict[ServerConnection, Guest] = {}
        self._arrived: asyncio.Queue[ModelSession] = asyncio.Queue(1000)
        self._server: websockets.asyncio.server.Server | None = None

    async def __aenter__(self) -> Self:
        """Start.

        Raises:
            AgentUnavailable: a script needs speech, and there is no synthesiser or no recogniser.
            OSError: the port is taken.
        """
        try:
            await self._start()
        except BaseException:  # also a cancelled start: no child process may stay behind; raised on
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop."""
        await self.close()

    @property
    def endpoint(self) -> str:
        """`ws://127.0.0.1:PORT`; known after the start."""
        return f"ws://127.0.0.1:{self._port}"

    async def session(self) -> ModelSession:
        """The next client's session."""
        return await self._arrived.get()

    async def close(self) -> None:
        """End all sessions, and what was started; idempotent."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        if self._own_speech is not None:
            await self._own_speech.close()

    async def _start(self) -> None:
        if self._script is not None and self._speech is None:
            self._speech = self._own_speech = Speech()
            await self._speech.start()
        if self._script is not None and self._speech is not None:
            if self._speech.recogniser is None:
                raise AgentUnavailable("the emulated model needs pocketsphinx to understand its callers")
            if self._script.grammar is not None:
                await self._speech.recogniser.prepare(self._script.grammar.jsgf)
        self._server = await websockets.asyncio.server.serve(
            self._serve,
            "127.0.0.1",
            self._port,
            process_request=self._admit,
            compression=None,
            max_size=MAX_MESSAGE,
            close_timeout=0.5,
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.path == HEALTH:
            return connection.respond(HTTPStatus.OK, "ready\n")
        status = self.faults.take_status()
        if status is not None:
            response = connection.respond(HTTPStatus(status), "Refused on demand.\n")
            if status == HTTPStatus.TOO_MANY_REQUESTS:
                response.headers["Retry-After"] = "1"
            return response
        try:
            self._guests[connection] = self._door.admit(request.path, request.headers)
        except Refused as error:
            return connection.respond(error.status, error.text + "\n")
        return None

    async def _serve(self, socket: ServerConnection) -> None:
        guest = self._guests.pop(socket)
        faults = self.faults.for_session()
        described = guest.dialect.defaults(
            new_id("sess"), guest.model, round(self._now() + faults.expires_after_s)
        )
        if guest.agent:
            thread = guest.conversation or new_id("thread")
            described["agent"] = {
                "type": "agent",
                "name": guest.agent,
                "agent_id": guest.agent,
                "thread_id": thread,
            }
        session = ModelSession(
            socket,
            guest.dialect,
            described,
            answer=self._new_answer(),
            faults=faults,
            synthesise=self._synthesise,
            recognise=self._recognise,
            mcp=self._mcp,
            rng=self._rng,
        )
        self.sessions.append(session)
        if not self._arrived.full():
            self._arrived.put_nowait(session)
        try:
            await session.run()
        finally:
            self.sessions.remove(session)

    async def _synthesise(self, text: str, sample_rate: int) -> bytes:
        if self._speech is None:
            return hum(text, sample_rate)
        file = self._script.file if self._script is not None else None
        voice, rate = (file.voice, file.rate) if file is not None else ("en-us+f3", 165)
        return await self._speech.synthesiser.say(text, voice, sample_rate, rate)

    async def _recognise(self, pcm: bytes, sample_rate: int) -> str:
        grammar = self._script.grammar if self._script is not None else None
        if grammar is None or self._speech is None or self._speech.recogniser is None or not pcm:
            return ""
        found = await self._speech.recogniser.recognise(pcm, grammar.jsgf, sample_rate)
        return found.text if found.text is not None and found.score >= REJECT_BELOW else ""
