"""Link "media host": does CALLBACK_URI_HOST lead to it, is there room, does it use our store, does its door hold?"""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from cli.doctor.examination import Examination, NoAnswer
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.media_socket import at_the_door, by_twilio
from shared.calls.admission import MAX_AGE_S, heartbeats
from shared.errors import PatchcordError

NAME = "CALLBACK_URI_HOST"
SEE_LOG = "see its log: it cannot write its heartbeat into the store"


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Plain requests first, then upgrades."""
    settings = exam.settings
    if none := exam.without("reached", NAME):
        yield none
        return
    base = "http" + settings.media_base.removeprefix("ws")
    try:
        alive = await exam.ask("GET", f"{base}/healthz", who="the media host")
    except NoAnswer as error:
        yield broken("reached", str(error), _mend(exam))
        return
    if alive.status != 200 or alive.body.strip() != b"ok":
        text = f"{urlsplit(base).netloc} is no media host (GET /healthz: {alive.status})"
        yield broken("reached", text, exam.subject.mend(NAME))
        return
    yield ok("health", f"{settings.media_base} is well")
    yield await _ready(exam, base)
    yield await _beats(exam)
    async for one in at_the_door(exam, settings.media_base):
        yield one
    async for one in by_twilio(exam, settings.media_base):
        yield one


def _mend(exam: Examination) -> str:
    azd = exam.subject.azd
    if azd:
        name, group = azd.get("MEDIA_APP_NAME"), azd.get("AZURE_RESOURCE_GROUP")
        return f"azd deploy media; its log: az containerapp logs show -n {name} -g {group} --follow"
    return f"start it (`python -m media_host`), or its tunnel; if it is elsewhere: {exam.subject.mend(NAME)}"


async def _ready(exam: Examination, base: str) -> Finding:
    try:
        answer = await exam.ask("GET", f"{base}/readyz")
    except NoAnswer as error:
        return broken("ready", str(error), _mend(exam))
    if answer.status == 200:
        return ok("ready", "it takes calls")
    reason = answer.body.decode("ascii", "replace")[:40]
    mends = {
        "full": "more replicas (azd env set PATCHCORD_MEDIA_REPLICAS N && azd deploy media), or a higher MEDIA_CAPACITY",
        "draining": "wait until the new revision takes over; az containerapp revision list",
    }
    return broken(
        "ready",
        f"it takes no calls: {reason}",
        mends.get(reason, SEE_LOG),
    )


async def _beats(exam: Examination) -> Finding:
    """A media host without a heartbeat in our store gets no calls: it has another store, or its clock is wrong."""
    check = "heartbeat"
    if exam.store is None:
        return unknown(check, "the store is not at hand")
    try:
        found = await heartbeats(exam.store)
    except PatchcordError as error:
        return broken(check, str(error), "see store")
    now = exam.now()
    if not found:
        return broken(
            check,
            "no media host reports into this store, so every call is turned away",
            f"the same PATCHCORD_STORE for both processes: {exam.subject.mend('PATCHCORD_STORE')}",
        )
    newest = max(found, key=lambda beat: beat.at)
    if newest.at > now + 1:  # written a second ago at least, so it says nothing about a clock that is behind
        exam.clocks["the media host's heartbeat"] = newest.at - now
    if now - newest.at > MAX_AGE_S:
        return broken(
            check,
            f"the newest is {now - newest.at:.0f} s old, more than {MAX_AGE_S:g}: it has another store by now, or a wrong clock",
            f"the same PATCHCORD_STORE for both processes: {exam.subject.mend('PATCHCORD_STORE')}; and see clock",
        )
    fresh = [beat for beat in found if now - beat.at <= MAX_AGE_S]
    room = sum(max(beat.capacity - beat.active, 0) for beat in fresh if not beat.draining)
    return ok(check, f"{len(fresh)} hosts report, with room for {room} calls")
