"""The emulated Twilio account: its calls, the telephones that they reach, the doors of its flows."""

import ssl
from collections.abc import Callable
from urllib.parse import parse_qs

import aiohttp
import msgspec
from aiohttp import web

from emulator.acs.dialler import Dialler
from emulator.acs.operations.sources import Sounds
from emulator.faults import Faults
from emulator.pacing import Ticker
from emulator.phone.callee import Phonebook
from emulator.phone.script import CallerScript
from emulator.phone.scripted import ScriptedCall
from emulator.phone.speaker import RATES, Speaker
from emulator.trace import Trace
from emulator.twilio import flows
from emulator.twilio.call import Parts, TwilioCall
from emulator.twilio.callee import DialledPhone
from emulator.twilio.config import StudioFlow, TwilioConfig, TwilioNumber, check_flow, check_number
from emulator.twilio.phone import TwilioPhone
from emulator.twilio.signing import TwilioSigner
from emulator.twilio.webhooks import Webhooks

FLOWS = "/twilio/flows"


class Twilio:
    """One account, beside the ACS emulator and with its clock, telephones and voice.

    Args:
        config: the account.
        ticker: beats every 20 ms.
        dialler: makes the streams' connections.
        sounds: speaks and fetches what `<Say>` and `<Play>` name.
        phonebook: telephones that can be dialled.
        speaker: speaks for the callers.
        keep: takes each call of a telephone.
        base: the emulator's own address.
        tls: for https to apps; the system's authorities when it is None.
        trace: takes what goes over the wires, or None.

    Attributes:
        numbers: of the account; change them with `set_number`.
        flows: Studio flows by name; add more with `set_flow`.
        notices: the newest entries of the account's debugger, each with its CallSid.
    """

    def __init__(
        self,
        config: TwilioConfig,
        *,
        ticker: Ticker,
        dialler: Dialler,
        sounds: Sounds,
        phonebook: Phonebook,
        speaker: Speaker,
        keep: Callable[[ScriptedCall], None],
        base: Callable[[], str],
        tls: ssl.SSLContext | None,
        trace: Trace | None,
    ) -> None:
        config.check()
        self.config = config
        self.numbers: dict[str, TwilioNumber] = dict(config.numbers)
        self.flows: dict[str, StudioFlow] = dict(config.flows)
        self._phonebook = phonebook
        self._speaker = speaker
        self._keep = keep
        self._base = base
        self._live: dict[str, TwilioPhone] = {}
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, ssl=tls or True))
        signer = TwilioSigner(config)
        self._parts = Parts(
            config=config,
            signer=signer,
            webhooks=Webhooks(self._session, signer, trace),
            dialler=dialler,
            ticker=ticker,
            sounds=sounds,
            ring=self._ring,
            trace=trace,
            numbers=self.numbers,
            flow_address=self.flow_address,
        )
        self.notices = self._parts.notices

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Add the doors of the flows, which calls are sent to."""
        router.add_post(FLOWS + "/{name}", self._flow)

    async def close(self) -> None:
        """End all calls; idempotent."""
        for phone in list(self._live.values()):
            phone.hang_up("stopped")
            await phone.ended()
        await self._session.close()

    # --- the account ---

    def set_number(self, at: str, number: TwilioNumber) -> None:
        """Add a number, or let it lead elsewhere.

        Raises:
            ConfigurationError: names the wrong part.
        """
        check_number(at, number, self.flows)
        self.numbers[at] = number

    def set_flow(self, name: str, flow: StudioFlow) -> None:
        """Add a Studio flow, or change it.

        Raises:
            ConfigurationError: names the wrong part.
        """
        check_flow(name, flow)
        self.flows[name] = flow

    def flow_address(self, name: str) -> str:
        """Where a Studio flow takes calls; with `?FlowEvent=return` it takes them back."""
        return f"{self._base()}{FLOWS}/{name}"

    # --- calls ---

    async def dial(self, script: CallerScript, faults: Faults) -> TwilioPhone:
        """Make a scripted call to a number of the account; returns when it rings.

        Raises:
            AgentUnavailable: the caller's synthesiser does not start.
        """
        speech = await self._speaker.speech(script, RATES["twilio"])
        phone = TwilioPhone(script, speech, self._parts, faults)
        for sid in [sid for sid, live in self._live.items() if live.is_over]:
            del self._live[sid]
        self._live[phone.call.sid] = phone
        self._keep(phone)
        phone.dial()
        return phone

    def _ring(self, number: str, call: TwilioCall) -> DialledPhone | None:
        found = self._phonebook.find(number)
        if found is None:
            return None
        callee, speech = found
        script = msgspec.structs.replace(callee.script, caller=call.standard()["From"])
        phone = DialledPhone(call.sid, script, speech, callee.on_ring, callee.after_ms / 1000)
        self._keep(phone)
        return phone

    async def _flow(self, request: web.Request) -> web.Response:
        flow = self.flows.get(request.match_info["name"])
        form = parse_qs((await request.read()).decode(errors="replace"))
        phone = self._live.get(form.get("CallSid", [""])[0])
        if flow is None or phone is None:
            return web.Response(status=404)
        twiml = await flows.step(phone.call, flow, request.query.get("FlowEvent", ""))
        return web.Response(text=twiml, content_type="text/xml")
