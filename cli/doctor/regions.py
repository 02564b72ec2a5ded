"""Link "regions": is the audio's way short, and does data stay where it should? Known for a deployment only."""

from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from cli.doctor.arm import Arm, ArmRefused
from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from shared.config.realtime import RealtimeAgentConfig

ACS, CONTAINERS, SITES, ACCOUNTS = "2025-09-01", "2025-07-01", "2025-03-01", "2025-06-01"
CHECK = "data location and regions"

GEOGRAPHIES: Mapping[str, tuple[str, ...]] = {
    "africa": ("southafrica",),
    "asia pacific": ("eastasia", "southeastasia"),
    "australia": ("australia",),
    "brazil": ("brazil",),
    "canada": ("canada",),
    "europe": ("northeurope", "westeurope", "sweden", "poland", "italy", "spain", "austria", "belgium"),
    "france": ("france",),
    "germany": ("germany",),
    "india": ("centralindia", "southindia", "westindia", "jioindia"),
    "japan": ("japan",),
    "korea": ("korea",),
    "norway": ("norway",),
    "switzerland": ("switzerland",),
    "uae": ("uae",),
    "uk": ("uk",),
    "united states": ("eastus", "westus", "centralus", "northcentralus", "southcentralus", "westcentralus"),
}
"""ACS's data locations, and how the names of Azure's regions there begin."""

NEAR = {"france", "germany", "norway", "switzerland", "uk", "europe"}
"""Near enough to each other for audio, though data crosses a border."""


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """ACS's data location against the regions of media host, function app and model."""
    arm, azd = exam.arm, exam.subject.azd
    if arm is None:
        yield unknown(CHECK, "only known of a deployment", "patchcord doctor --deployment AZD_ENVIRONMENT")
        return
    try:
        acs = await arm.get(arm.id("Microsoft.Communication/communicationServices", azd["ACS_NAME"]), ACS)
        regions = await _regions(exam, arm)
    except ArmRefused as error:
        yield unknown(CHECK, str(error), "az login, role Reader on the resource group")
        return
    except KeyError as missing:
        yield unknown(CHECK, f"azd knows no {missing.args[0]}", "azd provision")
        return
    said = acs.get("properties") or {}
    if said.get("immutableResourceId") and exam.known_settings is not None:
        yield _resource(exam, str(said["immutableResourceId"]))
    for one in judged(str(said.get("dataLocation", "")), regions):
        yield one


async def _regions(exam: Examination, arm: Arm) -> dict[str, str]:
    azd = exam.subject.azd
    found = {}
    for name, kind, resource, version in (
        ("media host", "Microsoft.App/containerApps", azd["MEDIA_APP_NAME"], CONTAINERS),
        ("function app", "Microsoft.Web/sites", azd["FUNCTION_APP_NAME"], SITES),
    ):
        found[name] = str((await arm.get(arm.id(kind, resource), version)).get("location", ""))
    hosts = {
        urlsplit(agent.endpoint).hostname or ""
        for agent in (exam.config.agents.values() if exam.config else ())
        if isinstance(agent, RealtimeAgentConfig)
    }
    for account in await arm.list(arm.group + "/providers/Microsoft.CognitiveServices/accounts", ACCOUNTS):
        said = account.get("properties") or {}
        if any(host.split(".")[0] == said.get("customSubDomainName") for host in hosts):
            found["model"] = str(account.get("location", ""))
    return found


def _resource(exam: Examination, immutable: str) -> Finding:
    if exam.settings.acs_jwt.audience != immutable:
        return broken(
            "resource id",
            "ACS_RESOURCE_ID is another resource's",
            exam.subject.mend("ACS_RESOURCE_ID", immutable),
        )
    return ok("resource id", "ACS_RESOURCE_ID is the one that Azure names")


def judged(data_location: str, regions: Mapping[str, str]) -> list[Finding]:
    """One finding for each region that is elsewhere, or one for all."""
    place = data_location.lower()
    starts = GEOGRAPHIES.get(place)
    if starts is None:
        return [unknown(CHECK, f"the data location {data_location!r} is new to this table")]
    if place in NEAR:
        starts = tuple(start for near in NEAR for start in GEOGRAPHIES[near])
    far = {
        name: region
        for name, region in regions.items()
        if not region.lower().replace(" ", "").startswith(starts)
    }
    return [
        broken(
            name,
            f"in {region}, but ACS's data location is {data_location}: audio goes round the world",
            "azd env set AZURE_LOCATION REGION (model: agentLocation) && azd up, in a new environment",
        )
        for name, region in far.items()
    ] or [
        ok(CHECK, f"{data_location}; " + ", ".join(f"{name}: {region}" for name, region in regions.items()))
    ]
