"""Link "ACS": are its resources reached, do they take our keys, are they those that sign what they send us?"""

from collections.abc import AsyncIterator

from cli.doctor.acs_resource import Resource, examine, numbers_of
from cli.doctor.examination import Examination, NoAnswer
from cli.doctor.finding import Finding, broken, ok, unknown
from cli.doctor.identity import ACS
from shared.errors import InvalidInput, PatchcordError
from shared.security.jwks import parse_jwks
from shared.settings import AcsAccess

NAMES = ("AZURE_ACS_CONN_KEY", "ACS_ENDPOINT")


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """The public keys, the settings' resource, then those that tenants bring; last of all their numbers."""
    settings = exam.settings
    if none := exam.without("its keys", "ACS_JWKS_URL"):
        yield none
    elif settings.acs_jwt.required:
        yield await _jwks(exam, settings.acs_jwt.jwks_url)
    resources = [one async for one in _resources(exam)]
    for one in resources:
        if isinstance(one, Finding):
            yield one
            continue
        without = None if one.of else exam.without("resource id", "ACS_RESOURCE_ID")
        async for found in examine(exam, one, with_id=without):
            yield found
    owned = [await numbers_of(exam, one.acs) for one in resources if isinstance(one, Resource)]
    told = [some for some in owned if some is not None]
    if told and len(told) == len(resources):  # half of them would make the other half's numbers unknown
        exam.acs_numbers = {number: calling for some in told for number, calling in some.items()}


async def _resources(exam: Examination) -> AsyncIterator[Resource | Finding]:
    """Which are to be examined, and why some are not."""
    settings, subject = exam.settings, exam.subject
    if none := exam.without("key", *NAMES):
        yield none
    elif not settings.acs.access_key and ACS in exam.no_token:
        yield unknown("key", "no token for ACS, see identity")
    else:
        name = NAMES[0] if settings.acs.access_key else NAMES[1]
        mend_id = subject.mend("ACS_RESOURCE_ID", "{id}")
        yield Resource(settings.acs, settings.acs_jwt.audience, "", subject.mend(name), mend_id)
    for tenant, entry in exam.config.tenants.items() if exam.config else ():
        if entry.acs is None:
            continue
        of, place = f" of {tenant}", f"tenants.{tenant}.acs"
        try:
            key = (
                await exam.secrets.get(entry.acs.key)
                if entry.acs.key and not exam.hides(entry.acs.key)
                else ""
            )
        except PatchcordError:
            yield unknown(f"key{of}", f"{place}.key cannot be read, see patchcord.yaml")
            continue
        if entry.acs.key and not key:
            yield unknown(f"key{of}", f"{place}.key is a secret of the deployment")
        elif not key and ACS in exam.no_token:
            yield unknown(f"key{of}", "no token for ACS, see identity")
        else:
            yield Resource(
                AcsAccess(entry.acs.endpoint.rstrip("/"), key),
                entry.acs.resource_id,
                of,
                f"correct {place}.endpoint of patchcord.yaml, or the key that {place}.key names",
                f"in patchcord.yaml: {place}.resource_id: {{id}}",
            )


async def _jwks(exam: Examination, url: str) -> Finding:
    check, mend = "its keys", f"see that {url} can be reached from here and from both processes: curl {url}"
    if "ACS_JWKS_URL" in exam.env and not exam.subject.emulator:
        mend += f"; ACS's own: {exam.subject.mend('ACS_JWKS_URL', '')}"
    refused = "every callback would be refused"
    try:
        answer = await exam.ask("GET", url, who="ACS's keys")
        if answer.status != 200:
            return broken(check, f"ACS_JWKS_URL answered {answer.status}: {refused}", mend)
        keys = parse_jwks(answer.body.decode("utf-8", "replace"))
    except NoAnswer as error:
        return broken(check, f"ACS_JWKS_URL: {error}: {refused}", mend)
    except InvalidInput as error:
        return broken(check, f"ACS_JWKS_URL: no key set ({error})", mend)
    if not keys:
        return broken(check, "ACS_JWKS_URL: no usable key", mend)
    return ok(check, f"{len(keys)} by which callbacks and audio are verified")
