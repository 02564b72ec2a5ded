"""Link "events": does somebody subscribe to IncomingCall for us, and does our endpoint pass the handshake?"""

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from uuid import uuid4

from cli.doctor.examination import Examination, NoAnswer
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.subscriptions import of_azure, of_emulator, own_numbers
from shared.errors import PatchcordError
from shared.security.tenants import TABLE, Scope, TenantDoor

DOOR = "/api/acs-events"
PROBE_TENANT = "patchcord-doctor"


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """The handshake at the HTTP door, without and with credentials; then the subscriptions."""
    settings = exam.settings
    if none := exam.without("handshake", "CALLBACK_EVENTS_URI"):
        yield none
    elif exam.api is None:
        yield unknown("handshake", "the function app does not answer, see there")
    else:
        yield await _without_credentials(exam, settings.callback_base)
        yield await _handshake(exam, settings.callback_base)
    if exam.subject.emulator:
        found = of_emulator(exam)
    elif exam.arm is not None:
        found = of_azure(exam)
    else:
        numbers = ", ".join(sorted(own_numbers(exam)))
        yield unknown(
            "subscription",
            f"Azure is not asked without --deployment{f'; it must let through {numbers}' if numbers else ''}",
            "az eventgrid event-subscription list --source-resource-id ACS_RESOURCE_PATH -o table",
        )
        return
    async for one in found:
        yield one


def _validation(code: str) -> bytes:
    """Event Grid's validation event (acs.md 5.4)."""
    event = {
        "id": str(uuid4()),
        "topic": "/doctor",
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "metadataVersion": "1",
        "dataVersion": "1",
    }
    return json.dumps([event]).encode()


async def _ask(exam: Examination, base: str, headers: Mapping[str, str], code: str) -> tuple[int, str]:
    """Status, and the code that came back."""
    sent = {"Content-Type": "application/json", "aeg-event-type": "SubscriptionValidation", **headers}
    answer = await exam.ask("POST", base + DOOR, headers=sent, data=_validation(code))
    body = answer.json()
    return answer.status, str(body.get("validationResponse", "")) if isinstance(body, dict) else ""


async def _without_credentials(exam: Examination, base: str) -> Finding:
    check, settings = "handshake without credentials", exam.settings
    try:
        status, _ = await _ask(exam, base, {}, "doctor")
    except NoAnswer as error:
        return broken(check, str(error), "see function app")
    if status == 401:
        return ok(check, "is refused")
    if status == 200 and not settings.headers_on_validation:
        return broken(
            check,
            "is let in, because REQUIRE_HEADERS_ON_VALIDATION is off: fine only while you subscribe",
            exam.subject.mend("REQUIRE_HEADERS_ON_VALIDATION", "true"),
        )
    return broken(check, f"is answered {status} instead of 401", "see the function app's log")


async def _handshake(exam: Examination, base: str) -> Finding:
    """With a tenant's credentials; without any, some are made for a moment, which shows that both read one store."""
    check, settings = "handshake", exam.settings
    if exam.store is None:
        return unknown(check, "the store, where credentials are checked, is not at hand")
    door = TenantDoor(exam.store, settings.environment, exam.now)
    code = str(uuid4())
    try:
        made = await door.issue(PROBE_TENANT, [Scope.EVENTS])
        try:
            headers = {
                settings.api_id_header: made.api_id,
                settings.api_secret_header: made.api_secret,
            }
            status, back = await _ask(exam, base, headers, code)
        finally:
            await exam.store.delete(TABLE, settings.environment, made.api_id)
    except PatchcordError as error:
        return broken(check, str(error), "see store and function app")
    if status == 200 and back == code:
        return ok(check, "the validation code comes back; store and environment are the function app's")
    if status == 401:
        return broken(
            check,
            "credentials made here are unknown there: the function app has another PATCHCORD_STORE or PATCHCORD_ENVIRONMENT",
            f"set both alike, then start it again: {exam.subject.mend('PATCHCORD_STORE')}",
        )
    return broken(check, f"is answered {status}, without the code", "see the function app's log")
