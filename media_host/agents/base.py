"""The protocol between the media host and a voice agent.

The host owns time: the phone leg, pacing, the ledger of what was heard, flushing, recording, tools, drain and the
outcome. An agent owns only its dialect: it hears audio and keys, and tells its host what it wants said
(`reference/realtime.md` section 15). One agent object serves one call.

Audio crosses this border as base64 text in bytes, because both ACS and the realtime models carry it so: where formats
match, the host hands the caller's base64 on untouched and no sample is ever decoded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol


class Codec(StrEnum):
    """Audio formats: encoding and sample rate in Hz; always mono, PCM16 is little-endian."""

    PCM16_24K = "pcm16/24000"
    PCM16_16K = "pcm16/16000"
    PCM16_8K = "pcm16/8000"
    ULAW_8K = "ulaw/8000"

    @property
    def sample_rate(self) -> int:
        """Samples per second (Hz)."""
        return int(self.value.partition("/")[2])

    @property
    def bytes_per_ms(self) -> int:
        """Bytes of audio per millisecond: 48 at 24 kHz PCM16."""
        return self.sample_rate * (1 if self is Codec.ULAW_8K else 2) // 1000


@dataclass(frozen=True, slots=True)
class AgentCapabilities:
    """What an agent can do by itself.

    Attributes:
        codecs: formats it takes and gives, best first.
        detects_speech: it reports `SpeechStarted` itself; otherwise the host would have to.
        exact_say: `say()` speaks exactly the given words.
        minds_silence: it reminds a silent caller, and ends the call, by itself; otherwise the host does.
    """

    codecs: Sequence[Codec]
    detects_speech: bool
    exact_say: bool
    minds_silence: bool = False


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool that the agent may call.

    Attributes:
        name: unique within the call.
        description: what the agent is told.
        parameters: JSON Schema of the arguments, an object.
        while_running: `hold` keeps the agent from answering until the result is there; `listen` does not.
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    while_running: Literal["listen", "hold"] = "listen"


@dataclass(frozen=True, slots=True)
class AgentStart:
    """What an agent is told before the call's first audio.

    Attributes:
        call_id: our id of the call.
        codec: the line's audio format, both ways.
        task: the named job it starts with.
        variables: input variables; data, never instructions.
        tools: what it may call.
        resumed: the call was already talking and lost its media host; do not greet as if it had just begun.
    """

    call_id: str
    codec: Codec
    task: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    tools: Sequence[ToolSpec] = ()
    resumed: bool = False


class TransferType(StrEnum):
    """How a conversation ended: to a person, back to a system, or the caller was gone."""

    AGENT = "AGENT"
    SYSTEM = "SYSTEM"
    CALLER_DISCONNECT = "CALLER_DISCONNECT"


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The agent begins to say something.

    Attributes:
        turn: its own opaque name for it.
        barge_in: whether the caller may talk over it: `never`, as soon as `speech` begins, or when the speech is
            `confirmed` by its length. The host decides by this what `SpeechStarted` does.
    """

    turn: str
    barge_in: Literal["never", "speech", "confirmed"] = "speech"


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """All audio of `turn` has been given to the host (it may not have been heard yet)."""

    turn: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller began to speak, `ago_ms` ago. The host flushes playout (barge-in) unless the prompt forbids it."""

    ago_ms: int = 0


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The caller fell silent."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """When a word of a turn is spoken: `at_ms` from the turn's beginning, for `ms` milliseconds."""

    text: str
    at_ms: int
    ms: int


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said; for the agent's own words `turn` ties them to what was heard.

    Attributes:
        who: whose words.
        text: all of a turn, or a part of it in order.
        turn: the agent's name of the turn; "" for the caller.
        words: when each word is spoken, if the agent knows; by it a text is cut to what was heard.
    """

    who: Literal["caller", "agent"]
    text: str
    turn: str = ""
    words: Sequence[SpokenWord] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the conversation as it really was: of the agent's words only those that the caller heard.

    Attributes:
        who: whose words.
        text: the words.
        earlier: they were said in an earlier call of the same conversation, days ago perhaps.
    """

    who: Literal["caller", "agent"]
    text: str
    earlier: bool = False


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent wants `name` done; the host answers once with `tool_result`."""

    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Ended:
    """The agent is done; the host plays out what is left, stores the outcome, then transfers or hangs up.

    Attributes:
        outcome: AGENT (a person is wanted), SYSTEM (done, back to the system).
        reason: a short machine name for the record (`goodbye`, `no_match`, `asked_for_human`).
        target: a name under `transfers:` of the agent in patchcord.yaml, or "" to hang up.
        task: the task the agent was in last.
        reference: reference variables.
        transfer: transfer variables.
    """

    outcome: TransferType
    reason: str
    target: str = ""
    task: str = ""
    reference: Mapping[str, str] = field(default_factory=dict)
    transfer: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something went wrong. A fatal one is the agent's last word; the host apologises and ends or transfers."""

    code: str
    message: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class Delayed:
    """The caller waits (the model is late, or its connection is made anew): the host says so if nobody speaks.

    `code` is a machine name for the record.
    """

    code: str


type AgentEvent = (
    TurnStarted | TurnEnded | SpeechStarted | SpeechStopped | Transcript | ToolCall | Ended | Fault | Delayed
)


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a turn the caller heard before a flush: `heard_ms` of `made_ms` milliseconds."""

    turn: str
    heard_ms: int
    made_ms: int


class AgentHost(Protocol):
    """What the host offers its agent. All of it returns at once and may be called from the event loop only."""

    def audio(self, turn: str, data: bytes) -> None:
        """Speak: base64 text (bytes) of whole samples in the line's codec. Any length; the host paces it."""

    def event(self, event: AgentEvent) -> None:
        """Report; after `Ended` or a fatal `Fault` nothing more is taken."""

    def interrupt(self) -> Sequence[Heard]:
        """Flush what is not yet heard, now (keys pressed, a new prompt); returns what had been heard."""

    def history(self) -> Sequence[Said]:
        """The conversation so far, oldest first: what an agent must know that takes over, or a session that is renewed.

        A call that goes on with a conversation begins with what was said in the earlier calls (`Said.earlier`).
        """

    @property
    def quiet(self) -> bool:
        """Whether nothing of the agent's is waiting to be heard."""


class VoiceAgent(Protocol):
    """One voice agent in one call."""

    @property
    def capabilities(self) -> AgentCapabilities:
        """Fixed for the life of the object."""

    async def start(self, start: AgentStart, host: AgentHost) -> None:
        """Connect and configure; audio may flow from now on.

        Raises:
            AgentUnavailable: it cannot serve this call.
        """

    def send_audio(self, data: bytes) -> None:
        """One frame of the caller's audio as base64 text; never blocks, drops and counts when it cannot keep up."""

    def send_key(self, key: str) -> None:
        """One key: `0`-`9`, `*`, `#`, `A`-`D`."""

    def flushed(self, heard: Sequence[Heard]) -> None:
        """After a barge-in: the host has flushed; this is what the caller heard of each turn."""

    def played(self, turn: str) -> None:
        """All of `turn` has been heard."""

    async def send_text(self, text: str) -> None:
        """Tell the agent something that nobody said (the caller is silent, keys, what became of a transfer); it answers."""

    async def listen_only(self) -> None:
        """From now on transcribe and never speak: people are talking to each other."""

    async def tool_result(self, id: str, output: Mapping[str, object]) -> None:
        """Answer one `ToolCall`."""

    async def say(self, text: str) -> None:
        """Speak a text on the host's behalf (announcement of a transfer, the end of a drain)."""

    async def close(self) -> None:
        """End, in 2 s at most; idempotent."""
