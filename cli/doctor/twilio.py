"""Link "Twilio": for each tenant with an account, is its secret right, and does only Twilio get in?"""

import base64
import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

from cli.doctor.examination import Examination, NoAnswer
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.media_socket import OTHER_CALL, signed_headers
from shared.config.twilio import TwilioConfig
from shared.errors import ConfigurationError, PatchcordError, SignatureRejected
from shared.wire.twilio_signature import request_signed

ENGAGE, STATE = "/api/twilio/engage", "/api/twilio/transfer-state"
API = "https://api.twilio.com/2010-04-01/Accounts/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Nothing is begun: what is signed is a question about a call that does not exist."""
    if exam.config is None:
        yield unknown("accounts", "patchcord.yaml is wrong or not known")
        return
    if not exam.config.twilio:
        yield unknown("accounts", "none is configured (`twilio:` in patchcord.yaml)")
        return
    if none := exam.without("accounts", "CALLBACK_EVENTS_URI"):
        yield none
        return
    if exam.api is None:
        yield unknown("webhooks", "the function app does not answer, see there")
    else:
        yield await _unsigned(exam)
    for tenant, account in exam.config.twilio.items():
        async for one in _account(exam, tenant, account):
            yield one


async def _unsigned(exam: Examination) -> Finding:
    check = "an unsigned request"
    try:
        answer = await exam.ask(
            "POST", exam.settings.callback_base + ENGAGE, headers=FORM, data=b"CallSid=none"
        )
    except NoAnswer as error:
        return broken(check, str(error), "see function app")
    if answer.status == 403:
        return ok(check, "is refused")
    return broken(check, f"is answered {answer.status} instead of 403", "see the function app's log")


async def _account(exam: Examination, tenant: str, account: TwilioConfig) -> AsyncIterator[Finding]:
    if exam.hides(account.signing_key or account.auth_token):
        yield unknown(f"secret of {tenant}", "is a secret of the deployment, which only its processes read")
        return
    try:
        yield await _self_test(exam, tenant, account)
    except ConfigurationError as error:
        variable = error.setting.removeprefix("env:")
        mend = exam.subject.mend(variable, "TOKEN") + " (Twilio's console, Account Info)"
        yield broken(f"secret of {tenant}", str(error), mend)
        return
    except PatchcordError as error:
        yield broken(f"secret of {tenant}", str(error), "see patchcord.yaml and identity")
        return
    if exam.api is not None:
        yield await _signed(exam, tenant, account)
    if exam.subject.emulator:
        yield await _emulated(exam, tenant, account)
    elif not exam.is_public:
        yield unknown(f"account of {tenant}", "on loopback there is no real Twilio account to ask")
    else:
        async for one in _real(exam, tenant, account):
            yield one


async def _self_test(exam: Examination, tenant: str, account: TwilioConfig) -> Finding:
    """What we sign with the secret, our own check lets in.

    Raises:
        PatchcordError: the secret cannot be read.
    """
    url = "https://doctor.invalid/"
    form = {"AccountSid": account.account_sid}
    headers = await signed_headers(exam, account, url, form)
    secret = await exam.secrets.get(account.signing_key or account.auth_token)
    try:
        request_signed(
            url,
            list(form.items()),
            headers,
            auth_token=secret,
            signing_key=secret if account.signing_key else "",
        )
    except SignatureRejected as error:
        return broken(
            f"secret of {tenant}", f"it signs nothing ({error.reason})", "pip install -r requirements.txt"
        )
    return ok(f"secret of {tenant}", "can be read; what it signs is let in")


async def _signed(exam: Examination, tenant: str, account: TwilioConfig) -> Finding:
    """The function app must know the same secret, and believe in the same address."""
    check = f"a signed request of {tenant}"
    url = exam.settings.callback_base + STATE
    form = {"AccountSid": account.account_sid, "CallSid": OTHER_CALL}
    try:
        headers = {**FORM, **await signed_headers(exam, account, url, form)}
        answer = await exam.ask("POST", url, headers=headers, data=urlencode(form).encode())
    except (NoAnswer, PatchcordError) as error:
        return broken(check, str(error), "see function app")
    if answer.status == 403:
        variable = (account.signing_key or account.auth_token).removeprefix("env:")
        return broken(
            check,
            "is refused: the function app has another secret, account or CALLBACK_EVENTS_URI",
            f"{exam.subject.mend(variable, 'TOKEN')}, and start it again",
        )
    if answer.status >= 500:
        return broken(
            check, f"is answered {answer.status}: it cannot read the secret", "set it on the function app"
        )
    return ok(check, "is let in")


async def _emulated(exam: Examination, tenant: str, account: TwilioConfig) -> Finding:
    check = f"account of {tenant}"
    key = {"Authorization": f"Bearer {exam.subject.control_key}"}
    try:
        answer = await exam.ask("GET", exam.subject.emulator + "/emulator/twilio", headers=key)
    except NoAnswer as error:
        return broken(check, str(error), "start `patchcord up`")
    body = answer.json()
    theirs = body.get("accountSid") if isinstance(body, dict) else None
    if theirs is None:
        return unknown(check, f"the emulator has no Twilio account (it answered {answer.status})")
    if theirs != account.account_sid:
        return broken(check, "is not the emulator's", f"twilio.{tenant}.account_sid: {theirs}")
    return ok(check, f"is the emulator's, with {len(body.get('numbers') or {})} numbers")


async def _real(exam: Examination, tenant: str, account: TwilioConfig) -> AsyncIterator[Finding]:
    """Twilio's REST interface (twilio.com/docs/iam/api/account, /docs/phone-numbers); not tried where Patchcord is built."""
    check = f"account of {tenant}"
    secret = await exam.secrets.get(account.auth_token)
    basic = base64.b64encode(f"{account.account_sid}:{secret}".encode()).decode()
    exam.secret_values.add(basic)
    headers = {"Authorization": f"Basic {basic}"}
    try:
        answer = await exam.ask("GET", f"{API}{account.account_sid}.json", headers=headers, who="Twilio")
        numbers = await exam.ask(
            "GET", f"{API}{account.account_sid}/IncomingPhoneNumbers.json?PageSize=1000", headers=headers
        )
    except NoAnswer as error:
        yield unknown(check, f"Twilio: {error}")
        return
    if answer.status in (401, 403, 404):
        variable = account.auth_token.removeprefix("env:")
        yield broken(
            check,
            f"{answer.status} from Twilio: account_sid or auth token is wrong",
            exam.subject.mend(variable, "TOKEN"),
        )
        return
    status = (answer.json() or {}).get("status") if answer.status == 200 else None
    if status != "active":
        yield unknown(check, f"Twilio answered {answer.status}, status {status}")
        return
    yield ok(check, "is active")
    yield webhooks(exam, tenant, account, numbers.body)


def webhooks(exam: Examination, tenant: str, account: TwilioConfig, body: bytes) -> Finding:
    """Does a number of the account call our door, as Twilio lists them?"""
    check, ours = f"numbers of {tenant}", exam.settings.callback_base + ENGAGE
    try:
        listed = json.loads(body)["incoming_phone_numbers"]
        there = [one["phone_number"] for one in listed if str(one["voice_url"]).startswith(ours)]
    except (ValueError, KeyError, TypeError):
        return unknown(check, "Twilio's list of numbers could not be read")
    if there:
        return ok(check, f"{len(there)} of {len(listed)} call {ours}")
    if account.studio_return:
        return unknown(check, "none calls us by itself; a Studio flow is to send its callers")
    mend = f"twilio phone-numbers:update NUMBER --voice-url {ours}"
    return broken(check, f"none of {len(listed)} calls {ours}", mend)
