"""Speech to text inside a small grammar: pocketsphinx in a child process, shared by all calls.

This is no dictation: it finds which phrase of a JSGF grammar fits an utterance best, and says how well. English only; tested with
synthetic voices (`reference/embedded-agent.md`, section 3).
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from media_host.speech.child import Child

DECODE_S = 2.0
"""One decode may take this long (s); ordinary ones take some 0.1 s."""
WAIT_S = 5.0
"""The longest wait for a result (s), with all decodes queued before it; a later one would answer nobody."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was recognised.

    Attributes:
        text: lower-case words of the grammar, or None when nothing fitted at all.
        score: how much worse the words fit than free phones would, in log (base 1.0001) per 10 ms frame of speech: near 0 or
            above is a good fit, below about -32 it was probably something else.
    """

    text: str | None
    score: float


class Recogniser:
    """The client of the recogniser's child."""

    def __init__(self, *, decode_s: float = DECODE_S, wait_s: float = WAIT_S) -> None:
        self._child = Child("media_host.speech.recogniser_child", work_s=decode_s, wait_s=wait_s)

    @staticmethod
    def installed() -> bool:
        """Whether pocketsphinx is there (it is not loaded for this)."""
        return importlib.util.find_spec("pocketsphinx") is not None

    @property
    def child(self) -> Child:
        """The child process, for its health."""
        return self._child

    async def start(self) -> None:
        """Start the child.

        Raises:
            AgentUnavailable: pocketsphinx is not installed, or its model does not load.
        """
        await self._child.start()

    async def close(self) -> None:
        """End the child; idempotent."""
        await self._child.close()

    async def __aenter__(self) -> Self:
        """Start."""
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def prepare(self, grammar: str) -> None:
        """Compile a JSGF grammar ahead of its first use.

        Raises:
            AgentUnavailable: the decoder does not take it, or the child does not answer.
        """
        await self._child.request({"grammar": grammar, "prepare": True})

    async def recognise(self, pcm: bytes, grammar: str, sample_rate: int = 16000) -> Recognition:
        """Find the phrase of `grammar` in a whole utterance.

        Args:
            pcm: PCM16LE mono with a little silence around the speech.
            grammar: JSGF.
            sample_rate: of `pcm`, in Hz; other rates than 16000 are resampled in the child.

        Raises:
            AgentUnavailable: no result in time, or the decoder does not take the grammar.
        """
        answer, _ = await self._child.request({"grammar": grammar, "sample_rate": sample_rate}, pcm)
        text, score = answer.get("text"), answer.get("score")
        return Recognition(
            text if isinstance(text, str) else None, score if isinstance(score, float) else -1e6
        )


def dictionary_words() -> frozenset[str]:
    """Every word the recogniser knows, lower case; some 130 000, so read it for checks only.

    Raises:
        ModuleNotFoundError: pocketsphinx is not installed.
    """
    spec = importlib.util.find_spec("pocketsphinx")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pocketsphinx")
    text = (Path(spec.origin).parent / "model/en-us/cmudict-en-us.dict").read_text("utf-8")
    return frozenset(line.split(maxsplit=1)[0] for line in text.splitlines() if line)
