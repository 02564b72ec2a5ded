import pytest

from infra.hooks.keys import PAUSE_S, TRIES, make_keys
from infra.hooks.steps import StepFailed

PRIVATE, PUBLIC = "patchcord-signing", "patchcord-verification"


async def test_a_role_that_is_not_known_yet_is_waited_for(deployed):
    deployed.vault.failing = 403
    deployment = deployed.deployment()

    async def let_in(seconds: float) -> None:
        deployed.slept.append(seconds)
        if len(deployed.slept) == 2:
            deployed.vault.failing = None

    object.__setattr__(deployment, "sleep", let_in)
    await make_keys(deployment)
    assert deployed.slept == [PAUSE_S, PAUSE_S]
    assert len(deployed.said) == 2 and "does not let us in yet" in deployed.said[0]
    assert deployed.vault.secrets.keys() == {PRIVATE, PUBLIC}


async def test_a_vault_that_stays_closed(deployed, monkeypatch):
    monkeypatch.setattr("infra.hooks.keys.TRIES", 3)
    deployed.vault.failing = 403
    with pytest.raises(StepFailed) as failed:
        await make_keys(deployed.deployment())
    assert deployed.slept == [PAUSE_S, PAUSE_S]
    assert "azd hooks run postprovision" in failed.value.cure
    assert TRIES * PAUSE_S >= 300


async def test_keys_that_cannot_be_read_are_left_alone(deployed):
    await make_keys(deployed.deployment())
    [made] = deployed.vault.secrets[PRIVATE]
    object.__setattr__(made, "value", "scribble")
    with pytest.raises(StepFailed, match="no key document"):
        await make_keys(deployed.deployment())
    assert deployed.vault.secrets[PRIVATE] == [made]


async def test_a_missing_public_half_is_made_again(deployed):
    await make_keys(deployed.deployment())
    public = deployed.vault.secrets.pop(PUBLIC)[0].value
    await make_keys(deployed.deployment())
    assert "public half was missing" in deployed.said[0]
    assert deployed.vault.secrets[PUBLIC][0].value == public
    assert len(deployed.vault.secrets[PRIVATE]) == 1


@pytest.mark.parametrize("address", ["", "file:/tmp/keys", "https://kv/secrets/a/b"])
async def test_only_a_vault_will_do(deployed, address):
    with pytest.raises(StepFailed, match="PATCHCORD_SIGNING_KEYS"):
        await make_keys(deployed.deployment(PATCHCORD_SIGNING_KEYS=address))
