"""Handing a caller to a person: blind (the call leaves us) or warm (the person is called in, told, and asked first).

Whatever goes wrong, the caller is not left alone: the result says what happened, and the agent comes back and says so
(acs.md sections 1.3 and 6).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from media_host.agents.base import TransferType
from media_host.agents.prompting import spoken
from media_host.call_part import CallPart
from media_host.handover_attempt import (
    STORE_S,
    Attempt,
    Gone,
    HandoverResult,
    HandoverVoice,
    result_of,
)
from media_host.warm_handover import Left, Warm
from shared.calls.events import EventKind, Json
from shared.calls.handovers import Phase, newest_attempt
from shared.config.transfers import Transfer
from shared.errors import CallGone, PatchcordError
from shared.wire.custom_context import CONVERSATION, RESERVED, RETURN_STEP, TRANSFER_TYPE

__all__ = ["Handover", "HandoverResult", "HandoverVoice", "Left"]

TRANSFER_S = 65.0
"""How long ACS may take to transfer somebody (s): its own limit is 60 s (acs.md section 7), its report takes a while."""

LISTEN_POLL_S = 2.0
"""How often it is looked who is still there when a caller talks to a person (s)."""


@dataclass(eq=False)
class Handover(CallPart):
    """Handovers of one call, one at a time."""

    _joined: Warm | None = field(default=None, init=False)

    async def run(
        self,
        name: str,
        variables: Mapping[str, str],
        announce_variables: Mapping[str, str],
        *,
        outcome: TransferType = TransferType.AGENT,
        reason: str = "asked_for_human",
        may_stay: bool = True,
    ) -> HandoverResult:
        """Hand the caller over to `name`. When cancelled, it takes back what it has begun and then is done.

        The agent is deaf until the result is there, and afterwards too if the result is `done`. After JOINED tell it
        `listen_only` first, then `undeafen`, and wait for `accompany`.

        Args:
            name: under `transfers:` of the agent.
            variables: transfer variables for the other side, and for the outcome.
            announce_variables: what the announcement's `{{name}}`s stand for.
            outcome: of the call, if the handover succeeds.
            reason: of the outcome.
            may_stay: False leaves the call after a warm handover, whatever `stay` says: there is no agent any more.
        """
        transfer = self._target(name, outcome)
        if transfer is None:
            self.log.note(EventKind.FAULT, code="unknown_transfer", message=f"no transfer named {name!r}")
            return HandoverResult.UNKNOWN_TARGET
        await self.voice.play_out()
        self.voice.deafen()
        result = HandoverResult.FAILED
        try:
            attempt = self._attempt()
            shown: dict[str, Json] = {
                "transferType": outcome.value,
                "reason": reason,
                "task": self.record.task,
                "transferVariables": {**variables},
            }
            self.log.note(
                EventKind.TRANSFER, target=name, mode=transfer.mode, attempt=attempt.id, outcome=shown
            )
            await self.log.flush(STORE_S)
            headers = self._headers(outcome, variables, back=transfer.to == self.record.return_to)
            if transfer.mode == "blind":
                result = await self._blind(attempt, transfer, headers)
            else:
                announcement = spoken(transfer.announce, announce_variables)
                leave = transfer.stay == "leave" or not may_stay
                warm = Warm(attempt, transfer, announcement, leave=leave)
                result = await warm.run(headers)
                self._joined = warm
        finally:
            if not result.done:
                self.voice.undeafen()
        return result

    async def accompany(self) -> Left:
        """After JOINED: until one of the two has hung up, so that nobody is left alone with a listener."""
        if self._joined is None:
            raise RuntimeError("nobody has joined")
        return await self._joined.somebody_left(LISTEN_POLL_S)

    async def recover(self) -> None:
        """For a resumed session: take back a warm handover in whose middle the call lost its host."""
        attempt = self._attempt()
        found = newest_attempt(await attempt.events() or ())
        transfer = None if found is None else self.config.transfer(found.target)
        if found is None or transfer is None or not (found.warm and found.pending):
            return
        await Warm(self._attempt(found.id), transfer, leave=True).take_over(
            found.invitation, answered=Phase.ANSWERED in found.phases
        )

    def _target(self, name: str, outcome: TransferType) -> Transfer | None:
        """Who lent us the caller for a while gets him back; also one who wants a person, where we know none."""
        known, back = self.config.transfer(name), self.record.return_to
        return Transfer(to=back) if back and (known is None or outcome is TransferType.SYSTEM) else known

    def _headers(self, outcome: TransferType, variables: Mapping[str, str], *, back: bool) -> dict[str, str]:
        """Custom context for the other side. No variable that an agent makes up can say where the caller goes next."""
        headers = {name: value for name, value in variables.items() if name not in RESERVED}
        headers[TRANSFER_TYPE] = outcome.value
        if back and self.record.conversation_id:
            headers[CONVERSATION] = self.record.conversation_id
        if back and self.record.return_step:
            headers[RETURN_STEP] = self.record.return_step
        return headers

    def _attempt(self, id: str = "") -> Attempt:
        return Attempt(self.services, self.record, self.connection_id, self.log, self.voice, id)

    async def _blind(
        self, attempt: Attempt, transfer: Transfer, headers: Mapping[str, str]
    ) -> HandoverResult:
        try:
            await attempt.control.transfer(
                self.connection_id,
                transfer.to,
                headers if transfer.to.startswith("8:") else None,
                caller_id=attempt.caller_id,
                context=attempt.id,
            )
        except CallGone:
            return HandoverResult.LEFT
        except PatchcordError as error:
            attempt.fault("transfer_refused", error)
            attempt.phase(Phase.REFUSED)
            return HandoverResult.REFUSED
        event = await attempt.answer(
            EventKind.TRANSFER_ACCEPTED, EventKind.TRANSFER_FAILED, within_s=TRANSFER_S
        )
        if isinstance(event, Gone) or (event is not None and event.kind is EventKind.TRANSFER_ACCEPTED):
            return HandoverResult.LEFT
        result = HandoverResult.NO_ANSWER if event is None else result_of(event)
        attempt.phase(Phase(result.value))
        # The call may be over although the transfer failed (acs.md section 6): then there is nobody to come back to.
        return HandoverResult.LEFT if await attempt.names() == [] else result
