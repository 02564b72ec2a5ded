"""Are both processes up, and can they read what they need?"""

import json
from http import HTTPStatus

import aiohttp

from infra.hooks.steps import Deployment, StepFailed

TRIES, PAUSE_S = 30, 10.0
"""A first start, and roles that are not known everywhere yet, may take five minutes."""

TIMEOUT = aiohttp.ClientTimeout(total=30.0)


async def healthy(deployment: Deployment) -> None:
    """Wait until both say so.

    Raises:
        StepFailed: one of them does not, in five minutes.
    """
    functions = deployment.need("CALLBACK_EVENTS_URI").rstrip("/") + "/api/health"
    media = deployment.need("CALLBACK_URI_HOST").rstrip("/").replace("ws", "http", 1) + "/healthz"
    async with aiohttp.ClientSession(timeout=TIMEOUT) as http:
        await _until_well(
            deployment,
            http,
            "function app",
            functions,
            "`degraded` means that it cannot read the store or its keys: roles may need some minutes more. Otherwise see the "
            "log stream in the portal, or azd deploy functions; then: azd hooks run postdeploy",
        )
        await _until_well(
            deployment,
            http,
            "media host",
            media,
            "see why it does not start: az containerapp logs show -g $AZURE_RESOURCE_GROUP -n $MEDIA_APP_NAME (a wrong setting "
            "is named there); mend it, azd deploy media; then: azd hooks run postdeploy",
        )


async def _until_well(
    deployment: Deployment, http: aiohttp.ClientSession, name: str, address: str, cure: str
) -> None:
    for left in reversed(range(TRIES)):
        wrong = await _wrong(http, address)
        if not wrong:
            deployment.say(f"{name}: well, at {address}")
            return
        if left == TRIES - 1:
            deployment.say(f"{name}: {wrong}; waiting for it")
        if left:
            await deployment.sleep(PAUSE_S)
    raise StepFailed(f"{name} at {address}: {wrong}", cure)


async def _wrong(http: aiohttp.ClientSession, address: str) -> str:
    """What is wrong, or ""."""
    try:
        async with http.get(address, allow_redirects=False) as response:
            body = (await response.content.read(4096)).decode(errors="replace")
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"no answer ({type(error).__name__})"
    status = _status(body)
    if response.status == HTTPStatus.OK and status in ("", "ok"):
        return ""
    return f"{response.status} {status}".strip()


def _status(body: str) -> str:
    """`status` of a JSON answer, or ""."""
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("status", "")) if isinstance(found, dict) else ""
