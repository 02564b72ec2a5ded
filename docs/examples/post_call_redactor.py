"""A post-call hook that works offline: takes names, e-mail addresses and long numbers out of a call's record, keeps the rest.

    agents:
      reception:
        post_call: {kind: python, entry_point: "post_call_redactor:keep"}

Put this file where the media host can import it. The files go to the folder POST_CALL_FOLDER (default `post-call`), readable
by their owner only. Rules this simple miss things: a name that the caller does not announce, a number said in words. They
are a place to begin.
"""

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

MAIL = re.compile(r"[\w.+-]+(?:@| at )[\w-]+(?:(?:\.| dot )[\w-]+)+", re.IGNORECASE)
NUMBER = re.compile(r"\+?\d(?:[ .()/-]{0,2}\d){6,18}")
ANNOUNCED = re.compile(r"\b((?i:my name is|this is|i am|i'm|name's)) [A-Z][\w'-]+(?: [A-Z][\w'-]+){0,2}")


def names_in(record: Mapping[str, object]) -> set[str]:
    """The names that the call's variables hold, in whole and in parts."""
    variables = record.get("inputVariables")
    found = set()
    for key, value in (variables if isinstance(variables, dict) else {}).items():
        if "name" in key.lower():
            found |= {str(value), *str(value).split()}
    return {name for name in found if len(name) > 1}


def masker(names: set[str]) -> Callable[[str], str]:
    """A function that masks a text."""
    known = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))

    def mask(text: str) -> str:
        text = MAIL.sub("[e-mail]", text)
        text = NUMBER.sub(_number, text)
        text = ANNOUNCED.sub(r"\1 [name]", text)
        return re.sub(rf"(?i)\b(?:{known})\b", "[name]", text) if known else text

    return mask


def _number(found: re.Match[str]) -> str:
    digits = [int(digit) for digit in found[0] if digit.isdigit()]
    doubled = [
        digit if place % 2 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits), 1)
    ]
    return "[card]" if len(digits) >= 13 and sum(doubled) % 10 == 0 else "[number]"


def redacted(record: Mapping[str, object]) -> dict[str, object]:
    """A copy of the record without them. Ids, times and kinds stay, so that the file can be found again."""
    mask = masker(names_in(record))

    def walk(value: object) -> object:
        if isinstance(value, str):
            return mask(value)
        if isinstance(value, Mapping):
            return {key: walk(item) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list) else value

    said = ("inputVariables", "transcript", "outcome", "from")
    return {key: walk(value) if key in said else value for key, value in record.items()}


async def keep(record: Mapping[str, object]) -> None:
    """The hook: writes the redacted record."""
    folder = Path(os.environ.get("POST_CALL_FOLDER", "post-call"))
    await asyncio.to_thread(_write, folder / f"{record['callId']}.json", redacted(record))


def _write(path: Path, record: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.touch(0o600)
    new.write_text(json.dumps(record, ensure_ascii=False, indent=2))
    new.replace(path)
