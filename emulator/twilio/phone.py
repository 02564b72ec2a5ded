"""A scripted caller on the Twilio line."""

from collections.abc import Mapping
from typing import Any

from emulator.faults import Faults
from emulator.phone.script import CallerScript
from emulator.phone.scripted import ScriptedCall
from emulator.twilio.call import Parts, TwilioCall

type Speech = Mapping[int, Mapping[str, bytes]]


class TwilioPhone(ScriptedCall):
    """A scripted call to a number of the emulated Twilio account.

    Attributes:
        call: Twilio's side of it.
    """

    line = "twilio"

    def __init__(self, script: CallerScript, speech: Speech, parts: Parts, faults: Faults) -> None:
        super().__init__(script, speech, faults)
        self.call = TwilioCall(parts, self, script.caller, script.to, faults, script.display_name)

    @property
    def correlation_id(self) -> str:
        """The CallSid."""
        return self.call.sid

    async def ended(self) -> None:
        """Wait until the call has ended, the script is over, and the app was told."""
        await super().ended()
        await self.call.ended()

    def _place(self) -> None:
        """See `ScriptedCall`."""
        self.call.ring()

    def hang_up(self, reason: str = "caller_hung_up") -> None:
        """The caller hangs up now."""
        self.call.hang_up(reason)

    def press_key(self, key: str) -> None:
        """The caller presses a key."""
        self.call.press(key)

    def abort_media(self) -> None:
        """Break the media stream as a network fault would."""
        if self.call.stream is not None:
            self.call.stream.abort()

    def summary(self) -> dict[str, Any]:
        """See `ScriptedCall`; with the last media stream, the requests and the debugger's entries."""
        call = self.call
        body = super().summary()
        body["callbacks"] = None
        if call.stream is not None:
            body["media"] = {"dials": call.streams, **call.stream.measured()}
        body["twilio"] = {
            "callSid": call.sid,
            "streams": call.streams,
            "requests": [asked.to_json() for asked in call.asked],
            "notices": [notice.to_json() for notice in call.notices],
        }
        return body
