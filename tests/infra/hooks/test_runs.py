"""The three hooks from end to end, twice: the second run changes nothing, and says so."""

import asyncio
import json
import subprocess
import sys

import pytest

from emulator.key_vault import KeyVaultEmulator
from infra.hooks.runs import after_deploy, after_provision, before_provision
from infra.hooks.steps import ROOT, StepFailed
from shared.config.checks import ACS_USER
from shared.security.key_document import parse_document

PRIVATE, PUBLIC, IDENTITY = "patchcord-signing", "patchcord-verification", "patchcord-agent-identity"


async def test_from_nothing_to_a_number_and_again(deployed):
    vault: KeyVaultEmulator = deployed.vault
    await before_provision(deployed.deployment())
    assert deployed.said == ["names, numbers, patchcord.yaml, az and azd: as they should be"]
    await after_provision(deployed.deployment())
    assert deployed.said == ["signing keys: made; the private half stays in the vault"]
    private, public = (parse_document(vault.secrets[name][0].value) for name in (PRIVATE, PUBLIC))
    assert all(key.private for key in private.keys) and not any(key.private for key in public.keys)

    await after_deploy(deployed.deployment())
    identity = vault.secrets[IDENTITY][0].value
    assert ACS_USER.fullmatch(identity)
    assert deployed.said[0] == f"our ACS identity: made, {identity}"
    assert deployed.said[1].startswith("function app: well") and deployed.said[2].startswith(
        "media host: well"
    )
    assert deployed.said[3] == "event subscriptions: incoming calls, call lifecycle, expiring keys"
    assert deployed.said[4] == "dial +18005550000"
    assert identity in deployed.said[5] and deployed.said[5].startswith("next: ")
    assert deployed.programs.values.keys() == {
        "PATCHCORD_AGENT_IDENTITY",
        "PATCHCORD_EVENTS_FINGERPRINT",
        "PATCHCORD_WIRE_EVENTS",
    }
    [created] = [line for line in deployed.programs.asked if line.startswith("az deployment group create")]
    assert f"agentIdentity={identity}" in created and "phoneNumbers=+18005550000" in created
    assert "--resource-group rg-sandbox" in created and "--subscription 00000000" in created

    before = {name: list(versions) for name, versions in vault.secrets.items()}
    deployed.programs.forget()
    for hook in (before_provision, after_provision, after_deploy):
        await hook(deployed.deployment())
    assert [line for line in deployed.said if "nothing changed" in line] == [
        f"our ACS identity: {identity}, nothing changed",
        "event subscriptions: they are there, nothing changed",
    ]
    assert deployed.programs.changes() == []
    assert vault.secrets == before


async def test_no_secret_is_said_or_given_to_a_program(deployed):
    for hook in (after_provision, after_deploy):
        await hook(deployed.deployment())
        told = "\n".join([*deployed.said, *deployed.programs.asked])
        private = json.loads(deployed.vault.secrets[PRIVATE][-1].value)
        halves = [key["d"] for one in private.values() for key in one["keys"]]
        assert halves and not any(half in told for half in halves)
        assert "eyJ" not in told


async def test_other_numbers_are_wired_anew(deployed):
    await after_provision(deployed.deployment())
    await after_deploy(deployed.deployment())
    deployed.programs.forget()
    await after_deploy(deployed.deployment(PATCHCORD_PHONE_NUMBERS="+18005550000,+18005550177"))
    assert sum("deployment group create" in line for line in deployed.programs.asked) == 1
    assert "dial +18005550177: but no route of patchcord.yaml takes it yet" in deployed.said


async def test_without_a_number_it_says_how_to_get_one(deployed):
    await after_deploy(deployed.deployment(PATCHCORD_PHONE_NUMBERS=""))
    assert any(line.startswith("next: get a number for acs-x") for line in deployed.said)


@pytest.mark.parametrize("name", ["pre_provision", "post_provision", "post_deploy"])
async def test_azd_starts_the_scripts_in_their_own_folder(programs, name):
    """As `azd` does; nothing is provisioned here, so each says what is missing, and what to do."""
    programs.fail("az account show", "Please run az login")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        f"{name}.py",
        cwd=ROOT / "infra" / "hooks",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, words = await process.communicate()
    assert process.returncode == 1
    assert "what to do: " in words.decode() and "Traceback" not in words.decode()


async def test_a_step_that_fails_leaves_the_ones_before_it_done(deployed):
    deployed.programs.fail("az deployment group create", "AuthorizationFailed")
    with pytest.raises(StepFailed) as failed:
        await after_deploy(deployed.deployment())
    assert "EventGrid Contributor" in failed.value.cure
    identity = deployed.programs.values["PATCHCORD_AGENT_IDENTITY"]
    await after_deploy(deployed.deployment())
    assert deployed.said[0] == f"our ACS identity: {identity}, nothing changed"
    assert len(deployed.vault.secrets[IDENTITY]) == 1
