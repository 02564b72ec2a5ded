"""Takes secrets out of what a service answers: some echo what they were sent."""

import re
from collections.abc import Iterable, Mapping

MASK = "[hidden]"


class Scrub:
    """Replaces secrets in JSON values.

    Args:
        secrets: texts, such as tokens.
        digits: pressed digits; found as a number of their own, and from six digits on also inside longer ones and in
            groups with spaces, dots or dashes between.
    """

    def __init__(self, secrets: Iterable[str], digits: Iterable[str]) -> None:
        patterns = [re.escape(secret) for secret in secrets if secret]
        for text in digits:
            if len(text) >= 6:
                patterns.append(r"[ .-]?".join(re.escape(key) for key in text))
            elif text:
                patterns.append(rf"(?<!\d){re.escape(text)}(?!\d)")
        self._pattern = re.compile("|".join(patterns)) if patterns else None

    def __call__(self, value: object) -> object:
        """A copy of `value` without them; a number that holds one becomes text."""
        if self._pattern is None:
            return value
        match value:
            case str():
                return self._pattern.sub(MASK, value)
            case bool():
                return value
            case int() | float():
                return MASK if self._pattern.search(str(value)) else value
            case Mapping():
                return {str(self(key)): self(item) for key, item in value.items()}
            case list():
                return [self(item) for item in value]
            case _:
                return value
