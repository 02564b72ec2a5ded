"""Who may open an audio WebSocket: every check before the upgrade, in one place (design.md, decision 4).

ACS dials the address that it was given at the answer, so the token in its path is the first factor and ACS's own signature
the second. A token opens one connection. A later one of the same call (ACS cannot be given another address) is let in only
when ACS has signed it, the call goes on, and nobody carries its audio.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from websockets.datastructures import Headers, MultipleValuesError

from shared.calls.admission import MAX_AGE_S, heartbeats
from shared.calls.record import CallRecord
from shared.calls.replay import spend
from shared.calls.repository import Calls
from shared.errors import TokenRejected
from shared.security.acs_signature import AcsSignature
from shared.security.tokens import Audience, Claims, TokenVerifier
from shared.store.entities import EntityStore

log = logging.getLogger(__name__)

CONNECTION_HEADER, CORRELATION_HEADER = "x-ms-call-connection-id", "x-ms-call-correlation-id"
BIND_S = 2.0
"""How long to wait until the answer's connection id is recorded (s): ACS may dial us before it answers the function app."""
BIND_POLL_S = 0.05

RESUME_AGAIN_S = 2.0
"""How soon lost audio may try again to connect (s)."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Somebody who may come in: the call, ACS's id of it, and whether its audio was connected before."""

    record: CallRecord
    connection_id: str
    resumed: bool


class Door:
    """Checks upgrade requests.

    Args:
        host_id: this process.
        store: for used tokens and other hosts' heartbeats.
        calls: the same store's calls.
        verifier: our tokens.
        signature: ACS's.
        signature_required: whether `signature` checks anything.
        now: Unix seconds.
    """

    def __init__(
        self,
        *,
        host_id: str,
        store: EntityStore,
        calls: Calls,
        verifier: TokenVerifier,
        signature: AcsSignature,
        signature_required: bool,
        now: Callable[[], float],
    ) -> None:
        self._host_id = host_id
        self._store = store
        self._calls = calls
        self._verifier = verifier
        self._signature = signature
        self._signature_required = signature_required
        self._now = now

    async def check(self, token: str, headers: Headers) -> Entry:
        """Let in or raise.

        Raises:
            TokenRejected: with `reason`, for the log alone.
            Unavailable: the store or the keys cannot be read, so nobody can know.
        """
        claims, late = await self._claims(token)
        record = await self._calls.get(claims.tenant, claims.call_id)
        if record is None or not record.live:
            raise TokenRejected("call")
        connection_id = _single(headers, CONNECTION_HEADER)
        correlation_id = _single(headers, CORRELATION_HEADER)
        if not connection_id:
            raise TokenRejected("connection")
        if correlation_id and record.correlation_id and record.correlation_id != correlation_id:
            raise TokenRejected("correlation")
        await self._signature.verify(_single(headers, "authorization") or None, claims.tenant)
        await self._bind(record, connection_id)
        if claims.trace is not None:  # what it does hangs below what has let it come
            record = replace(record, trace=str(claims.trace))
        if not late and await spend(self._store, claims.jti, claims.expires_at):
            return Entry(record, connection_id, False)
        await self._resume(claims)
        return Entry(record, connection_id, True)

    async def _claims(self, token: str) -> tuple[Claims, bool]:
        """What the token says, and whether its time is over."""
        try:
            return await self._verifier.verify(token, Audience.ACS_MEDIA), False
        except TokenRejected as rejected:
            if rejected.reason != "expired":
                raise
        return await self._verifier.verify(token, Audience.ACS_MEDIA, allow_expired=True), True

    async def _bind(self, record: CallRecord, connection_id: str) -> None:
        """Tie the call to this connection id, unless it is tied to another.

        Without ACS's signature the id could be anybody's, so the function app gets the time to record the right one.
        """
        waited = 0.0
        known = record.call_connection_id
        while not known and not self._signature_required and waited < BIND_S:
            await asyncio.sleep(BIND_POLL_S)
            waited += BIND_POLL_S
            found = await self._calls.get(record.tenant, record.call_id)
            known = found.call_connection_id if found else ""
        if known and known != connection_id:
            raise TokenRejected("connection")
        if not await self._calls.bind_connection(record.call_id, connection_id):
            raise TokenRejected("connection")

    async def _resume(self, claims: Claims) -> None:
        """A used or expired token: only for audio that was connected and is lost (read again: it may have ended by now)."""
        record = await self._calls.get(claims.tenant, claims.call_id)
        if not self._signature_required or record is None or not record.live or record.settled:
            raise TokenRejected("replayed")
        media = record.media
        if not media.connections:
            raise TokenRejected("replayed")
        if not media.closed and record.recovering_at is None and media.host_id != self._host_id:
            now = self._now()
            beats = {beat.host_id: beat for beat in await heartbeats(self._store)}
            beat = beats.get(media.host_id)
            if beat is not None and now - beat.at <= MAX_AGE_S:
                raise TokenRejected("connected")
        # Of those who come at the same time, one. Not for ever: its connection may have broken before it was recorded.
        turn = f"media-resume-{media.connections}-{int(self._now() / RESUME_AGAIN_S)}"
        if not await self._calls.once(record.call_id, turn):
            raise TokenRejected("replayed")
        log.info("call %s: audio connects again", record.call_id)


def _single(headers: Headers, name: str) -> str:
    """The header's value, or ""; one that is given twice is refused."""
    try:
        return headers.get(name, "").strip()
    except MultipleValuesError:
        raise TokenRejected("header") from None
