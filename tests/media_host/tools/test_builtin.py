import pytest

from media_host.tools.outputs import MAX_BYTES
from shared.errors import ConfigurationError
from tests.media_host.tools.support import desk

PEOPLE = {
    "human": "+18005550199",
    "billing": {"to": "+18005550198", "mode": "warm"},
    "fallback": "+18005550197",
    "system": "8:acs:r_u",
}
OUTPUTS = {
    "type": "object",
    "properties": {"order": {"type": "string", "maxLength": 10}, "count": {"type": "integer"}, "vip": {"type": "boolean"}},
    "required": ["order"],
    "additionalProperties": False,
}  # fmt: skip


def names(it):
    return {spec.name for spec in it.tools.specs}


@pytest.mark.parametrize(
    ("agent", "offered"),
    [
        ({}, {"end_call", "send_dtmf"}),
        ({"transfers": {"fallback": "+18005550197"}}, {"end_call", "send_dtmf"}),
        ({"transfers": {"human": "+18005550199"}}, {"end_call", "send_dtmf", "transfer_to_human"}),
        ({"transfers": {"system": "8:acs:r_u"}}, {"end_call", "send_dtmf", "return_to_system"}),
        ({"secure_digits": {"card": {}}}, {"end_call", "send_dtmf", "collect_digits"}),
    ],
)
async def test_a_built_in_tool_is_offered_where_it_can_work(agent, offered):
    async with desk(**agent) as it:
        assert names(it) == offered
        for name in {"transfer_to_human", "return_to_system", "collect_digits"} - offered:
            assert await it.run(name, target="human", reason="r") == {"error": "unknown tool"}


async def test_each_reaches_the_host():
    async with desk(transfers=PEOPLE, secure_digits={"card": {}}) as it:
        assert await it.run("transfer_to_human", target="billing", reason="asked", variables={"a": "b"}) == {
            "status": "done"
        }
        await it.run("transfer_to_human", target="human", reason="asked")
        await it.run("return_to_system", reason="finished", variables={"x": "y"})
        await it.run("end_call", reason="goodbye")
        await it.run("send_dtmf", digits="12*#A")
        await it.run("collect_digits", name="card")
        assert it.actions.done == [
            ("transfer_to_human", "billing", "asked", {"a": "b"}),
            ("transfer_to_human", "human", "asked", {}),
            ("return_to_system", "finished", {"x": "y"}),
            ("end_call", "goodbye"),
            ("send_dtmf", "12*#A"),
            ("collect_digits", "card"),
        ]


@pytest.mark.parametrize(
    ("name", "arguments", "field"),
    [
        ("transfer_to_human", {"target": "fallback", "reason": "r"}, "target: expected one of human, billing"),
        ("transfer_to_human", {"target": "system", "reason": "r"}, "target: expected one of human, billing"),
        ("transfer_to_human", {"target": "+14255550123", "reason": "r"}, "target: expected one of"),
        ("transfer_to_human", {"target": "human"}, "the field reason"),
        ("transfer_to_human", {"target": "human", "reason": "r" * 201}, "reason: expected maxLength 200"),
        ("transfer_to_human", {"target": "human", "reason": "r", "variables": {"a": 1}}, "variables.*: expected string"),
        ("return_to_system", {}, "the field reason"),
        ("end_call", {"reason": "r", "more": 1}, "no field but reason"),
        ("send_dtmf", {"digits": "12a"}, "digits: expected text that matches"),
        ("send_dtmf", {"digits": ""}, "digits: expected text that matches"),
        ("send_dtmf", {"digits": "1" * 19}, "digits: expected text that matches"),
        ("collect_digits", {"name": "pin"}, "name: expected one of card"),
    ],
)  # fmt: skip
async def test_wrong_arguments_do_not_reach_the_host(name, arguments, field):
    async with desk(transfers=PEOPLE, secure_digits={"card": {}}) as it:
        result = await it.run(name, **arguments)
        assert it.actions.done == []
    assert result["error"].startswith("wrong arguments: ")
    assert field in result["error"]
    assert "14255550123" not in result["error"]


async def test_outcome_variables_are_checked_against_outputs():
    async with desk(transfers=PEOPLE, outputs=OUTPUTS) as it:
        transfer = next(spec for spec in it.tools.specs if spec.name == "transfer_to_human")
        assert transfer.parameters["properties"]["variables"] == OUTPUTS
        assert transfer.parameters["required"] == ["target", "reason", "variables"]
        given = {"order": "42719", "count": 3, "vip": True}
        await it.run("return_to_system", reason="r", variables=given)
        await it.run("transfer_to_human", target="human", reason="r", variables=given)
        handed = {"order": "42719", "count": "3", "vip": "true"}
        assert [done[-1] for done in it.actions.done] == [handed, handed]
        for variables, field in (
            ({"order": "12345678901"}, "variables.order: expected maxLength 10"),
            ({"count": 1}, "variables: expected the field order"),
            ({"order": "1", "secret": "4111"}, "variables: expected no field but order, count, vip"),
        ):
            for name, more in (("return_to_system", {}), ("transfer_to_human", {"target": "human"})):
                result = await it.run(name, reason="r", variables=variables, **more)
                assert result == {"error": f"wrong arguments: {field}"}
        assert "field variables" in (await it.run("return_to_system", reason="r"))["error"]
        assert len(it.actions.done) == 2


async def test_outcome_variables_are_flat_and_short():
    outputs = {"type": "object"}
    async with desk(transfers=PEOPLE, outputs=outputs) as it:

        async def hand_over(**variables):
            return await it.run("return_to_system", reason="r", variables=variables)

        assert await hand_over(a=None, b=1.5) == {"status": "done"}
        assert it.actions.done == [("return_to_system", "r", {"a": "", "b": "1.5"})]
        flat = {"error": "wrong arguments: variables: expected text, numbers, true or false"}
        assert await hand_over(a=["x"]) == flat
        assert await hand_over(a={"x": 1}) == flat
        assert await hand_over(a="x" * (MAX_BYTES - 8)) == {"status": "done"}
        assert await hand_over(a="x" * (MAX_BYTES - 7)) == {
            "error": f"wrong arguments: variables: expected at most {MAX_BYTES} bytes in all"
        }


async def test_the_variables_of_an_agents_own_end_are_checked_alike():
    async with desk(outputs=OUTPUTS) as it:
        assert it.tools.outputs.checked({"order": "1"}) == {"order": "1"}
        with pytest.raises(Exception, match="arguments: expected the field order"):
            it.tools.outputs.checked({})


async def test_a_host_that_fails_is_no_end_of_the_call():
    async with desk() as it:

        async def end_call(reason):
            raise RuntimeError("the line")

        it.actions.end_call = end_call
        assert await it.run("end_call", reason="r") == {"error": "failed"}


async def test_wrong_outputs_are_named_at_start():
    with pytest.raises(ConfigurationError) as caught:
        async with desk(outputs={"type": "object", "properties": {"a": {"type": "text"}}}):
            pass
    assert caught.value.setting.startswith("agents.desk.outputs")
