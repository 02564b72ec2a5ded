"""A call of 70 minutes, every 20 ms frame of it, over sessions that the service ends after 30: nobody notices.

The clock jumps (`tests.support.virtual_loop`), the sockets, playout, ledger and transcript are real.
"""

import asyncio
import base64
import json
import re
from http import HTTPStatus

from media_host.agents.base import Codec, Delayed, Ended, Fault, SpeechStarted, Transcript, TurnEnded
from media_host.agents.realtime.dialect import APPEND
from media_host.event_log import EventLog
from media_host.framing import Limits
from media_host.playout import Playout, Ticker
from media_host.transcript import TranscriptLog
from media_host.websocket import serve_protocol
from tests.media_host.agents.realtime.support import START, agent
from tests.support.realtime_server import delta, echo
from tests.support.virtual_loop import run_virtually

MINUTES = 70
FRAMES = MINUTES * 60 * 50
LIFE_S = 1800.0
TURN_FRAMES = 20 * 50
"""The caller says something every 20 s, for 2 s; every tenth time the agent is interrupted by it."""
SPEAKS_FRAMES = 100
ANSWER_S = 4
DELTAS = ANSWER_S * 10
TAIL = base64.b64encode(bytes(957))


def numbered(number):
    """20 ms of audio that hold a number."""
    return base64.b64encode(number.to_bytes(3)) + TAIL


def words(number):
    return " ".join(f"answer{number}word{at}" for at in range(20))


class Model:
    """Answers what it takes for speech by the caller's frame count; ends every session after LIFE_S."""

    def __init__(self, loop):
        self.loop = loop
        self.sessions = []

    async def __aenter__(self):
        limits = Limits(max_message=1 << 20)
        self._server = await self.loop.create_server(
            lambda: serve_protocol(self._accept, limits=limits), "127.0.0.1", 0
        )
        self.endpoint = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc):
        self._server.close()
        self._server.close_clients()
        await self._server.wait_closed()

    def _accept(self, connection, request):
        if not request.path.startswith("/v1/realtime"):
            connection.refuse(HTTPStatus.NOT_FOUND, "no")
            return
        Session(self, connection).begin(request)


class Session:
    """One connection, from the model's side."""

    def __init__(self, model, connection):
        self.model, self.connection = model, connection
        self.frames, self.heard, self.items, self.asked = [], [], [], []
        self.opened = model.loop.time()
        self.closed = None
        self.speaking = False
        model.sessions.append(self)

    def begin(self, request):
        self.connection.accept(request, self.on_text, self.on_close)
        self.send(type="session.created", session={"id": "s", "expires_at": self.opened + LIFE_S})
        self.model.loop.call_later(LIFE_S, self.connection.close, 1001)

    def send(self, **event):
        self.connection.send_text(json.dumps(event | {"event_id": "e"}, separators=(",", ":")).encode())

    def on_close(self, code, reason):
        self.closed = (code, self.model.loop.time())

    def on_text(self, frame):
        if frame.startswith(APPEND):
            start = len(APPEND)
            number = int.from_bytes(base64.b64decode(frame[start : start + 4]))
            self.frames.append(number)
            self.hear(number)
            return
        event = json.loads(frame)
        if event["type"] == "session.update":
            self.send(**echo(event))
        elif event["type"] == "conversation.item.create":
            self.items.append((event["item"]["role"], event["item"]["content"][0]["text"]))
        elif event["type"] == "response.create":
            self.asked.append(event)
            self.answer("greeting", "Good day.")

    def hear(self, number):
        turn, at = divmod(number, TURN_FRAMES)
        if not turn:
            return
        if at == 0 or (turn % 10 == 5 and at == SPEAKS_FRAMES + 100):  # 2 s into the answer
            self.speaking = True
            self.send(type="input_audio_buffer.speech_started", audio_start_ms=0, item_id="i")
        elif self.speaking and at in (SPEAKS_FRAMES, SPEAKS_FRAMES + 150):
            self.speaking = False
            item = f"item_{number}"
            self.send(type="input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=item)
            self.send(type="input_audio_buffer.committed", item_id=item, previous_item_id=None)
            self.send(
                type="conversation.item.input_audio_transcription.completed",
                item_id=item,
                content_index=0,
                transcript=f"question {number}",
            )
            self.heard.append(number)
            self.answer(f"{number}", words(number))

    def answer(self, name, text):
        response, item = f"resp_{name}", f"audio_{name}"
        self.send(type="response.created", response={"id": response})
        for _ in range(DELTAS):
            self.connection.send_text(
                json.dumps(delta(response, item, bytes(4800)), separators=(",", ":")).encode()
            )
        ids = {"response_id": response, "item_id": item}
        self.send(type="response.output_audio_transcript.done", transcript=text, **ids)
        self.send(type="response.done", response={"id": response, "status": "completed"})


class Host:
    """A session's playout and transcript, and nothing else of it."""

    def __init__(self, loop):
        self.agent = None
        self.bad, self.answers_ms, self.cut, self.remembered = [], [], [], []
        self._asked_at = None
        self._clock = lambda: loop.time() * 1000
        self._turn = ""
        self.playout = Playout(
            Codec.PCM16_24K,
            lambda data: None,
            self._clock,
            ticker=Ticker(self._clock),
            on_played=self._played,
        )
        self.log = TranscriptLog(EventLog(None, loop.time, "x"), loop.time)

    def _played(self, heard):
        self.log.heard(heard, interrupted=False)
        self.agent.played(heard.turn)

    def audio(self, turn, data):
        if turn != self._turn:
            self._turn = turn
            self.log.began(turn, self.playout.lead_ms)
            if self._asked_at is not None:
                self.answers_ms.append(self._clock() - self._asked_at)
                self._asked_at = None
        self.playout.push(turn, data)

    def event(self, event):
        match event:
            case SpeechStarted():
                self.log.caller_speaks()
                if not self.playout.idle:
                    heard = self.playout.flush()
                    for part in heard:
                        self.log.heard(part, interrupted=True)
                    self.cut += heard
                    self.agent.flushed(heard)
            case Transcript():
                self.log.said(event)
                if event.who == "caller":
                    self._asked_at = self._clock()
            case TurnEnded(turn=turn):
                self.playout.end(turn)
            case Fault() | Delayed() | Ended():
                self.bad.append(event)

    def interrupt(self):
        raise AssertionError("nobody pressed a key")

    def history(self):
        lines = self.log.history()
        if lines:
            self.remembered.append([(said.who, said.text) for said in lines[-20:]])
        return lines

    @property
    def quiet(self):
        return self.playout.idle


async def the_call():
    loop = asyncio.get_running_loop()
    host = Host(loop)
    async with Model(loop) as model:
        one = host.agent = agent(model.endpoint, now=loop.time, greeting="Good day.", max_session_s=7200)
        await one.start(START, host)
        spoken = asyncio.Event()

        def speak(number, at):
            one.send_audio(numbered(number))
            if number + 1 < FRAMES:
                loop.call_at(at + 0.02, speak, number + 1, at + 0.02)
            else:
                spoken.set()

        speak(0, loop.time())
        await spoken.wait()
        await asyncio.sleep(10)
        await one.close()
    return model.sessions, host


def test_seventy_minutes():
    sessions, host = run_virtually(the_call())
    first, second, third = sessions
    assert [frame for session in sessions for frame in session.frames] == list(range(FRAMES))
    assert [len(session.asked) for session in sessions] == [1, 0, 0], (
        "one greeting, and no other question of ours"
    )
    for session in (first, second):
        code, at = session.closed
        assert code == 1000 and LIFE_S - 300 <= at - session.opened <= LIFE_S - 240, "renewed in time"
    assert host.bad == []

    questions = [number for session in sessions for number in session.heard]
    assert len(questions) == len(host.answers_ms) > MINUTES * 3 - 3
    assert max(host.answers_ms) < 1000, "no silence"

    assert len(host.cut) > MINUTES * 3 // 10 - 3
    roles = {"user": "caller", "assistant": "agent"}
    for session, remembered in zip((second, third), host.remembered, strict=True):
        told = [(roles[role], text) for role, text in session.items]
        assert len(told) == 20 and told == remembered, "word for word what was heard"
        cut_short = [text for who, text in told if who == "agent" and len(text.split()) != 20]
        assert cut_short, "an answer that was interrupted is among it"
        for text in cut_short:
            number = int(re.match(r"answer(\d+)", text)[1])
            assert words(number).startswith(text)
