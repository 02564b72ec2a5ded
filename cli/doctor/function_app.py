"""Link "function app": does CALLBACK_EVENTS_URI lead to it, is it well, and does it keep strangers out?"""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from cli.doctor.examination import Answer, Examination, NoAnswer
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.minting import FORGED, minted
from shared.security.audiences import Audience

NAME = "CALLBACK_EVENTS_URI"
CALLBACK = b"[]"
JSON = {"Content-Type": "application/json"}


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """As ACS would see it, as far as that can be tried from here."""
    settings = exam.settings
    if none := exam.without("reached", NAME):
        yield none
        return
    base = settings.callback_base
    try:
        answer = await exam.ask("GET", f"{base}/api/health", who="the function app")
    except NoAnswer as error:
        yield broken("reached", str(error), _mend(exam))
        return
    health = _health(exam, base, answer)
    yield health
    if health.check == "reached":
        return
    yield await _forged(exam, base)
    yield await _signed(exam, base)
    exam.api = await _api(exam, base)
    yield _own_address(exam, base)
    if not exam.is_public:
        yield unknown("from outside", "it is on loopback, where only the emulator's ACS can reach it")


def _mend(exam: Examination) -> str:
    azd = exam.subject.azd
    if azd:
        return (
            f"az functionapp restart -g {azd.get('AZURE_RESOURCE_GROUP')} -n {azd.get('FUNCTION_APP_NAME')}"
        )
    start = "start the function app (`func start`, or `patchcord up`), or its tunnel"
    return f"{start}; if it is elsewhere: {exam.subject.mend(NAME)}"


def _health(exam: Examination, base: str, answer: Answer) -> Finding:
    body = answer.json()
    status = body.get("status") if isinstance(body, dict) else None
    if status == "ok":
        return ok("health", f"{base} is well")
    if status == "degraded":
        return broken(
            "health",
            "degraded: it cannot read its store or its signing keys",
            "its log names the reason; set PATCHCORD_STORE and PATCHCORD_SIGNING_KEYS there as they are here",
        )
    if answer.status in (500, 502, 503, 504):
        return broken(
            "reached",
            f"{urlsplit(base).netloc} answers {answer.status}: the function app does not start",
            "its log names the setting that is wrong: func start, or az webapp log tail -g GROUP -n APP",
        )
    return broken(
        "reached",
        f"{urlsplit(base).netloc} is not Patchcord's function app (GET /api/health: {answer.status})",
        exam.subject.mend(NAME),
    )


async def _forged(exam: Examination, base: str) -> Finding:
    check = "a forged callback"
    try:
        answer = await exam.ask("POST", f"{base}/api/call-events/{FORGED}", headers=JSON, data=CALLBACK)
    except NoAnswer as error:
        return broken(check, str(error), _mend(exam))
    if answer.status == 401 and answer.code == "401-01":
        return ok(check, "is refused")
    if answer.code == "503-03":
        return broken(check, "it cannot read its signing keys", "see keys")
    return broken(
        check,
        f"is answered {answer.status} instead of 401",
        "let nothing stand before the function app that answers in its place; see its log",
    )


async def _signed(exam: Examination, base: str) -> Finding:
    """Our own token, but no signature of ACS's."""
    settings, check = exam.settings, "a callback without ACS's signature"
    token = await minted(exam, Audience.ACS_CALLBACK)
    if not token:
        return unknown(check, "the signing keys are not at hand")
    try:
        answer = await exam.ask("POST", f"{base}/api/call-events/{token}", headers=JSON, data=CALLBACK)
    except NoAnswer as error:
        return broken(check, str(error), _mend(exam))
    if answer.status == 404:
        return broken(
            check,
            "is let in with our token alone: ACS_JWT is off there",
            exam.subject.mend("ACS_JWT", "require"),
        )
    if answer.status == 401 and settings.acs_jwt.required:
        return ok(check, "is refused, even with our own token")
    if answer.status == 401:
        return ok(check, "is refused there; only the settings here say ACS_JWT=off")
    return broken(check, f"is answered {answer.status}", "see the function app's log")


async def _api(exam: Examination, base: str) -> object:
    try:
        answer = await exam.ask("GET", f"{base}/api/openapi.json")
    except NoAnswer:
        return None
    return answer.json()


def _own_address(exam: Examination, base: str) -> Finding:
    """The address that the running function app gives to ACS is in its document."""
    check = "its own address"
    try:
        theirs = str(exam.api["servers"][0]["url"]).rstrip("/")
    except (KeyError, IndexError, TypeError):
        return unknown(check, "it does not give its document (/api/openapi.json)")
    if theirs != base:
        return broken(
            check,
            f"it tells ACS to call {theirs}, but is asked here at {base}",
            exam.subject.mend(NAME, base) + ", and start it again",
        )
    return ok(check, "is the one that it gives to ACS")
