"""A telephone that a call at Twilio is connected to by `<Dial>` or out of a queue."""

import asyncio
import contextlib
from collections.abc import Mapping

from emulator.faults import Faults
from emulator.phone.script import CallerScript
from emulator.phone.scripted import ScriptedCall
from emulator.twilio.sources import SAMPLE_RATE

REFUSALS = {"decline": "busy", "busy": "busy", "unreachable": "failed"}
"""DialCallStatus by what a person does when it rings (that a declined call counts as busy is guessed)."""


class DialledPhone(ScriptedCall):
    """A telephone of the emulator, rung by a call at Twilio. Times are loop time (s).

    Args:
        call_sid: of the call that rings it.
        script: what happens from the answer on; its `from` is the caller.
        speech: what its person says, at 8 kHz.
        on_ring: what the person does: see `CalleeScript`.
        after_s: for how long it rings before that.
    """

    line = "twilio"

    def __init__(
        self,
        call_sid: str,
        script: CallerScript,
        speech: Mapping[int, Mapping[str, bytes]],
        on_ring: str,
        after_s: float,
    ) -> None:
        super().__init__(script, speech, Faults())
        self._call_sid = call_sid
        self._on_ring = on_ring
        self._after_s = after_s
        self._status = asyncio.get_running_loop().create_future()
        self._left = asyncio.Event()

    @property
    def correlation_id(self) -> str:
        """The CallSid of the call that rang it."""
        return self._call_sid

    # --- for the call that rings it ---

    async def rung(self, timeout_s: float | None) -> str:
        """Let it ring; returns the DialCallStatus: `completed` when somebody picked up, else `busy`, `no-answer`, `failed`."""
        self._story.tell("rung", **{"from": self._script.caller, "to": self._script.to})
        self._task = asyncio.create_task(self._run(self._pick_up), name=f"callee {self.id}")
        try:
            async with asyncio.timeout(timeout_s):
                status: str = await asyncio.shield(self._status)
        except TimeoutError:
            self._gone("stopped_ringing", "other")
            return "no-answer"
        return status

    async def gone(self) -> None:
        """Wait until the person has hung up."""
        await self._left.wait()

    def other_left(self) -> None:
        """Whoever called is gone; idempotent."""
        answered = self._connected.is_set()
        self._gone("other_hung_up" if answered else "stopped_ringing", "other")

    # --- the person ---

    async def _pick_up(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self._on_ring == "no_answer" else self._after_s):
                await self._left.wait()
        if self._over is not None:
            return
        if self._on_ring != "pick_up":
            self._status.set_result(REFUSALS[self._on_ring])
            self._gone("rejected: " + self._on_ring, "caller")
            return
        self.answered(SAMPLE_RATE)
        self._status.set_result("completed")

    def _without_media(self) -> bool:
        """See `ScriptedCall`: the two telephones are joined at once."""
        return True

    def _gone(self, reason: str, by: str) -> None:
        if self._over is None:
            self.over(reason, by)
            self._left.set()
            if not self._status.done():
                self._status.set_result("no-answer")

    def hang_up(self, reason: str = "caller_hung_up") -> None:
        """The person hangs up."""
        self._gone(reason, "caller")

    def press_key(self, key: str) -> None:
        """The person presses a key; at Twilio the caller's telephone only hears it."""

    def abort_media(self) -> None:
        """There is no media connection to an app."""
