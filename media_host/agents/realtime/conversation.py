"""The conversation with a realtime model, whichever session carries it: responses, interruptions, tools, keys, words.

No socket here: events come in by `handle` and `audio`, frames go out by `send`. `agent` keeps a session under it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

from media_host.agents import prompting
from media_host.agents.base import AgentHost, AgentStart, Heard
from media_host.agents.realtime import server_events as model
from media_host.agents.realtime import told
from media_host.agents.realtime.client import CONFIGURATION, ModelClient
from media_host.agents.realtime.dialect import Dialect
from media_host.agents.realtime.errors import error_class
from media_host.agents.realtime.hearing import Hearing
from media_host.agents.realtime.interruptions import Interruptions
from media_host.agents.realtime.keys import Keys
from media_host.agents.realtime.mcp import McpServers
from media_host.agents.realtime.reports import Reports
from media_host.agents.realtime.responses import ANSWER, Ask, Responses
from media_host.agents.realtime.second_tries import SecondTries
from media_host.agents.realtime.session_setup import McpTool
from media_host.agents.realtime.speaking import Speaking
from media_host.agents.realtime.timers import Timers
from media_host.agents.realtime.tool_answers import ToolAnswers
from media_host.agents.realtime.tool_calls import ToolCalls
from media_host.agents.realtime.turn_taking import TurnTaking, is_manual, turns_update
from media_host.agents.realtime.waiting import Waiting
from shared.config.realtime import RealtimeAgentConfig
from shared.errors import AgentUnavailable

log = logging.getLogger(__name__)


class Conversation:
    """One call's.

    Args:
        config: the agent's entry in patchcord.yaml.
        dialect: the service's.
        start: what the call is about.
        host: the media host.
        mcp: servers whose tools the model's service calls.
        send: takes a frame to the model, or keeps it while there is no session.
        expired: called when the model says that the session has reached its age.

    Attributes:
        audio, handle, bad_frame: see `session.SessionOwner`.
        fault: reports that something is wrong.
    """

    def __init__(
        self,
        config: RealtimeAgentConfig,
        dialect: Dialect,
        start: AgentStart,
        host: AgentHost,
        *,
        mcp: Sequence[McpTool],
        send: Callable[[bytes], None],
        expired: Callable[[], None],
    ) -> None:
        self._config = config
        self._start = start
        self._host = host
        self._expired = expired
        self._reports = reports = Reports(host, self._end)
        self.fault = reports.fault
        self._timers = Timers()
        self._client = client = ModelClient(dialect, send)
        self._turns = turns = TurnTaking(config.barge_in, config.greeting_barge_in, greets=not start.resumed)
        self._responses = Responses(client.respond, self._not_taken_up)
        self._waiting = Waiting(self._late, self._give_up)
        self._speaking = Speaking(
            host,
            start.codec,
            barge_in=lambda response: turns.barge_in(greeting=response == self._greeting),
            on_voice=self._voice,
            bad=self.bad_frame,
        )
        self.audio = self._speaking.audio
        self._interruptions = Interruptions(client, self._speaking)
        self._hearing = Hearing(
            turns, self._timers, reports.event, transcribed=config.transcription is not None
        )
        calls, responses, timers = ToolCalls(start.tools), self._responses, self._timers
        self._tools = ToolAnswers(
            calls, client, responses, self._speaking, turns, timers, ask=self._ask, report=reports.event
        )
        self._keys = Keys(self._tell_keys)
        self._mcp = McpServers(mcp, self._greet, reports.delayed, reports.fault)
        self._greeting = ""  # the response that is it
        self._second_tries = SecondTries(
            reports, self._speaking, self._waiting, timers, ask=self._ask, quiet=lambda: host.quiet
        )
        self._lost_ask: Ask | None = None
        self._missed = False

    @property
    def over(self) -> bool:
        """Whether a fatal fault was reported, or the call has ended: nothing more is said to the host."""
        return self._reports.over

    # --- sessions --------------------------------------------------------------------------------------------

    @property
    def manual(self) -> bool:
        """How a new session is to be configured."""
        return self._turns.wanted

    @property
    def quiet(self) -> bool:
        """Whether nobody speaks, waits, or is about to: a good moment to change the session."""
        busy = self._waiting.on or self._tools.open or self._keys.waiting
        return not busy and self._hearing.complete and self._responses.idle and self._host.quiet

    def begin(self, *, manual: bool) -> None:
        """The first session is there, and has been told what `replay` says."""
        self._turns.configured(manual=manual)
        self._mcp.begin()

    def replay(self, *, history: bool = True) -> list[bytes]:
        """What a session must be told that begins now; `history`: and does not know what was said."""
        return told.replay(self._client, self._start, self._host, self._speaking, history=history)

    def leave(self) -> None:
        """The session is gone, or about to be: what it was doing ends here."""
        active, waited = self._responses.active, self._waiting.on
        asked = self._responses.lost()
        self._lost_ask = None
        if active and active == self._speaking.response:
            self._lost_ask = Ask("go_on")
            if active == self._greeting:
                self._turns.greeting_made({turn.name for turn in self._speaking.unheard})
        elif active:
            self._lost_ask = asked or ANSWER
        elif waited and self._responses.idle:
            self._lost_ask = ANSWER
        self._waiting.over()
        self._speaking.lost()
        self._interruptions.lost()
        self._missed = self._hearing.lost()
        self._tools.lost()
        self._second_tries.lost()

    def go_on(self, *, manual: bool, missed: bool) -> None:
        """Another session is there and has been told what was said; `missed`: it will not hear all that the caller said."""
        first, self._lost_ask = self._lost_ask, None
        self._turns.configured(manual=manual)
        if missed or self._missed:
            self._client.note(told.REPEAT)
            first = ANSWER
        elif first is not None and first.purpose == "go_on":
            self._client.note(told.GO_ON)
            first = ANSWER
        self._responses.resume(None if self._turns.listening else first)
        if not self._responses.idle:
            self._waiting.begin()
        self._sync()

    def _greet(self) -> None:
        """The agent's first words in a call; once, whatever happens to its sessions."""
        self._waiting.begin(first=True)
        if self._start.resumed:
            self._client.note(told.RESUMED)
            self._responses.ask(ANSWER)
        else:
            words = prompting.spoken(self._config.greeting, self._start.variables)
            self._responses.ask(Ask("greeting", words))

    # --- from the host; not after `over` ---------------------------------------------------------------------

    def send_key(self, key: str) -> None:
        """A key; the first of a group silences the agent."""
        if self._turns.listening:
            return
        if not self._keys.waiting and self._turns.keys_interrupt:
            self._cut(self._host.interrupt())
        self._keys.add(key)

    def _tell_keys(self, keys: str) -> None:
        self._client.keys(keys)
        self._ask()

    def flushed(self, heard: Sequence[Heard]) -> None:
        """The host let the caller interrupt: the model stops, and forgets what was not heard."""
        self._turns.flushed()
        self._cut(heard)

    def _cut(self, heard: Sequence[Heard]) -> None:
        for part in heard:
            self._turns.heard(part.turn)
        self._interruptions.cut(heard, self._responses.active)
        self._sync()

    def played(self, turn: str) -> None:
        """A turn was heard to its end."""
        self._speaking.played(turn)
        self._turns.heard(turn)
        if self._host.quiet and not self._responses.idle:
            self._waiting.begin()
        self._sync()

    def tool_result(self, id: str, output: Mapping[str, object]) -> None:
        """The answer to a tool call; a second one is dropped."""
        answer = self._tools.result(id, output)
        self._sync()
        if answer is not None:
            self._tools.give(answer)

    def tell(self, text: str) -> None:
        """Something that nobody said; the model answers."""
        self._client.note(text)
        self._ask()

    def say(self, text: str) -> None:
        """Words to be spoken.

        Raises:
            AgentUnavailable: the agent only listens.
        """
        if self._turns.listening:
            raise AgentUnavailable("the agent only listens")
        self._ask(Ask("answer", text))

    def listen_only(self) -> None:
        """From now on say nothing."""
        self._turns.listening = True
        self._keys.close()
        self._responses.forget()
        self._waiting.over()
        if self._responses.active:
            self._interruptions.cancel(self._responses.active)
        self._sync()

    def close(self) -> None:
        """The call is over: what was said is told, what was asked is answered."""
        self._tools.close()
        self._end()
        self._reports.over = True

    def _end(self) -> None:
        self._speaking.stop()
        self._responses.close()
        self._waiting.over()
        self._keys.close()
        self._mcp.close()
        self._timers.close()

    # --- to the model ----------------------------------------------------------------------------------------

    def _ask(self, ask: Ask = ANSWER) -> None:
        if self._turns.listening:
            return
        self._responses.ask(ask)
        if self._host.quiet:
            self._waiting.begin()

    def _sync(self) -> None:
        """Tell the session who takes turns, if that has changed."""
        wanted = self._turns.wanted
        if wanted != self._turns.asked:
            self._turns.asked = wanted
            self._client.configure(turns_update(self._config, manual=wanted))

    # --- from the model --------------------------------------------------------------------------------------

    def bad_frame(self, what: str) -> None:
        """A frame that is no event: the call goes on."""
        self.fault("bad_event", f"a frame of the model's is wrong ({what})")

    def handle(self, event: model.ServerEvent) -> None:
        """Any event but an audio delta in the usual shape."""
        if self.over:
            return
        match event:
            case model.AudioDelta():
                self._speaking.delta(event)
            case model.AudioDone():
                self._speaking.done(event)
            case model.AgentWordsDelta() | model.AgentWords() | model.WordTime():
                self._speaking.words(event)
            case model.AgentText():
                self._second_tries.wrote(event.response_id, event.text)
            case model.ResponseCreated():
                self._response_created(event.response_id)
            case model.ResponseDone():
                self._response_done(event)
            case model.CallerSpeechStarted():
                self._caller_started()
            case model.CallerSpeechStopped():
                answer = self._hearing.stopped(quiet=self._silent)
                if self._tools.caller_silent() or answer:
                    self._ask()
            case model.CallerCommitted():
                self._hearing.committed(event)
                if not self._turns.manual and self._host.quiet:
                    self._waiting.begin()
            case model.CallerWords(item_id=item, text=text):
                self._hearing.said(item, text)
            case model.CallerWordsFailed(item_id=item):
                self._hearing.said(item, "")
            case model.FunctionCall():
                self._tools.called(event)
                self._sync()
            case model.ItemAdded() | model.McpTools():
                self._mcp.event(event)
            case model.McpApproval():
                approve = self._mcp.approval(event)
                if approve is not None:
                    self._client.mcp_approval(event.approval_id, approve=approve)
            case model.McpCalled():
                self._tools.mcp_called()
            case model.SessionUpdated(session=session):
                self._turns.manual = is_manual(session, unless_said=self._turns.asked)
            case model.ModelError():
                self._error(event)
            case model.RateLimited(reset_s=reset_s):
                self._second_tries.reset_s = reset_s
            case model.Warned(code=code):
                log.info("realtime model: warning %s", code)
            case model.SessionCreated():
                pass  # the session itself has read it

    def _response_created(self, response: str) -> None:
        ask = self._responses.created(response)
        self._tools.answered()
        if self._turns.listening:
            self._interruptions.cancel(response)
            return
        if ask is not None and ask.purpose == "greeting":
            self._greeting = response
        if self._host.quiet:
            self._waiting.begin()

    def _response_done(self, event: model.ResponseDone) -> None:
        response = event.response_id
        ask = self._responses.asked_for if response == self._responses.active else None
        turns = self._speaking.response_done(response)
        self._interruptions.done(response)
        self._responses.done(response)
        if response == self._greeting:
            self._turns.greeting_made({turn.name for turn in turns if not turn.heard})
        with_tools = self._tools.belong_to(response)
        tried_again = self._second_tries.done(event, ask, silent=not turns and not with_tools)
        if with_tools and not tried_again:
            self._waiting.over()  # the tool has a clock of its own
        self._tools.response_done(response)
        self._responses.next()
        self._sync()

    def _voice(self) -> None:
        self._waiting.over()
        self._tools.answered()
        self._second_tries.voice()

    def _late(self) -> None:
        if self._host.quiet:
            self._reports.delayed("response_late")
        if self._responses.idle and not self._tools.open:
            self._responses.ask(ANSWER)  # a model that should have answered by itself and did not

    def _give_up(self) -> None:
        self.fault("response_late", "the realtime model did not begin to speak", fatal=True)

    def _not_taken_up(self) -> None:
        self.fault("response_not_begun", "the realtime model did not take up a request")

    @property
    def _silent(self) -> bool:
        """Whether the caller talks into silence, and not over something that must be heard first."""
        return self._host.quiet and not self._turns.greeting_is_protected

    def _caller_started(self) -> None:
        quiet = self._silent
        if quiet:
            self._waiting.over()
            if self._turns.manual and self._responses.active:
                self._interruptions.cancel(self._responses.active)  # an answer that nobody has heard yet
        self._hearing.started(quiet=quiet)

    def _error(self, event: model.ModelError) -> None:
        """By class, never by text: the text may quote our key, so it goes nowhere."""
        ours = event.event_id.startswith(CONFIGURATION)
        kind = "config" if ours else error_class(event.code, event.type)
        self._responses.refused(event.event_id, event.code)
        if kind == "benign":
            log.debug("realtime model: %s", event.code)
        elif kind == "expiry":
            self._expired()
        else:
            self.fault(event.code, "the realtime model reported an error", fatal=kind == "fatal")
