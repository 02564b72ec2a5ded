"""Play sources to sound: files fetched over HTTP, text and SSML spoken by espeak-ng (acs.md 1.4; emulated voices only)."""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from emulator.acs.errors import RestError, invalid
from emulator.acs.operations.sounds import NotPlayable, read_wav
from emulator.acs.operations.ssml import BadSsml, Piece, read_ssml
from media_host.speech.synthesiser import MAX_TEXT
from shared.errors import AgentUnavailable, InvalidInput

log = logging.getLogger(__name__)

type Json = dict[str, Any]

KINDS = ("file", "text", "ssml")
MAX_SOURCES = 10
MAX_TEXT_CHARACTERS = 4000
"""Of a text source; SSML may be longer [DOC]."""
MAX_FILE = 32 * 1024 * 1024
FETCH_S = 10.0
CACHED_S = 3600.0
"""A sound with a `playSourceCacheId` is kept so long (s), whatever happens to its file [DOC]."""
MAX_CACHED = 64
DEFAULT_LOCALE = "en-US"
WHOLE_LOCALES = frozenset({"en-us", "en-gb", "fr-fr", "fr-be", "fr-ch", "pt-br", "es-419", "en-029"})
"""espeak-ng knows these by language and country; of others it gets the language."""
VOICE_NAME = re.compile(r"([a-z]{2,3})-([A-Za-z]{2,4})-\w+")
FALLBACK = "en-us+f3"


class Voice(Protocol):
    """A speech synthesiser."""

    async def say(self, text: str, voice: str, sample_rate: int) -> bytes:
        """`text` as PCM16LE mono."""


class SoundFailed(Exception):
    """A source cannot be played.

    Args:
        code: `resultInformation.code`.
        sub_code: `resultInformation.subCode`.
        message: `resultInformation.message`.
        index: which source of several.
    """

    def __init__(self, code: int, sub_code: int, message: str, index: int = 0) -> None:
        self.code = code
        self.sub_code = sub_code
        self.message = message
        self.index = index
        super().__init__(f"{code}/{sub_code}: {message}")


def check_source(value: object, field: str) -> Json:
    """See that a PlaySource has its kind and what belongs to it.

    Raises:
        RestError: 400/8523, or 400/8582 for an empty text ([NET] names the sub-code only; that the request is refused is guessed).
    """
    if not isinstance(value, dict):
        raise invalid(field)
    kind = str(value.get("kind", "")).lower()
    content = value.get(kind)
    if kind not in KINDS or not isinstance(content, dict):
        raise invalid(field)
    if kind == "file":
        uri = content.get("uri")
        if (
            not isinstance(uri, str)
            or urlsplit(uri).scheme not in ("http", "https")
            or not urlsplit(uri).hostname
        ):
            raise invalid(f"{field}.Uri")
        return value
    text = content.get("text" if kind == "text" else "ssmlText")
    if not isinstance(text, str):
        raise invalid(field)
    if not text.strip():
        raise RestError(400, "8582", "The play source's text or SSML is empty.")
    if kind == "text" and len(text) > MAX_TEXT_CHARACTERS:
        raise invalid(f"{field}.Text")
    return value


def check_sources(value: object, field: str) -> list[Json]:
    """See that there is at least one PlaySource, and no more than ten (guessed).

    Raises:
        RestError: 400/8523, 400/8582.
    """
    if not isinstance(value, list) or not 0 < len(value) <= MAX_SOURCES:
        raise invalid(field)
    return [check_source(source, field) for source in value]


def espeak_voice(name: str, locale: str = "", kind: str = "") -> str:
    """The espeak-ng voice for one of Azure's (`en-US-NancyNeural`): same language; `voiceKind` decides about the variant."""
    match = VOICE_NAME.match(name)
    locale = (locale or (f"{match[1]}-{match[2]}" if match else "") or DEFAULT_LOCALE).lower()
    language = locale if locale in WHOLE_LOCALES else locale.partition("-")[0]
    if language == "en":
        language = "en-us"
    variant = "m3" if kind.lower() == "male" else "f3"
    return f"{language}+{variant}"


def split_text(text: str, longest: int = MAX_TEXT) -> list[str]:
    """`text` in parts that the synthesiser takes, cut between words."""
    parts: list[str] = []
    while len(text) > longest:
        cut = text.rfind(" ", 1, longest)
        cut = cut if cut > 0 else longest
        parts.append(text[:cut])
        text = text[cut:].lstrip()
    return [*parts, text]


class Sounds:
    """Makes sound of play sources.

    Args:
        session: fetches files.
        voice: gives the synthesiser; asked when the first text is to be spoken.
    """

    def __init__(self, session: aiohttp.ClientSession, voice: Callable[[], Awaitable[Voice]]) -> None:
        self._session = session
        self._voice = voice
        self._cache: dict[tuple[str, int], tuple[float, bytes]] = {}

    async def pcm(self, source: Json, rate: int) -> bytes:
        """One source as PCM16LE mono at `rate` Hz.

        Raises:
            RestError: it has not the shape of a source.
            SoundFailed: 400/8535 no playable file, 400/8536 not to be fetched, 400/8565 not to be spoken.
        """
        check_source(source, "PlaySource")
        cache_id = source.get("playSourceCacheId")
        key = (cache_id, rate) if isinstance(cache_id, str) and cache_id else None
        if key is not None and key in self._cache and time.monotonic() - self._cache[key][0] < CACHED_S:
            return self._cache[key][1]
        kind = str(source["kind"]).lower()
        made = {"file": self._file, "text": self._text, "ssml": self._ssml}[kind]
        pcm = await made(source[kind], rate)
        if key is not None:
            while len(self._cache) >= MAX_CACHED:
                del self._cache[next(iter(self._cache))]
            self._cache[key] = (time.monotonic(), pcm)
        return pcm

    async def all(self, sources: list[Json], rate: int) -> bytes:
        """Several sources, one after the other.

        Raises:
            SoundFailed: of the first that fails; `index` says which.
        """
        parts = await asyncio.gather(*(self.pcm(source, rate) for source in sources), return_exceptions=True)
        sound = b""
        for index, part in enumerate(parts):
            if isinstance(part, SoundFailed):
                part.index = index
                raise part
            if isinstance(part, BaseException):
                raise part
            sound += part
        return sound

    async def _file(self, content: Json, rate: int) -> bytes:
        try:
            async with (
                asyncio.timeout(FETCH_S),
                self._session.get(content["uri"]) as response,
            ):
                if response.status != 200:
                    raise SoundFailed(400, 8536, "Action failed, file could not be downloaded.")
                data = bytearray()
                async for chunk in response.content.iter_chunked(65536):
                    data += chunk
                    if len(data) > MAX_FILE:
                        raise SoundFailed(400, 8535, "Action failed, file format is invalid.")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.info("a file to play could not be fetched: %s", type(error).__name__)
            raise SoundFailed(400, 8536, "Action failed, file could not be downloaded.") from None
        try:
            return await asyncio.to_thread(read_wav, bytes(data), rate)
        except NotPlayable as error:
            log.info("a file cannot be played: %s", error)
            raise SoundFailed(400, 8535, "Action failed, file format is invalid.") from None

    async def _text(self, content: Json, rate: int) -> bytes:
        voice = espeak_voice(
            str(content.get("voiceName") or ""),
            str(content.get("sourceLocale") or ""),
            str(content.get("voiceKind") or ""),
        )
        return await self._say(content["text"], voice, rate)

    async def _ssml(self, content: Json, rate: int) -> bytes:
        try:
            pieces = read_ssml(content["ssmlText"])
        except BadSsml as error:
            log.info("SSML cannot be spoken: %s", error)
            raise _not_spoken() from None
        return b"".join([await self._piece(piece, rate) for piece in pieces])

    async def _piece(self, piece: Piece, rate: int) -> bytes:
        spoken = await self._say(piece.text, espeak_voice(piece.voice), rate) if piece.text else b""
        return spoken + bytes(rate * piece.pause_ms // 1000 * 2)

    async def _say(self, text: str, voice: str, rate: int) -> bytes:
        try:
            speaker = await self._voice()
            parts = split_text(text)
            try:
                return b"".join([await speaker.say(part, voice, rate) for part in parts])
            except AgentUnavailable:
                # No such voice, most likely: the words matter more than the accent.
                return b"".join([await speaker.say(part, FALLBACK, rate) for part in parts])
        except (AgentUnavailable, InvalidInput) as error:
            log.warning("a text cannot be spoken: %s", error)
            raise _not_spoken() from None


def _not_spoken() -> SoundFailed:
    return SoundFailed(400, 8565, "Action failed, bad request to Azure AI services. Check input parameters.")
