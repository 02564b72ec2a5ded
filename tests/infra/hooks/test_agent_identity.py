import pytest

from infra.hooks.agent_identity import SECRET, VALUE, agent_identity
from infra.hooks.steps import StepFailed

OTHER = "8:acs:9a7c1f43-50b0-4a65-8f2c-6f0d3cbb5e10_00000000-0000-4000-8000-000000000077"


async def test_another_machine_finds_it_in_the_vault(deployed):
    identity = await agent_identity(deployed.deployment())
    (deployed.programs.folder / "values.json").unlink()
    assert await agent_identity(deployed.deployment()) == identity
    assert deployed.programs.values[VALUE] == identity
    assert len(deployed.vault.secrets[SECRET]) == 1


async def test_what_azds_environment_says_holds(deployed):
    await agent_identity(deployed.deployment())
    assert await agent_identity(deployed.deployment(**{VALUE: OTHER})) == OTHER
    assert [version.value for version in deployed.vault.secrets[SECRET]][1:] == [OTHER]


async def test_something_else_is_not_taken_for_one(deployed):
    with pytest.raises(StepFailed, match="not like 8:acs"):
        await agent_identity(deployed.deployment(**{VALUE: "+18005550000"}))
    assert deployed.vault.secrets == {}


async def test_it_is_written_down_before_it_is_used(deployed):
    """The vault is full: nothing may use an identity that nobody would remember."""
    deployed.vault.failing = 403
    with pytest.raises(StepFailed, match="our ACS identity"):
        await agent_identity(deployed.deployment())
    assert VALUE not in deployed.programs.values


async def test_acs_that_does_not_let_us_in(deployed, monkeypatch):
    async def refuse(*_: object) -> None:
        from azure.core.exceptions import ClientAuthenticationError

        raise ClientAuthenticationError("no")

    monkeypatch.setattr("tests.infra.hooks.conftest._Both.for_acs", refuse)
    with pytest.raises(StepFailed) as failed:
        await agent_identity(deployed.deployment())
    assert "Contributor on the ACS resource" in failed.value.cure
    assert deployed.vault.secrets == {}
