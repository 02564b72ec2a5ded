"""A Studio flow in three widgets, as a call sees it: TwiML Redirect, a request, and what comes of its answer (2E)."""

import json
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from emulator.twilio.config import StudioFlow
from emulator.twilio.notices import Notice, Trouble

if TYPE_CHECKING:
    from emulator.twilio.call import TwilioCall

REQUEST_FAILED = 81016
HANG_UP = "<Response><Hangup/></Response>"


async def step(call: "TwilioCall", flow: StudioFlow, event: str) -> str:
    """The TwiML for a call that comes to the flow, or comes back to it (`event` is `return`).

    Studio itself does not ask the Redirect widget's address: it writes the TwiML that lets the call do it.
    """
    if event != "return":
        return f"<Response><Redirect>{escape(flow.redirect)}</Redirect></Response>"
    answer = await _answer(call, flow)
    kind = answer.get("transferType")
    call.tell("flow", transferType=kind, status=answer.get("callTransferStatus"))
    return flow.then.get(kind if isinstance(kind, str) else "", HANG_UP)


async def _answer(call: "TwilioCall", flow: StudioFlow) -> dict[str, Any]:
    if not flow.request:
        return {}
    try:
        answer = await call.ask("flow", flow.request, {}, headers=flow.headers)
        value = json.loads(answer.body) if answer.status == 200 else None
    except Trouble as trouble:
        call.notice(trouble.notice)
        return {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        call.notice(Notice(REQUEST_FAILED, f"answered {answer.status}"))
        return {}
    return value
