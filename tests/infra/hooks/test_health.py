import pytest

from infra.hooks.health import PAUSE_S, healthy
from infra.hooks.steps import StepFailed


async def test_a_first_start_is_waited_for(deployed):
    deployed.health = [(503, {"status": "degraded"}), (200, {"status": "degraded"}), (404, {})]
    await healthy(deployed.deployment())
    assert deployed.slept == [PAUSE_S] * 3
    assert deployed.said[0] == "function app: 503 degraded; waiting for it"
    assert len(deployed.said) == 3


@pytest.mark.parametrize(
    ("setting", "name", "cure"),
    [
        ("CALLBACK_EVENTS_URI", "function app", "azd deploy functions"),
        ("CALLBACK_URI_HOST", "media host", "az containerapp logs show"),
    ],
)
async def test_what_never_answers_is_named(deployed, monkeypatch, setting, name, cure):
    monkeypatch.setattr("infra.hooks.health.TRIES", 2)
    scheme = deployed.values[setting].partition("://")[0]
    with pytest.raises(StepFailed, match=f"{name} at http://127.0.0.1:1/.*no answer") as failed:
        await healthy(deployed.deployment(**{setting: f"{scheme}://127.0.0.1:1"}))
    assert cure in failed.value.cure
    assert len(deployed.slept) == 1


async def test_calls_are_not_asked_for_before_both_are_well(deployed, monkeypatch):
    from infra.hooks.runs import after_deploy

    monkeypatch.setattr("infra.hooks.health.TRIES", 1)
    deployed.health = [(503, {"status": "degraded"})]
    with pytest.raises(StepFailed, match="503 degraded"):
        await after_deploy(deployed.deployment())
    assert not any("deployment group" in line for line in deployed.programs.asked)
