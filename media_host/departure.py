"""A call leaves this media host, which has to stop: ACS transfers the caller to our own identity, and another host goes on."""

import asyncio
import logging
from collections.abc import Callable

from media_host.call_part import CallPart
from media_host.handover_attempt import STORE_S, Attempt, Gone, HandoverResult, result_of
from shared.calls.events import EventKind, Json
from shared.calls.handovers import Phase
from shared.calls.moving import MODE, Moves
from shared.errors import CallGone, PatchcordError

log = logging.getLogger(__name__)

MOVE_S = 15.0
"""How long the way to another media host may take (s): nobody has to pick up a telephone there."""


class Departure(CallPart):
    """The move of one call; see `CallPart` for its arguments."""

    async def to_another_host(self, begins: Callable[[], None]) -> bool:
        """Move the caller; whether the call is no longer ours (or over).

        `begins` lets the caller know; then it hears beeps, until it is there. False: there is no other host, it may not be
        moved (`Moves.may_move`), or ACS or the other side has refused it: the caller is still here.
        """
        moves = self.services.moves
        if moves is None or not moves.may_move(self.record) or not await self._anywhere(moves):
            return False
        begins()
        attempt = Attempt(self.services, self.record, self.connection_id, self.log, self.voice)
        nothing: dict[str, Json] = {}
        self.log.note(EventKind.TRANSFER, target="media host", mode=MODE, attempt=attempt.id, outcome=nothing)
        # The new call may come before ACS has answered us, and must find this one leaving.
        if not await self.log.flush(STORE_S):
            attempt.phase(Phase.GIVEN_UP)
            return False
        try:
            async with asyncio.timeout(STORE_S):
                context = await moves.prepare(self.record)
            identity = self.services.config.recovery.identity
            await attempt.control.transfer(self.connection_id, identity, context, context=attempt.id)
        except CallGone:
            return True
        except (PatchcordError, TimeoutError) as error:
            log.warning("call %s: not moved: %s", self.record.call_id, str(error) or "the store is slow")
            attempt.phase(Phase.REFUSED)
            return False
        return await self._arrived(attempt)

    async def _anywhere(self, moves: Moves) -> bool:
        try:
            async with asyncio.timeout(STORE_S):
                return await moves.another_host(self.services.host_id)
        except (PatchcordError, TimeoutError) as error:
            log.warning("call %s: not moved: %s", self.record.call_id, str(error) or "the store is slow")
            return False

    async def _arrived(self, attempt: Attempt) -> bool:
        event = await attempt.answer(EventKind.TRANSFER_ACCEPTED, EventKind.TRANSFER_FAILED, within_s=MOVE_S)
        if isinstance(event, Gone) or (event is not None and event.kind is EventKind.TRANSFER_ACCEPTED):
            return True
        result = HandoverResult.NO_ANSWER if event is None else result_of(event)
        attempt.phase(Phase(result.value))
        return await attempt.names() == []
