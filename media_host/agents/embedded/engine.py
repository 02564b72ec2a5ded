"""The dialogue as a state machine without I/O: what happened and the time go in, what to do comes out.

Inputs: the start, a text that was recognised (or none), a key, the end of the prompts, a tool's result, and the passing of time.
Outputs: `Say`, `Listen`, `Interrupt`, `CallTool`, `Finish`, in the order they are to be done. Times are milliseconds on any clock
that does not go back.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from media_host.agents.base import Ended, TransferType
from media_host.agents.embedded.dialogue import Dialogue, End, State, fill
from media_host.agents.embedded.grammar import Grammar
from media_host.speech.synthesiser import MAX_TEXT

FAILURES = 3
"""So many failures, or silences, in a row and the dialogue goes to its `no_match`, or `no_input`, state."""
BETWEEN_KEYS_MS = 4000.0
LATE_HASH_MS = 3000.0
"""A `#` within this time after a number that was complete without it belongs to that number."""
TOOL_MS = 8000.0
HANDOVER = "transfer_to_human"
MAX_VALUE = 1000
"""Longest value of a variable (characters)."""


@dataclass(frozen=True, slots=True)
class Say:
    """Speak `text`; `shown` is what the transcript says (secret digits are only counted)."""

    text: str
    shown: str
    interruptible: bool


@dataclass(frozen=True, slots=True)
class Listen:
    """From now on the caller may say what is in `grammar` (None: keys only)."""

    grammar: Grammar | None
    hang_ms: int
    max_ms: int


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A key was pressed: drop the prompts that have not been heard."""


@dataclass(frozen=True, slots=True)
class CallTool:
    """Call a tool; its answer comes back with the same `id`."""

    id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """What the transcript shows of the caller's words or keys."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The last action: the conversation is over."""

    ended: Ended


type Action = Say | Listen | Interrupt | CallTool | CallerSaid | Finish


class Engine:
    """One conversation.

    Args:
        dialogue: the checked dialogue.
        variables: of the call; they come on top of the dialogue's own.
        task: the job to start with; "" or an unknown one starts at the dialogue's start.
        speech: whether there is speech recognition.
    """

    def __init__(self, dialogue: Dialogue, variables: Mapping[str, str], *, task: str, speech: bool) -> None:
        self._dialogue = dialogue
        self._task = task
        self._speech = speech
        self._variables = {
            **dialogue.head.vars,
            **{name: text[:MAX_VALUE] for name, text in variables.items()},
        }
        self._secret: set[str] = set()
        self._name = ""
        self._digits = ""
        self._misses = 0
        self._silences = 0
        self._tools = 0
        self._tool = ""
        self._protected = False  # a prompt that must not be interrupted is being spoken
        self._no_hash_before = 0.0
        self._ended = False
        self.deadline: float | None = None
        """When `poll` wants to be called (ms), or None."""

    @property
    def ended(self) -> bool:
        """After `Finish`."""
        return self._ended

    @property
    def state(self) -> str:
        """The name of the current state."""
        return self._name

    @property
    def takes_keys(self) -> bool:
        """A key means something now."""
        state = self._listening()
        return state is not None and state.takes_keys

    @property
    def reject_below(self) -> float:
        """Recognitions with a lower score are failures."""
        return self._dialogue.head.listen.reject_below

    def start(self, now: float, *, resumed: bool = False) -> list[Action]:
        """Begin, or go on after the line was interrupted."""
        head = self._dialogue.head
        actions: list[Action] = []
        if resumed:
            actions.append(Say(head.texts.interrupted, head.texts.interrupted, True))
        if not self._speech:
            actions.append(Say(head.texts.keys_only, head.texts.keys_only, True))
        first = head.tasks.get(self._task, head.start)
        return actions + self._enter((head.resume or first) if resumed else first, now)

    def heard(self, text: str | None, now: float) -> list[Action]:
        """An utterance has ended: its recognised text, or None when it was nothing of the grammar."""
        state = self._listening()
        if state is None:
            return []
        grammar = self._dialogue.grammar(self._name)
        meaning = grammar.meaning(text) if grammar and text else None
        if meaning is None:
            return self._failed(now)
        self._succeeded()
        if meaning.intent:
            target = state.go.get(meaning.intent) or self._dialogue.head.anywhere[meaning.intent]
            return [CallerSaid(text or ""), *self._enter(target, now)]
        slot = state.slot
        if slot is None:
            return self._failed(now)
        shown = self._fill_slot(meaning.digits, text or "")
        return [CallerSaid(shown), *self._enter(slot.confirm or slot.filled, now)]

    def key(self, key: str, now: float) -> list[Action]:
        """A key was pressed."""
        state = self._listening()
        if key == "#" and now < self._no_hash_before:
            self._no_hash_before = 0.0
            return []
        self._no_hash_before = 0.0
        if state is None or not state.takes_keys:
            return []
        actions: list[Action] = [] if self._protected else [Interrupt()]
        if key in state.keys and not self._digits:
            self._succeeded()
            return [*actions, CallerSaid("[1 key]"), *self._enter(state.keys[key], now)]
        if state.slot is None:
            return actions + self._failed(now)
        if key == "#":
            return actions + self._keys_done(now)
        if not key.isdigit():  # `*` and the letters begin again
            self._digits = ""
            self.deadline = now + BETWEEN_KEYS_MS
            return actions
        self._digits += key
        if len(self._digits) == state.slot.digits:
            self._no_hash_before = now + LATE_HASH_MS
            return actions + self._keys_done(now)
        self.deadline = now + BETWEEN_KEYS_MS
        return actions

    def speech_started(self) -> None:
        """The caller speaks: no silence to complain about."""
        if self._tool == "":
            self.deadline = None

    def prompts_played(self, now: float) -> None:
        """Everything said so far has been heard; the caller's turn."""
        self._protected = False
        if self._listening() is not None and not self._digits:
            self.deadline = now + self._dialogue.head.listen.no_input_ms

    def tool_result(self, id: str, output: Mapping[str, object], now: float) -> list[Action]:
        """A tool has answered; `error` in its output means it failed. An answer that is late or unknown is ignored."""
        if not self._tool or id != self._tool:
            return []
        self._tool = ""
        self.deadline = None
        state = self._dialogue.states[self._name]
        tool = state.tool
        if tool is None:  # a handover; if it succeeded, there is nobody to talk to any more
            failed = state.end.failed if state.end and "error" in output else ""
            return self._enter(failed, now) if failed else []
        if "error" in output:
            return self._enter(tool.failed, now)
        for variable, field in tool.save.items():
            self._variables[variable] = str(output.get(field, ""))[:MAX_VALUE]
        return self._enter(tool.done, now)

    def poll(self, now: float) -> list[Action]:
        """Time has passed; does something when `deadline` is over."""
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = None
        if self._tool:
            return self.tool_result(self._tool, {"error": "timeout"}, now)
        if self._digits:
            return self._keys_done(now)
        state = self._listening()
        if state is None:
            return []
        self._silences += 1
        if self._silences >= FAILURES:
            return self._enter(self._dialogue.head.no_input, now)
        return self._ask_again(self._dialogue.head.texts.no_input, state)

    def _listening(self) -> State | None:
        if self._ended or not self._name:
            return None
        state = self._dialogue.states[self._name]
        return state if state.listens else None

    def _keys_done(self, now: float) -> list[Action]:
        digits, self._digits = self._digits, ""
        slot = self._dialogue.states[self._name].slot
        if slot is None or not slot.bounds[0] <= len(digits) <= slot.bounds[1]:
            return self._failed(now)
        self._succeeded()
        self._fill_slot(digits, "")
        return [CallerSaid(f"[{len(digits)} keys]"), *self._enter(slot.filled, now)]

    def _fill_slot(self, digits: str, text: str) -> str:
        """Store a slot's value; returns what the transcript shows of it."""
        slot = self._dialogue.states[self._name].slot
        if slot is None:
            return text
        self._variables[slot.name] = digits
        if not slot.secret:
            return text
        self._secret.add(slot.name)
        return f"[{len(digits)} digits]"

    def _succeeded(self) -> None:
        self._misses = self._silences = 0

    def _failed(self, now: float) -> list[Action]:
        self._digits = ""
        self._misses += 1
        self._silences = 0
        if self._misses >= FAILURES:
            return self._enter(self._dialogue.head.no_match, now)
        return self._ask_again(self._dialogue.head.texts.no_match, self._dialogue.states[self._name])

    def _ask_again(self, text: str, state: State) -> list[Action]:
        self.deadline = None
        actions: list[Action] = [Say(text, text, True)]
        prompt = self._prompt(state)
        if state.again and (self._speech or not state.say_keys):
            prompt = self._say(state.again, state)
        return [*actions, *([prompt] if prompt else []), self._listen(state)]

    def _enter(self, name: str, now: float) -> list[Action]:
        """Go to a state, and on through `next` until something has to be waited for."""
        actions: list[Action] = []
        self.deadline = None
        self._digits = ""
        while True:
            self._name = name
            state = self._dialogue.states[name]
            if prompt := self._prompt(state):
                actions.append(prompt)
                self._protected = self._protected or not prompt.interruptible
            if not state.next:
                break
            name = state.next
        if state.end is not None and state.end.failed:
            actions.append(self._hand_over(state.end))
        elif state.end is not None:
            self._ended = True
            actions.append(Finish(self._outcome(state.end)))
        elif state.tool is not None:
            self.deadline = now + TOOL_MS
            actions.append(self._call(state.tool.name, self._filled(state.tool.args)))
        else:
            actions.append(self._listen(state))
        return actions

    def _call(self, name: str, arguments: Mapping[str, object]) -> CallTool:
        self._tools += 1
        self._tool = f"tool-{self._tools}"
        return CallTool(self._tool, name, arguments)

    def _hand_over(self, end: End) -> CallTool:
        """Ask for a person; the host needs as long as telephones ring, and always answers."""
        variables = self._filled({**end.reference, **end.transfer})
        arguments = {"target": end.target, "reason": end.reason, "variables": variables}
        return self._call(HANDOVER, arguments)

    def _filled(self, templates: Mapping[str, str]) -> dict[str, str]:
        return {name: fill(text, self._variables) for name, text in templates.items()}

    def _prompt(self, state: State) -> Say | None:
        template = state.say if self._speech or not state.say_keys else state.say_keys
        return self._say(template, state) if template else None

    def _say(self, template: str, state: State) -> Say:
        secret = frozenset(self._secret)
        return Say(
            " ".join(fill(template, self._variables).split())[:MAX_TEXT],
            " ".join(fill(template, self._variables, secret).split())[:MAX_TEXT],
            state.barge_in != "never",
        )

    def _listen(self, state: State) -> Listen:
        listen = self._dialogue.head.listen
        grammar = self._dialogue.grammar(self._name) if self._speech else None
        return Listen(grammar, state.hang_ms or listen.hang_ms, listen.max_ms)

    def _outcome(self, end: End) -> Ended:
        return Ended(
            TransferType(end.outcome),
            end.reason,
            end.target,
            self._task or self._dialogue.head.name,
            self._filled(end.reference),
            self._filled(end.transfer),
        )
