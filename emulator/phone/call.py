"""A scripted call at ACS, from dialling to its end: made by a telephone, or taken by one."""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any

from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import address, identifier
from emulator.acs.inbound import InboundCall
from emulator.acs.legs import PhoneLeg
from emulator.acs.offers import BUSY, DECLINED, UNREACHABLE, Offer
from emulator.faults import Faults
from emulator.phone.measured import media_measured
from emulator.phone.script import CallerScript
from emulator.phone.scripted import ScriptedCall


class PhoneCall(ScriptedCall):
    """A scripted call. Made by `Emulator.dial`, or when a telephone of `Emulator.add_phone` is called."""

    def __init__(
        self,
        script: CallerScript,
        speech: Mapping[int, Mapping[str, bytes]],
        exchange: Exchange,
        faults: Faults,
        offer: Offer | None = None,
    ) -> None:
        super().__init__(script, speech, faults.copy() if offer is None else offer.faults)
        self._exchange = exchange
        self._inbound: InboundCall | None = None
        if offer is None:
            self._inbound = exchange.place(
                self,
                identifier(script.caller),
                identifier(script.to),
                self.faults,
                display_name=script.display_name,
                custom_context={"voipHeaders": script.voip_headers} if script.voip_headers else None,
            )
            offer = self._inbound.offer
        self._offer = offer
        self._leg = self._inbound.leg if self._inbound else PhoneLeg(offer.parties.callee, self, offer.faults)

    @property
    def correlation_id(self) -> str:
        """ACS's correlation id, as in the IncomingCall event."""
        return self._offer.parties.correlation_id

    @property
    def connection_id(self) -> str | None:
        """The id of the app's connection that it talks to, or talked to last; None before the answer."""
        return self._leg.call.id if self._leg.call else None

    async def ended(self) -> None:
        """Wait until the call has ended, the script is over, and the app has its last callback."""
        await super().ended()
        for call in self._leg.calls:
            if call.is_over:
                await call.ended.wait()

    def summary(self) -> dict[str, Any]:
        """See `ScriptedCall`; with the media connection, and the callbacks."""
        call = self._leg.call
        body = super().summary()
        body["callbacks"] = {"sent": call.outbox.sent, "failed": call.outbox.failed} if call else None
        if call is not None and call.streaming is not None:
            body["media"] = media_measured(call.streaming)
        return body

    # --- for those who meddle ---

    def _place(self) -> None:
        """See `ScriptedCall`."""
        if self._inbound is not None:
            self._inbound.ring()

    def ring(self, on_ring: str, after_s: float) -> None:
        """The telephone rings, and somebody does `on_ring` after `after_s`; returns at once."""
        parties = self._offer.parties
        self._story.tell("rung", **{"from": address(parties.caller), "to": address(parties.callee)})
        self._offer.withdrawn.append(self._stopped_ringing)

        async def pick_up() -> None:
            await self._pick_up(on_ring, after_s)

        self._task = asyncio.create_task(self._run(pick_up), name=f"callee {self.id}")

    def deliver_again(self, copies: int = 1) -> None:
        """Deliver the call's IncomingCall event again."""
        if self._inbound is not None:
            self._inbound.deliver_again(copies)

    def abort_media(self) -> None:
        """Break the media connection as a network fault would."""
        if self._leg.call is not None and self._leg.call.streaming is not None:
            self._leg.call.streaming.abort()

    def hang_up(self, reason: str = "caller_hung_up") -> None:
        """The caller hangs up now, whatever the script says."""
        if self._inbound is not None:
            self._inbound.hang_up(reason)
        elif self._offer.over:
            self._leg.hang_up(reason)
        else:
            self._exchange.refuse(self._offer, DECLINED)

    def press_key(self, key: str) -> None:
        """The caller presses a key."""
        self._leg.press(key)

    def saying(self, text: str) -> None:
        """The caller begins to say `text`."""
        self._leg.saying(text)

    def _stopped_ringing(self) -> None:
        """Whoever called gave up, or the service did."""
        self._leg.gone("stopped_ringing", "other")

    async def _pick_up(self, on_ring: str, after_s: float) -> None:
        """Let it ring, then pick up, refuse, or do nothing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if on_ring == "no_answer" else after_s):
                await self._connected.wait()
        if self._over is not None:
            return
        self._offer.withdrawn.remove(self._stopped_ringing)
        if on_ring == "pick_up":
            self._exchange.pick_up(self._offer, self._leg)
            await self._media_stands()
            return
        refusal = {"busy": BUSY, "unreachable": UNREACHABLE}.get(on_ring, DECLINED)
        self._leg.gone(refusal.reason, "caller")
        self._exchange.refuse(self._offer, refusal)

    def _without_media(self) -> bool:
        """See `ScriptedCall`."""
        call = self._leg.call
        streaming = None if call is None else call.streaming
        return streaming is None or streaming.active or not streaming.options.start
