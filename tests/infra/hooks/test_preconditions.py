import json

import pytest

from infra.hooks.preconditions import FLAGS, ONE_OF, WHOLE, check
from infra.hooks.steps import ROOT, StepFailed


async def test_a_good_environment_passes(world):
    await check(world.deployment(PATCHCORD_PRIVATE_NETWORK="true", PATCHCORD_BUDGET="200"))
    assert world.said == ["names, numbers, patchcord.yaml, az and azd: as they should be"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("AZURE_ENV_NAME", "1st", "azd env new NAME"),
        ("AZURE_ENV_NAME", "", "azd env new NAME"),
        ("PATCHCORD_RESOURCE_GROUP", "my group", "at most 90"),
        ("PATCHCORD_DATA_LOCATION", "", "azd env set PATCHCORD_DATA_LOCATION Europe"),
        ("PATCHCORD_PHONE_NUMBERS", "18005550000", "with + and country code"),
        ("PATCHCORD_PHONE_NUMBERS", "+1 800 555 0000", "with + and country code"),
        ("PATCHCORD_PHONE_NUMBERS", "+18005550000,+18005550000", "each one once"),
        ("PATCHCORD_PHONE_NUMBERS", ",".join(f"+180055500{n}" for n in range(10, 35)), "at most 25"),
        ("PATCHCORD_ADDRESS_KINDS", "telephone", "phoneNumber"),
        ("PATCHCORD_AGENT_IDENTITY", "8:orgid:x", "leave it empty"),
        ("PATCHCORD_PRIVATE_NETWORK", "yes", "true, or false"),
        ("PATCHCORD_CALLS_PER_REPLICA", "many", "whole number"),
        ("PATCHCORD_MEDIA_SCALING", "auto", "fixed, activeCalls"),
        ("PATCHCORD_ALERT_EMAILS", "a@example.com, b", "e-mail addresses"),
    ],
)
async def test_a_mistake_is_named_with_its_cure(world, name, value, words):
    with pytest.raises(StepFailed) as failed:
        await check(world.deployment(**{name: value}))
    assert words in str(failed.value)
    assert not world.programs.changes()


async def test_all_mistakes_are_told_at_once(world):
    with pytest.raises(StepFailed) as failed:
        await check(world.deployment(PATCHCORD_DATA_LOCATION="", PATCHCORD_BUDGET="lots"))
    assert str(failed.value).count("what to do: ") == 2


async def test_notes_are_no_mistakes(world):
    await check(world.deployment(PATCHCORD_DATA_LOCATION="Atlantis", PATCHCORD_PHONE_NUMBERS="+18005550123"))
    assert [line.split(":")[0] for line in world.said[:2]] == ["note", "note"]


@pytest.mark.parametrize(
    ("command", "cure"), [("az account show", "az login"), ("azd version", "azd-install")]
)
async def test_somebody_must_be_signed_in(world, command, cure):
    world.programs.fail(command, "Please run 'az login'")
    with pytest.raises(StepFailed) as failed:
        await check(world.deployment())
    assert cure in failed.value.cure


async def test_a_wrong_patchcord_yaml(world, monkeypatch, tmp_path):
    (tmp_path / "patchcord.yaml").write_text("agents: {}\nroutes: [{name: a, to: ['*'], agent: nobody}]\n")
    monkeypatch.setattr("infra.hooks.preconditions.ROOT", tmp_path)
    with pytest.raises(StepFailed, match="routes"):
        await check(world.deployment())


def test_every_value_that_is_checked_is_a_parameter():
    """A name that nothing reads would be checked in vain; a flag or number that is not checked would fail in the middle."""
    text = "".join(
        (ROOT / "infra" / name).read_text() for name in ("main.parameters.json", "media.parameters.json")
    )
    for name in (*FLAGS, *WHOLE, *ONE_OF):
        assert f"${{{name}" in text
    values = [
        one["value"]
        for name in ("main.parameters.json", "media.parameters.json")
        for one in json.loads((ROOT / "infra" / name).read_text())["parameters"].values()
    ]
    flags = {one[2:].partition("=")[0] for one in values if one.endswith(("=true}", "=false}"))}
    assert flags <= set(FLAGS)
    numbers = {one[2:].partition("=")[0] for one in values if one.partition("=")[2].rstrip("}").isdecimal()}
    assert numbers <= set(WHOLE)
