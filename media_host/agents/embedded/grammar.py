"""What a caller may say in one state: small patterns that become a JSGF grammar and, from the same source, a regular expression.

A pattern is words with `|` for a choice, `( )` for a group, `[ ]` for what may be left out and `<name>` for a macro:
`"where is (my | the) <order> [please]"`. The recogniser gets the JSGF; the text it returns is mapped back to its intent by the
regular expression.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TOKEN = re.compile(r"\s*(?:([a-z]+(?:'[a-z]+)*)|<([a-z_]+)>|([|()\[\]]))")
DIGITS = {
    "zero": "0",
    "oh": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
MAX_DEPTH = 20


class PatternError(ValueError):
    """A pattern has a mistake; the text says which."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled pattern: JSGF expansion, regular expression over words that each end in a space, and the words in it."""

    jsgf: str
    regex: str
    words: frozenset[str]


def compile_pattern(text: str, macros: Mapping[str, str], depth: int = 0) -> Pattern:
    """Compile one pattern; macros are put in as groups.

    Raises:
        PatternError: unknown macro, macros in a circle, unbalanced brackets, an empty choice, or a character that is no pattern.
    """
    if depth > MAX_DEPTH:
        raise PatternError("macros refer to each other in a circle")
    tokens: list[Pattern | str] = []
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = TOKEN.match(text, position)
        if match is None:
            raise PatternError(
                f"cannot read {text[position:].strip()[:20]!r}: lower-case words, | ( ) [ ] <macro>"
            )
        word, macro, sign = match.groups()
        if word:
            tokens.append(Pattern(word, f"{re.escape(word)} ", frozenset((word,))))
        elif macro:
            if macro not in macros:
                raise PatternError(f"no macro <{macro}>")
            tokens.append(compile_pattern(f"({macros[macro]})", macros, depth + 1))
        else:
            tokens.append(sign)
        position = match.end()
    pattern, rest = _choice(tokens)
    if rest:
        raise PatternError(f"{rest[0]!r} has no partner")
    return pattern


def _choice(tokens: list[Pattern | str]) -> tuple[Pattern, list[Pattern | str]]:
    options: list[Pattern] = []
    sequence: list[Pattern] = []
    while True:
        first = tokens[0] if tokens else ")"
        if isinstance(first, Pattern):
            sequence.append(first)
        elif first in ("(", "["):
            inner, tokens = _choice(tokens[1:])
            closing = ")" if first == "(" else "]"
            if not tokens or tokens[0] != closing:
                raise PatternError(f"{first!r} has no partner")
            optional = first == "["
            jsgf = f"[{inner.jsgf}]" if optional else f"({inner.jsgf})"
            sequence.append(Pattern(jsgf, f"(?:{inner.regex}){'?' if optional else ''}", inner.words))
        else:
            if not sequence:
                raise PatternError("an empty choice")
            options.append(
                Pattern(
                    " ".join(item.jsgf for item in sequence),
                    "".join(item.regex for item in sequence),
                    frozenset().union(*(item.words for item in sequence)),
                )
            )
            sequence = []
            if first != "|":
                break
        tokens = tokens[1:]
    words: frozenset[str] = frozenset().union(*(item.words for item in options))
    return (
        Pattern(" | ".join(item.jsgf for item in options), "|".join(item.regex for item in options), words),
        tokens,
    )


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a text means in a state: an intent, or the digits of its slot."""

    intent: str = ""
    digits: str = ""


@dataclass(frozen=True, slots=True)
class Grammar:
    """Everything that may be said in one state.

    Attributes:
        jsgf: for the recogniser.
        intents: name and regular expression, first match wins.
        digits: fewest and most digits of a spoken number, or (0, 0) for none.
    """

    jsgf: str
    intents: tuple[tuple[str, re.Pattern[str]], ...]
    digits: tuple[int, int]

    def meaning(self, text: str) -> Meaning | None:
        """The meaning of a recognised text, or None when it is not of this grammar."""
        line = text + " "
        for intent, regex in self.intents:
            if regex.fullmatch(line):
                return Meaning(intent=intent)
        spoken = [DIGITS.get(word, "") for word in text.split()]
        if self.digits[1] and all(spoken) and self.digits[0] <= len(spoken) <= self.digits[1]:
            return Meaning(digits="".join(spoken))
        return None


def build_grammar(
    intents: Iterable[tuple[str, Iterable[str]]], macros: Mapping[str, str], digits: tuple[int, int] = (0, 0)
) -> Grammar | None:
    """The grammar of a state, or None when nothing can be said in it.

    Args:
        intents: names and their patterns.
        macros: for the patterns.
        digits: fewest and most digits of a spoken number; (0, 0) for none.

    Raises:
        PatternError: see `compile_pattern`.
    """
    compiled: list[tuple[str, re.Pattern[str]]] = []
    choices: list[str] = []
    for name, patterns in intents:
        parts = [compile_pattern(text, macros) for text in patterns]
        choices.extend(part.jsgf for part in parts)
        compiled.append((name, re.compile("|".join(part.regex for part in parts))))
    rules = ""
    if digits[1]:
        choices.append("<number>")
        number = " ".join(["<digit>"] * digits[0] + ["[<digit>]"] * (digits[1] - digits[0]))
        rules = f"<number> = {number};\n<digit> = {' | '.join(DIGITS)};\n"
    if not choices:
        return None
    return Grammar(
        f"#JSGF V1.0;\ngrammar state;\npublic <state> = {' | '.join(choices)};\n{rules}",
        tuple(compiled),
        digits,
    )
