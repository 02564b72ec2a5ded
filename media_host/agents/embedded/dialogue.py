"""A dialogue as a YAML file: intents, states, slots, tools, outcome. Read strictly; every mistake is named with file and path.

YAML's own trap is closed: unquoted `on`, `yes` or `1` as a key is refused with its line, instead of becoming `True` or a number.
`dialogues/order_desk.yaml` is the example, with every field explained.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import yaml

from media_host.agents.embedded.grammar import Grammar, PatternError, build_grammar
from media_host.speech.synthesiser import VOICE
from shared.errors import ConfigurationError

FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)(?::(spell))?\}")
KEY = re.compile(r"[0-9*#A-D]")
MAX_FILE = 256 * 1024

type Milliseconds = Annotated[int, msgspec.Meta(ge=100, le=60_000)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base: an unknown key is a mistake."""


class Listening(_Strict, frozen=True):
    """How to listen; ms. `reject_below` is a score of `recogniser.Recognition`: below it, it was something else."""

    hang_ms: Milliseconds = 500
    max_ms: Milliseconds = 8000
    no_input_ms: Milliseconds = 7000
    reject_below: float = -32.0


class Slot(_Strict, frozen=True):
    """A number to fill by speech or keys.

    Attributes:
        name: the variable it goes to.
        digits: most digits; keys end with `#`, or by themselves when all are there.
        min_digits: fewest digits, or 0 for exactly `digits`.
        filled: the state after keys.
        confirm: the state after speech, which reads it back; "" goes to `filled`.
        secret: the transcript shows only how many digits there were.
    """

    name: str
    digits: Annotated[int, msgspec.Meta(ge=1, le=20)]
    filled: str
    min_digits: Annotated[int, msgspec.Meta(ge=0, le=20)] = 0
    confirm: str = ""
    secret: bool = True

    @property
    def bounds(self) -> tuple[int, int]:
        """Fewest and most digits."""
        return (self.min_digits or self.digits, self.digits)


class Tool(_Strict, frozen=True):
    """A tool to call: its arguments are templates, `save` puts fields of its result into variables."""

    name: str
    done: str
    failed: str
    args: dict[str, str] = {}
    save: dict[str, str] = {}


class End(_Strict, frozen=True):
    """How the conversation ends here; the maps' values are templates.

    With `failed` it goes on in that state when the caller could not be handed over to `target`; both maps are then
    handed over as one.
    """

    outcome: Literal["AGENT", "SYSTEM"]
    reason: str
    target: str = ""
    failed: str = ""
    reference: dict[str, str] = {}
    transfer: dict[str, str] = {}


class State(_Strict, frozen=True):
    """One step. It ends, calls a tool, goes on at once (`next`), or listens (`go`, `keys`, `slot`).

    Attributes:
        say: what is said on entering it; a template.
        again: what is said after a failure instead of `say`.
        say_keys: said instead of `say` when there is no speech recognition.
        barge_in: whether speech interrupts the prompt.
        hang_ms: silence that ends an utterance (ms), or 0 for the dialogue's.
        go: intent to state.
        keys: key to state.
    """

    say: str = ""
    again: str = ""
    say_keys: str = ""
    barge_in: Literal["never", "speech"] = "speech"
    hang_ms: Annotated[int, msgspec.Meta(ge=0, le=5000)] = 0
    go: dict[str, str] = {}
    keys: dict[str, str] = {}
    slot: Slot | None = None
    next: str = ""
    tool: Tool | None = None
    end: End | None = None

    @property
    def listens(self) -> bool:
        """The caller is to say or key something here."""
        return bool(self.go or self.keys or self.slot)

    @property
    def takes_keys(self) -> bool:
        """A key means something here."""
        return bool(self.keys or self.slot)

    def targets(self) -> Iterator[tuple[str, str]]:
        """Every state it can lead to, with the path of the reference."""
        yield from ((f"go.{intent}", state) for intent, state in self.go.items())
        yield from ((f"keys.{key}", state) for key, state in self.keys.items())
        if self.next:
            yield "next", self.next
        if self.slot:
            yield "slot.filled", self.slot.filled
            if self.slot.confirm:
                yield "slot.confirm", self.slot.confirm
        if self.tool:
            yield "tool.done", self.tool.done
            yield "tool.failed", self.tool.failed
        if self.end and self.end.failed:
            yield "end.failed", self.end.failed


class Texts(_Strict, frozen=True):
    """What the agent says in every dialogue."""

    no_match: str = "Sorry, I did not understand that."
    no_input: str = "Are you still there?"
    interrupted: str = "Sorry, the line was interrupted."
    keys_only: str = "I have no speech recognition here, so please use the keys of your phone."


class Head(_Strict, frozen=True):
    """The file without its states.

    Attributes:
        name: of the dialogue; the task of an outcome, when the call brought none.
        start: the first state.
        no_match: the state after three failures in a row.
        no_input: the state after three silences in a row.
        resume: where a call goes on that was interrupted, or "" for `start`.
        tasks: task name to its first state.
        anywhere: intent to state, in every state that listens for intents.
        vars: variables with their first values; the call's own come on top.
    """

    name: str
    start: str
    no_match: str
    no_input: str
    resume: str = ""
    voice: str = "en-us"
    rate: Annotated[int, msgspec.Meta(ge=80, le=450)] = 165
    listen: Listening = Listening()
    texts: Texts = Texts()
    tasks: dict[str, str] = {}
    macros: dict[str, str] = {}
    intents: dict[str, list[str]] = {}
    anywhere: dict[str, str] = {}
    vars: dict[str, str] = {}


class Dialogue:
    """A checked dialogue: `head`, `states`, and each listening state's grammar. It is shared by calls and never changes."""

    def __init__(self, source: str, head: Head, states: Mapping[str, State]) -> None:
        self.source = source
        self.head = head
        self.states = states
        self.grammars: dict[str, Grammar | None] = {}
        self._check()

    def grammar(self, state: str) -> Grammar | None:
        """What can be said in a state, or None."""
        return self.grammars.get(state)

    def unknown_words(self, dictionary: frozenset[str]) -> list[str]:
        """Words of the grammars that the recogniser's dictionary does not have, sorted."""
        words: set[str] = set()
        for grammar in self.grammars.values():
            if grammar is not None:
                body = re.sub(r"<\w+>", " ", grammar.jsgf.split("public", 1)[1])
                words |= set(re.findall(r"[a-z]+(?:'[a-z]+)*", body))
        return sorted(words - dictionary)

    def _wrong(self, path: str, expected: str, found: str | None = None) -> ConfigurationError:
        return ConfigurationError(f"{self.source}: {path}", expected, found)

    def _check(self) -> None:
        if not VOICE.fullmatch(self.head.voice):
            raise self._wrong("voice", "an espeak-ng voice such as en-us+f3", self.head.voice)
        roots = {"start": self.head.start, "no_match": self.head.no_match, "no_input": self.head.no_input}
        if self.head.resume:
            roots["resume"] = self.head.resume
        roots |= {f"tasks.{task}": state for task, state in self.head.tasks.items()}
        roots |= {f"anywhere.{intent}": state for intent, state in self.head.anywhere.items()}
        for path, target in roots.items():
            self._known(path, target)
        for intent in self.head.anywhere:
            self._known_intent(f"anywhere.{intent}", intent)
        for name, state in self.states.items():
            self._check_state(name, state)
        reached: set[str] = set()
        waiting = list(roots.values())
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting.extend(target for _, target in self.states[name].targets())
        for name in self.states:
            if name not in reached:
                raise self._wrong(f"states.{name}", "a state that can be reached")

    def _check_state(self, name: str, state: State) -> None:
        path = f"states.{name}"
        kinds = [bool(state.next), state.tool is not None, state.end is not None, state.listens]
        if sum(kinds) != 1:
            raise self._wrong(path, "exactly one of next, tool, end, or listening (go, keys, slot)")
        for where, target in state.targets():
            self._known(f"{path}.{where}", target)
        for key in state.keys:
            if not KEY.fullmatch(key):
                raise self._wrong(f"{path}.keys", "keys 0-9, *, # or A-D", key)
        for intent in state.go:
            self._known_intent(f"{path}.go", intent)
        if state.slot and state.slot.min_digits > state.slot.digits:
            raise self._wrong(f"{path}.slot.min_digits", "at most `digits`")
        if state.end and state.end.failed and not (state.end.target and state.end.outcome == "AGENT"):
            raise self._wrong(f"{path}.end.failed", "an outcome AGENT with a `target`")
        seen, following = {name}, state.next
        while following:
            if following in seen:
                raise self._wrong(f"{path}.next", "a way that ends", following)
            seen.add(following)
            following = self.states[following].next if following in self.states else ""
        if state.listens:
            intents = {**state.go, **self.head.anywhere} if state.go or state.slot else {}
            self.grammars[name] = self._grammar(path, intents, state.slot)

    def _grammar(self, path: str, intents: Mapping[str, str], slot: Slot | None) -> Grammar | None:
        patterns = [(intent, self.head.intents[intent]) for intent in intents]
        for intent, texts in patterns:
            try:
                build_grammar([(intent, texts)], self.head.macros)
            except PatternError as error:
                raise self._wrong(f"intents.{intent}", f"a pattern ({error})") from error
        return build_grammar(patterns, self.head.macros, slot.bounds if slot else (0, 0))

    def _known(self, path: str, target: str) -> None:
        if target not in self.states:
            raise self._wrong(path, "the name of a state", target)

    def _known_intent(self, path: str, intent: str) -> None:
        if not self.head.intents.get(intent):
            raise self._wrong(path, "the name of an intent that has patterns", intent)


class _Loader(yaml.SafeLoader):
    """Safe YAML whose mappings have strings as keys, each once."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, object]:
    result: dict[str, object] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(
                None, None, f"line {line}: the key {key_node.value!r} needs quotes (YAML reads it as {key!r})"
            )
        if key in result:
            raise yaml.constructor.ConstructorError(
                None, None, f"line {line}: the key {key!r} is there twice"
            )
        result[key] = loader.construct_object(value_node, deep=True)
    return result


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def parse_dialogue(text: str, source: str) -> Dialogue:
    """Read a dialogue from YAML text.

    Args:
        text: the YAML.
        source: its name, for messages.

    Raises:
        ConfigurationError: any mistake, with `source` and the path in it.
    """
    if len(text) > MAX_FILE:
        raise ConfigurationError(source, f"at most {MAX_FILE} characters")
    try:
        raw = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigurationError(source, f"YAML ({error})") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("states"), dict):
        raise ConfigurationError(source, "a mapping with `states`")
    raw_states = raw.pop("states")
    head = _convert(raw, Head, source, "")
    states = {name: _convert(value, State, source, f"states.{name}") for name, value in raw_states.items()}
    return Dialogue(source, head, states)


def _convert[T](raw: object, kind: type[T], source: str, path: str) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        full = f"{source}: {path}{where.rstrip('`')}".replace(": .", ": ").rstrip(": ")
        raise ConfigurationError(full, f"another value ({message})") from error


@functools.lru_cache(maxsize=16)
def load_dialogue(path: Path) -> Dialogue:
    """Read a dialogue file, once per process.

    Raises:
        ConfigurationError: it cannot be read, or has a mistake.
    """
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), f"a readable dialogue file ({type(error).__name__})") from error
    return parse_dialogue(text, str(path))


def fill(template: str, variables: Mapping[str, str], hidden: frozenset[str] = frozenset()) -> str:
    """Put variables into a template: `{name}`, or `{name:spell}` for one character at a time.

    Args:
        template: the text; an unknown name becomes nothing.
        variables: names and values.
        hidden: names whose values are shown as their length only (`[5 digits]`).
    """

    def value(match: re.Match[str]) -> str:
        name, spell = match.groups()
        text = variables.get(name, "")
        if name in hidden:
            return f"[{len(text)} digits]"
        return ", ".join(text) if spell else text

    return FIELD.sub(value, template)
