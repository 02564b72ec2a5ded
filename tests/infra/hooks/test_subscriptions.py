import json
import re

import pytest

from infra.hooks.steps import StepFailed
from infra.hooks.subscriptions import CALLS, PAUSE_S, TEMPLATE, TRIES, subscribe

IDENTITY = "8:acs:a_b"


def created(programs) -> int:
    return sum("deployment group create" in line for line in programs.asked)


async def test_wired_once(world):
    assert await subscribe(world.deployment(), IDENTITY)
    assert not await subscribe(world.deployment(), IDENTITY)
    assert created(world.programs) == 1


@pytest.mark.parametrize("numbers", ["", "+18005550000, +18005550001"])
async def test_with_any_numbers_the_second_run_changes_nothing(world, numbers):
    world.values["PATCHCORD_PHONE_NUMBERS"] = numbers
    assert await subscribe(world.deployment(), IDENTITY)
    assert not await subscribe(world.deployment(), IDENTITY)


async def test_somebody_has_changed_the_addresses(world):
    await subscribe(world.deployment(), IDENTITY)
    path = world.programs.folder / "topics.json"
    path.write_text(path.read_text().replace("4:+18005550000", "4:+18005550009"))
    assert await subscribe(world.deployment(), IDENTITY)
    assert not await subscribe(world.deployment(), IDENTITY)


@pytest.mark.parametrize(
    ("gone", "how"), [(CALLS, "gone"), ("call-lifecycle", "failed"), ("rotate-signing-keys", "gone")]
)
async def test_a_subscription_that_does_not_stand_is_made_again(world, gone, how):
    await subscribe(world.deployment(), IDENTITY)
    path = world.programs.folder / "topics.json"
    topics = {}
    for topic, subscriptions in json.loads(path.read_text()).items():
        topics[topic] = [one for one in subscriptions if one["name"] != gone or how == "failed"]
        for one in topics[topic]:
            if one["name"] == gone:
                one["provisioningState"] = "Failed"
    path.write_text(json.dumps(topics))
    assert await subscribe(world.deployment(), IDENTITY)


async def test_another_template_is_deployed(world, monkeypatch, tmp_path):
    await subscribe(world.deployment(), IDENTITY)
    other = tmp_path / "events.bicep"
    other.write_bytes(TEMPLATE.read_bytes() + b"// changed\n")
    monkeypatch.setattr("infra.hooks.subscriptions.TEMPLATE", other)
    assert await subscribe(world.deployment(), IDENTITY)


async def test_functions_that_event_grid_does_not_see_yet(world):
    world.programs.fail(
        "az deployment group create", "ERROR: Destination endpoint not found. Resource details"
    )
    assert await subscribe(world.deployment(), IDENTITY)
    assert world.slept == [PAUSE_S]
    assert created(world.programs) == 2


async def test_functions_that_it_never_sees(world):
    world.programs.fail("az deployment group create", *["Destination endpoint not found"] * TRIES)
    with pytest.raises(StepFailed) as failed:
        await subscribe(world.deployment(), IDENTITY)
    assert "azd deploy functions" in failed.value.cure
    assert created(world.programs) == TRIES


async def test_any_other_fault_is_not_tried_again(world):
    world.programs.fail("az deployment group create", "AuthorizationFailed")
    with pytest.raises(StepFailed, match="AuthorizationFailed"):
        await subscribe(world.deployment(), IDENTITY)
    assert created(world.programs) == 1


async def test_without_az_it_is_said(world, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(StepFailed, match="az is not installed; install the Azure CLI"):
        await subscribe(world.deployment(), IDENTITY)


def test_names_and_parameters_are_the_templates():
    text = TEMPLATE.read_text(encoding="utf-8")
    names = set(re.findall(r"eventSubscriptions@[\d-]+' = \{\n  parent: \w+\n  name: '([\w-]+)'", text))
    assert names == {CALLS, "call-lifecycle", "rotate-signing-keys"}


async def test_it_gives_the_template_its_parameters(world):
    await subscribe(world.deployment(), IDENTITY)
    [line] = [line for line in world.programs.asked if "deployment group create" in line]
    given = set(re.findall(r" (\w+)=", line.partition("--parameters")[2]))
    assert given == set(re.findall(r"^param (\w+)", TEMPLATE.read_text(encoding="utf-8"), re.MULTILINE))
