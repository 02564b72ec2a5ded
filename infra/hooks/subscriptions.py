"""The second pass: who listens to which events (infra/events.bicep), once the functions are there to be found.

Whether there is anything to do is asked of Azure: the subscriptions must be there, the one for calls with the addresses that are
wanted now. What the template says besides is remembered by its fingerprint in azd's environment.
"""

import hashlib
import json
from typing import Any

from infra.hooks.commands import CommandFailed
from infra.hooks.steps import ROOT, Deployment, StepFailed

TEMPLATE = ROOT / "infra" / "events.bicep"
FINGERPRINT = "PATCHCORD_EVENTS_FINGERPRINT"
CALLS = "incoming-call"
TRIES, PAUSE_S = 5, 30.0
NOT_YET = ("destination endpoint not found", "was not found", "could not be found")
"""Event Grid's words (lower case) while it cannot see a function that was deployed a minute ago (azure/bicep issue 11656)."""

CURE = (
    "`az functionapp function list -g $AZURE_RESOURCE_GROUP -n $FUNCTION_APP_NAME` must show incoming_call, call_lifecycle and "
    "rotate_signing_keys (if not: azd deploy functions), and you need EventGrid Contributor; then: azd hooks run postdeploy"
)


async def subscribe(deployment: Deployment, identity: str) -> bool:
    """Deploy events.bicep unless all is as it should be; returns whether it was deployed.

    Raises:
        StepFailed: Azure does not take it.
    """
    parameters = _parameters(deployment, identity)
    content = TEMPLATE.read_bytes() + json.dumps(parameters, sort_keys=True).encode()
    fingerprint = hashlib.sha256(content).hexdigest()[:16]
    done = deployment.get(FINGERPRINT) == fingerprint and await _stand(deployment, parameters)
    if done:
        deployment.say("event subscriptions: they are there, nothing changed")
    else:
        await _deploy(deployment, parameters)
        deployment.say("event subscriptions: incoming calls, call lifecycle, expiring keys")
        await deployment.keep(FINGERPRINT, fingerprint)
    # So that a later `azd provision` keeps them as they are.
    await deployment.keep("PATCHCORD_WIRE_EVENTS", "true")
    return not done


def _parameters(deployment: Deployment, identity: str) -> dict[str, str]:
    return {
        "functionAppName": deployment.need("FUNCTION_APP_NAME"),
        "acsTopicName": deployment.need("ACS_TOPIC_NAME"),
        "vaultTopicName": deployment.need("VAULT_TOPIC_NAME"),
        "storageAccountName": deployment.need("STORAGE_ACCOUNT_NAME"),
        "deadLetterContainer": deployment.need("DEAD_LETTER_CONTAINER"),
        "phoneNumbers": deployment.get("PATCHCORD_PHONE_NUMBERS"),
        "agentIdentity": identity,
        "addressKinds": deployment.get("PATCHCORD_ADDRESS_KINDS"),
    }


def _where(deployment: Deployment) -> list[str]:
    where = ["--resource-group", deployment.need("AZURE_RESOURCE_GROUP"), "--output", "json"]
    subscription = deployment.get("AZURE_SUBSCRIPTION_ID")
    return [*where, "--subscription", subscription] if subscription else where


async def _stand(deployment: Deployment, parameters: dict[str, str]) -> bool:
    """Whether Azure has all three subscriptions, and the one for calls asks for the addresses that are wanted."""
    for topic, names in (
        (parameters["acsTopicName"], {CALLS, "call-lifecycle"}),
        (parameters["vaultTopicName"], {"rotate-signing-keys"}),
    ):
        try:
            text = await deployment.run(
                "az",
                "eventgrid",
                "system-topic",
                "event-subscription",
                "list",
                "--system-topic-name",
                topic,
                *_where(deployment),
            )
            found = {one["name"]: one.get("properties", one) for one in json.loads(text)}
        except (CommandFailed, ValueError, KeyError, TypeError, AttributeError):
            return False  # whatever it said, it did not say that all is well: deploying again does no harm
        if not all(found.get(name, {}).get("provisioningState") == "Succeeded" for name in names):
            return False
        if CALLS in names and _addresses(found[CALLS]) != _wanted(parameters):
            return False
    return True


def _addresses(subscription: dict[str, Any]) -> set[str]:
    """The dialled addresses of a subscription, as `az` describes it."""
    rules = (subscription.get("filter") or {}).get("advancedFilters") or []
    return {value for rule in rules if rule.get("key") == "data.to.rawId" for value in rule.get("values", [])}


def _wanted(parameters: dict[str, str]) -> set[str]:
    """As events.bicep makes them: without numbers, all calls of the resource are taken."""
    numbers = [number.strip() for number in parameters["phoneNumbers"].split(",") if number.strip()]
    return {*(f"4:{number}" for number in numbers), parameters["agentIdentity"]} if numbers else set()


async def _deploy(deployment: Deployment, parameters: dict[str, str]) -> None:
    pairs = [f"{name}={value}" for name, value in parameters.items()]
    for left in reversed(range(TRIES)):
        try:
            await deployment.run(
                "az", "deployment", "group", "create", "--name", "events", "--template-file", str(TEMPLATE),
                "--parameters", *pairs, *_where(deployment),
            )  # fmt: skip
            return
        except CommandFailed as error:
            if left == 0 or not any(words in error.words.lower() for words in NOT_YET):
                raise StepFailed(f"event subscriptions: {error}", CURE) from error
            deployment.say(
                f"event subscriptions: Event Grid does not see the functions yet; again in {PAUSE_S:g} s"
            )
            await deployment.sleep(PAUSE_S)
