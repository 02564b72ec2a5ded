"""What all calls of an emulator share, and the vocabulary of requests that make or change them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import aiohttp

from emulator.acs.dialler import Dialler
from emulator.acs.identifiers import Identifier
from emulator.acs.media import MediaOptions
from emulator.acs.signing import Signer
from emulator.pacing import Ticker

if TYPE_CHECKING:
    from emulator.acs.calls import Call

type Json = dict[str, Any]


class Sounds(Protocol):
    """Turns play sources into audio."""

    async def pcm(self, source: Json, rate: int) -> bytes:
        """A PlaySource as PCM16LE mono at `rate` Hz.

        Raises:
            RestError: it is no sound, or cannot be fetched.
        """


class CallState(StrEnum):
    """`callConnectionState` (acs.md 1.4)."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    TRANSFERRING = "transferring"
    TRANSFER_ACCEPTED = "transferAccepted"
    DISCONNECTED = "disconnected"


@dataclass(slots=True)
class Services:
    """What all calls of an emulator share.

    Attributes:
        session: for callbacks.
        signer: of callbacks and media connections.
        ticker: the one heartbeat.
        rng: shuffles callbacks.
        resource_id: of the ACS resource.
        sounds: for hold music; without it a held participant hears silence.
        dialler: makes all outgoing WebSockets.
        on_made: called with each connection before anybody hears of it.
        on_connected: called with each connection as it comes up.
    """

    session: aiohttp.ClientSession
    signer: Signer
    ticker: Ticker
    rng: random.Random
    resource_id: str
    sounds: Sounds | None = None
    dialler: Dialler = field(default_factory=Dialler)
    on_made: list[Callable[["Call"], None]] = field(default_factory=list)
    on_connected: list[Callable[["Call"], None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Operation:
    """What an operation on a call carries along: its context comes back in callbacks, which may go to an address of their own."""

    context: str | None = None
    callback_uri: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """What an answer, a createCall and a connect have in common, checked.

    Attributes:
        callback_uri: where the connection's callbacks go.
        api_version: they carry it.
        operation: context of the first callbacks.
        media: media streaming, or None.
        transcription: `transcriptionOptions` as they were sent, or None.
        answered_by: the app's own ACS user, or None.
        targets: who is called; empty for an answer.
        source_number: caller id that a called phone sees, or None.
        source_name: display name that the called see.
    """

    callback_uri: str
    api_version: str
    operation: Operation
    media: MediaOptions | None = None
    transcription: Json | None = None
    answered_by: Identifier | None = None
    targets: tuple[Identifier, ...] = ()
    source_number: str | None = None
    source_name: str = ""
