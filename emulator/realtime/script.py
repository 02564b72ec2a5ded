r"""Scripted turns: a small YAML file in place of a model's mind (see `scripts/order_desk.yaml`).

    voice: en-us+f3
    greeting: Hello, this is the order desk.
    otherwise: I am not sure what you mean.
    rules:
      - heard: ["where is my (order | parcel)"]
        say: Please key in your order number.
      - text: '\\[keypad\\] (?P<order_number>[0-9]{5})#?'
        call: {tool: lookup_order, arguments: {order_number: "{order_number}"}}
      - result: lookup_order
        where: {found: true}
        say: "{summary}"

The newest thing that was said, written or answered decides, and the first rule that fits it. `{name}` is a group of a rule's
text, or a field of a tool's result. A rule may say something, call a tool, or both; without either it keeps quiet.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from emulator.realtime.answers import Answer, Call, CallMcp, Json, Output, Prompt, Say, text_of
from media_host.agents.embedded.grammar import Grammar, PatternError, build_grammar
from shared.errors import ConfigurationError

SCRIPTS = Path(__file__).parent / "scripts"
FIELD = re.compile(r"\{([a-z_][a-z0-9_]*)\}")
REJECT_BELOW = -32.0
"""A worse fit than this (see `media_host.speech.recogniser.Recognition`) was not understood."""


class _Part(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


class ToolUse(_Part, frozen=True):
    """A function of the client's that is called; values may hold `{name}`, and so may those of an object among them."""

    tool: str
    arguments: dict[str, str | dict[str, str]] = {}


class McpUse(_Part, frozen=True):
    """A tool of an MCP server that is used, and what the server answers."""

    server: str
    tool: str
    arguments: dict[str, str] = {}
    output: str = "{}"


class Rule(_Part, frozen=True):
    """What to do when something happens; one of `heard`, `text` and `result`.

    Attributes:
        heard: patterns of what the caller says (as in the embedded agent's dialogues).
        text: regular expression, searched in a message of the client's, or in the instructions of a response.
        result: name of a tool that has answered.
        where: fields of that answer and their values.
        say: said first.
        call, mcp: a tool that is then used.
    """

    heard: list[str] = []
    text: str = ""
    result: str = ""
    where: dict[str, Any] = {}
    say: str = ""
    call: ToolUse | None = None
    mcp: McpUse | None = None


class ScriptFile(_Part, frozen=True):
    """A script as it is written.

    Attributes:
        rules: in the order in which they are tried.
        greeting: the first answer, when nothing has been said.
        otherwise: the answer when no rule fits.
        voice, rate: of espeak-ng; words per minute.
        macros: for the patterns.
        mcp: MCP servers that there are: names of their tools by label.
    """

    rules: list[Rule]
    greeting: str = ""
    otherwise: str = "I am sorry, I did not understand that."
    voice: str = "en-us+f3"
    rate: int = 165
    macros: dict[str, str] = {}
    mcp: dict[str, list[str]] = {}


class Script:
    """A script that can be followed.

    Args:
        file: as it is written.
        name: for messages.

    Raises:
        ConfigurationError: a pattern is wrong; names the place.
    """

    def __init__(self, file: ScriptFile, name: str = "script") -> None:
        self.file = file
        self._texts: list[re.Pattern[str] | None] = []
        for index, rule in enumerate(file.rules):
            if sum(map(bool, (rule.heard, rule.text, rule.result))) != 1:
                raise ConfigurationError(f"{name}: rules[{index}]", "one of heard, text and result")
            try:
                self._texts.append(re.compile(rule.text) if rule.text else None)
            except re.error as error:
                raise ConfigurationError(
                    f"{name}: rules[{index}].text", f"a regular expression ({error})"
                ) from None
        phrases = [(str(index), rule.heard) for index, rule in enumerate(file.rules) if rule.heard]
        try:
            self.grammar: Grammar | None = build_grammar(phrases, file.macros)
        except PatternError as error:
            raise ConfigurationError(f"{name}: rules", f"patterns ({error})") from None

    def mind(self) -> Answer:
        """A mind that follows the script, for one session."""
        return _Mind(self).answer

    def rule_for(self, item: Json) -> tuple[Rule | None, Mapping[str, str]]:
        """The rule that an item of the conversation calls for, and the fields that it gives."""
        output = item.get("output")
        if output is not None:
            return self._rule_for_result(str(item.get("name")), str(output))
        text = text_of(item)
        if any(part.get("type") == "input_audio" for part in item.get("content") or []):
            meaning = self.grammar.meaning(text) if self.grammar and text else None
            return (self.file.rules[int(meaning.intent)] if meaning else None), {}
        return self.rule_for_text(text)

    def rule_for_text(self, text: str) -> tuple[Rule | None, Mapping[str, str]]:
        """The rule for something written."""
        for rule, pattern in zip(self.file.rules, self._texts, strict=True):
            if pattern is not None and (match := pattern.search(text)):
                return rule, {key: value or "" for key, value in match.groupdict().items()}
        return None, {}

    def _rule_for_result(self, tool: str, output: str) -> tuple[Rule | None, Mapping[str, str]]:
        try:
            fields = json.loads(output)
        except ValueError:
            fields = {}
        if not isinstance(fields, dict):
            fields = {}
        shown = {key: str(value) for key, value in fields.items() if isinstance(value, str | int | float)}
        for rule in self.file.rules:
            if rule.result == tool and all(fields.get(key) == value for key, value in rule.where.items()):
                return rule, shown
        return None, shown


class _Mind:
    """One session's: the fields that were learned."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._fields: dict[str, str] = {}

    def answer(self, prompt: Prompt) -> Sequence[Output]:
        file = self._script.file
        found = self._fitting(prompt)
        if found is not None:
            return self._outputs(found, prompt)
        if any(item.get("role") == "user" or "output" in item for item in prompt.news):
            return [Say(self._filled(file.otherwise))]
        return [Say(self._filled(file.greeting))] if prompt.first and file.greeting else []

    def _fitting(self, prompt: Prompt) -> Rule | None:
        if prompt.instructions:
            rule, fields = self._script.rule_for_text(prompt.instructions)
            self._fields |= fields
            if rule is not None:
                return rule
        chosen: Rule | None = None
        for item in prompt.news:  # all give their fields, the newest with a rule decides
            rule, fields = self._script.rule_for(item)
            self._fields |= fields
            chosen = rule or chosen
        return chosen

    def _outputs(self, rule: Rule, prompt: Prompt) -> list[Output]:
        outputs: list[Output] = []
        call = rule.call
        if call is not None and call.tool not in prompt.tools:
            return [Say("I am sorry, I cannot do that here.")]
        if rule.say:
            outputs.append(Say(self._filled(rule.say)))
        if call is not None:
            outputs.append(Call(call.tool, self._all_filled(call.arguments)))
        if rule.mcp is not None:
            use = rule.mcp
            outputs.append(CallMcp(use.server, use.tool, self._all_filled(use.arguments), use.output))
        return outputs

    def _all_filled(self, values: Mapping[str, str | dict[str, str]]) -> dict[str, object]:
        return {
            key: self._filled(value) if isinstance(value, str) else self._all_filled({**value})
            for key, value in values.items()
        }

    def _filled(self, text: str) -> str:
        return FIELD.sub(lambda match: self._fields.get(match[1], ""), text)


def load_script(path: Path) -> Script:
    """Read a script.

    Raises:
        ConfigurationError: the file cannot be read, or is wrong; names the place.
    """
    try:
        file = msgspec.yaml.decode(path.read_bytes(), type=ScriptFile)
    except OSError as error:
        raise ConfigurationError(path.name, f"a readable file ({error.strerror})") from None
    except msgspec.ValidationError as error:
        text, _, place = str(error).partition(" - at `$.")
        raise ConfigurationError(f"{path.name}: {place.rstrip('`') or 'top level'}", text) from None
    except msgspec.DecodeError as error:
        raise ConfigurationError(path.name, f"YAML ({' '.join(str(error).split())})") from None
    return Script(file, path.name)
