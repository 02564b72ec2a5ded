"""Numbers that no record should keep: runs of seven digits and more, written or spoken, in any of their groupings."""

import re

LONGEST_KEPT = 6
"""Digits of a number that stays readable: an order number, a year, a room. Longer ones (telephone, card, account) are masked."""

_UNITS = "zero|oh|one|two|three|four|five|six|seven|eight|nine"
_TEENS = "ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen"
_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"
_BETWEEN_WORDS = "double|triple|dash|hyphen|minus|dot|point|plus|um|uh|er|erm"

# Between the digits of one number: blanks, dashes, dots, commas, parentheses, slashes, and what cannot be seen.
_MARKS = r"[\s\-\u00ad\u2010-\u2015\u2212.,·()/+\u200b-\u200d\u2060\ufeff]"
_NOT_IN_WORD = r"(?<![^\W\d_])"
_WORD_ENDS = r"(?![^\W\d_])"

_NUMBER = (
    rf"(?:\d|{_NOT_IN_WORD}(?:(?:{_TENS})(?:{_MARKS}{{1,3}}(?:{_UNITS}))?|{_TEENS}|{_UNITS}){_WORD_ENDS})"
)
_BETWEEN = rf"(?:{_MARKS}|{_NOT_IN_WORD}(?:{_BETWEEN_WORDS}){_WORD_ENDS}){{0,12}}"
_MANY = rf"(?:{_NOT_IN_WORD}(?:double|triple){_WORD_ENDS}{_MARKS}{{1,3}})?"
_RUN = re.compile(rf"{_MANY}{_NUMBER}(?:{_BETWEEN}{_NUMBER})*", re.IGNORECASE)
_COUNTED = re.compile(
    rf"(?P<many>double|triple)?{_MARKS}*(?:(?P<two>(?:{_TENS})(?:{_MARKS}{{1,3}}(?:{_UNITS}){_WORD_ENDS})?|{_TEENS})|\d|{_UNITS})",
    re.IGNORECASE,
)
_TIMES = {"": 1, "double": 2, "triple": 3}


def redacted(text: str) -> str:
    """`text` with every run of more than `LONGEST_KEPT` digits replaced by `[N digits]`; none of them is kept.

    A run may be grouped by blanks, dashes, dots, commas, parentheses and slashes, and may be spoken in English digit words
    ("four two double seven", "forty-two seventeen"), also mixed with figures. In doubt it is masked: two short numbers with
    nothing but a comma between them are one run. Numbers spoken over several lines are judged line by line.
    """
    return _RUN.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    count = sum(
        (2 if part["two"] else 1) * _TIMES[(part["many"] or "").lower()]
        for part in _COUNTED.finditer(found[0])
    )
    return f"[{count} digits]" if count > LONGEST_KEPT else found[0]
