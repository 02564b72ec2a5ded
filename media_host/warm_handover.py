"""A warm handover: the person is called in, told who is there while the caller is on hold, and asked to confirm.

Whatever happens, nothing is left behind: an invitation is cancelled, a person who has not confirmed is put out of the call
again, and the caller is taken off hold (acs.md sections 1.3 and 7: a voicemail, and even a declined call, may be reported
as an answer, so only a confirmation counts).
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Literal

from media_host.handover_attempt import POLL_S, Attempt, Gone, HandoverResult, result_of
from shared.calls.events import EventKind
from shared.calls.handovers import Phase
from shared.config.transfers import Transfer
from shared.errors import CallGone, PatchcordError

RING_GRACE_S = 5.0
"""How much later than the end of the ringing ACS may report it (s)."""

ANNOUNCE_S = 35.0
"""The longest announcement (s)."""

PRESENT_S = 3.0
"""How long after an answer somebody may be missing in ACS's roster (s)."""

ASK_EVERY = 10
"""Every so many looks at what ACS has reported, it is asked: a report may have been lost."""

CLOSE_S = 2.0
TAKE_BACK_S = 6.0

type Left = Literal["person_left", "caller_left", "line_closed"]


class Warm:
    """One warm handover.

    Args:
        attempt: whose.
        transfer: to whom, and how.
        announcement: what the person is told.
        leave: our leg leaves once the two are together.
    """

    def __init__(self, attempt: Attempt, transfer: Transfer, announcement: str = "", *, leave: bool) -> None:
        self._attempt = attempt
        self._control = attempt.control
        self._connection = attempt.connection_id
        self._transfer = transfer
        self._announcement = announcement
        self._leave = leave
        self.person = f"4:{transfer.to}" if transfer.to.startswith("+") else transfer.to
        self.caller = ""
        self.invitation = ""
        self._answered = False
        self._held = False
        self._seen = False

    async def run(self, headers: Mapping[str, str]) -> HandoverResult:
        """Do it. When cancelled, what was begun is taken back first."""
        attempt = self._attempt
        try:
            self.caller = self._find_caller(await self._control.participants(self._connection))
            if not self.caller:
                attempt.phase(Phase.FAILED)
                return HandoverResult.FAILED
            self.invitation = await self._control.add_participant(
                self._connection,
                self._transfer.to,
                headers if self._transfer.to.startswith("8:") else None,
                caller_id=attempt.caller_id,
                timeout_s=self._transfer.ring_s,
                context=attempt.id,
            )
        except CallGone:
            attempt.phase(Phase.CALLER_GONE)
            return HandoverResult.LEFT
        except PatchcordError as error:
            attempt.fault("transfer_refused", error)
            attempt.phase(Phase.REFUSED)
            return HandoverResult.REFUSED
        attempt.phase(Phase.RINGING, invitation=self.invitation)
        try:
            return await self._called()
        except PatchcordError as error:  # the session cannot speak
            attempt.fault("handover_failed", error)
            return await self._back(HandoverResult.FAILED)
        except BaseException:  # cancelled, or a mistake: nobody may stay on hold or in the call; raised on
            await self.recover()
            raise

    async def recover(self) -> None:
        """Give it up: leave nothing behind, as far as ACS lets us in a few seconds."""
        self._attempt.phase(Phase.GIVEN_UP)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKE_BACK_S):
                await self._take_back()

    async def take_over(self, invitation: str, *, answered: bool) -> None:
        """Take back what another host had begun."""
        self.invitation = invitation
        names = await self._attempt.names() or []
        self.caller = self._find_caller([name for name in names if name != self.person])
        self._answered = answered
        self._held = answered and bool(self.caller)
        await self.recover()

    def _find_caller(self, names: list[str]) -> str:
        """The caller's raw id: the number or user of the record, else the one who is no ACS user (a withheld number)."""
        known = self._attempt.record.person
        by_name = (name for name in names if known and name.endswith(known))
        others = (name for name in names if not name.startswith("8:acs:"))
        return next(by_name, "") or next(others, "")

    async def _called(self) -> HandoverResult:
        attempt = self._attempt
        event = await attempt.answer(
            EventKind.PARTICIPANT_ADDED,
            EventKind.PARTICIPANT_ADD_FAILED,
            within_s=self._transfer.ring_s + RING_GRACE_S,
            caller=self.caller,
        )
        if isinstance(event, Gone):
            return await self._gone()
        if event is None:
            return await self._back(HandoverResult.NO_ANSWER)
        if event.kind is EventKind.PARTICIPANT_ADD_FAILED:
            self.invitation = ""
            return await self._back(result_of(event))
        self._answered = True
        attempt.phase(Phase.ANSWERED)
        self._held = True  # also if ACS's answer is lost
        try:
            await self._control.hold(self._connection, self.caller, self._transfer.hold_music)
        except CallGone:
            return await self._gone()
        except PatchcordError as error:  # the caller would hear what is said to the person
            attempt.fault("hold_refused", error)
            return await self._back(HandoverResult.FAILED)
        return await self._asked()

    async def _asked(self) -> HandoverResult:
        found = await self._confirmed()
        if found == "person_left":
            return await self._back(HandoverResult.DECLINED)
        if isinstance(found, str):
            return await self._gone()
        if not found:
            return await self._back(HandoverResult.NOT_CONFIRMED)
        self._attempt.phase(Phase.CONFIRMED)
        return await self._together() if await self._unhold() else await self._gone()

    async def _confirmed(self) -> bool | Left:
        """Whether the person confirmed, or who has left instead."""
        voice, transfer = self._attempt.voice, self._transfer
        announcing = asyncio.create_task(voice.announce(self._announcement))
        confirming = asyncio.create_task(
            voice.confirmation(transfer.confirm, ANNOUNCE_S + transfer.confirm_s)
        )
        leaving = asyncio.create_task(self.somebody_left(POLL_S))
        tasks = (announcing, confirming, leaving)
        try:
            await asyncio.wait(tasks, timeout=ANNOUNCE_S, return_when=asyncio.FIRST_COMPLETED)
            if announcing.done():
                await announcing
                await asyncio.wait(
                    (confirming, leaving), timeout=transfer.confirm_s, return_when=asyncio.FIRST_COMPLETED
                )
            if leaving.done():
                left: Left = await leaving
                return left
            return confirming.done() and bool(await confirming)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def somebody_left(self, poll_s: float) -> Left:
        """Wait until one of the two is gone, or the line is."""
        attempt = self._attempt
        loop = asyncio.get_running_loop()
        present_by = loop.time() + PRESENT_S
        turns = 0
        while True:
            if await attempt.voice.gone_within(poll_s):
                return "line_closed"
            turns += 1
            count = await attempt.roster_size()
            self._seen = self._seen or count >= 3
            if count >= 3 and turns % ASK_EVERY:
                continue
            names = await attempt.names()
            if names is None:
                continue
            if self.caller not in names:
                return "caller_left"
            self._seen = self._seen or self.person in names
            if self.person not in names and (self._seen or loop.time() > present_by):
                return "person_left"

    async def _together(self) -> HandoverResult:
        """Both are there; only then does our leg leave (requirement 100)."""
        attempt = self._attempt
        names = await attempt.names()
        if names is not None and self.caller not in names:
            return await self._gone()
        if names is not None and self.person not in names:
            return await self._back(HandoverResult.DECLINED)
        self._seen = True
        if not self._leave:
            attempt.phase(Phase.JOINED)
            return HandoverResult.JOINED
        attempt.phase(Phase.LEFT)
        await attempt.hang_up("agent", "handed_over", everyone=False)
        await attempt.voice.gone_within(CLOSE_S)
        return HandoverResult.LEFT

    async def _gone(self) -> HandoverResult:
        """The caller is not there, or our line is not: nobody is called any more, or left alone with us."""
        attempt = self._attempt
        names = await attempt.names()
        if names is None or self.caller in names:
            if not await attempt.voice.gone_within(0):
                return await self._back(HandoverResult.FAILED)
            await self.recover()  # another host may take up the line with the caller
            return HandoverResult.LEFT
        attempt.phase(Phase.CALLER_GONE)
        await self._cancel_ringing()
        if names:
            await attempt.hang_up("caller", "caller_hung_up", everyone=True)
        return HandoverResult.LEFT

    async def _back(self, result: HandoverResult) -> HandoverResult:
        """The caller comes back to the agent, if ACS does not say that the call is over (acs.md section 6)."""
        attempt = self._attempt
        attempt.phase(Phase(result.value))
        await self._take_back()
        there = not await attempt.voice.gone_within(0) and await attempt.names() != []
        return result if there else HandoverResult.LEFT

    async def _take_back(self) -> None:
        """Leave nothing behind but the caller and us."""
        called = self._answered or bool(self.invitation)
        await self._cancel_ringing()
        names = await self._attempt.names() if called else []
        if names is None or self.person in names:
            await self._attempt.insist(
                "remove_failed", lambda: self._control.remove_participant(self._connection, self.person)
            )
        await self._unhold()

    async def _cancel_ringing(self) -> None:
        invitation, self.invitation = self.invitation, ""
        if invitation and not self._answered:
            await self._attempt.insist(
                "cancel_failed", lambda: self._control.cancel_add_participant(self._connection, invitation)
            )

    async def _unhold(self) -> bool:
        """Whether the caller was still there."""
        held, self._held = self._held, False
        return not held or await self._attempt.insist(
            "unhold_failed", lambda: self._control.unhold(self._connection, self.caller)
        )
