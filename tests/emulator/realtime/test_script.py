"""Scripted turns: which rule fits, and what it makes the model do."""

import json

import pytest

from emulator.realtime import Call, CallMcp, Prompt, Say, load_script
from emulator.realtime.script import SCRIPTS
from shared.errors import ConfigurationError

TOOLS = frozenset({"lookup_order", "transfer_to_human", "end_call"})


def user(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def heard(text):
    return {"type": "message", "role": "user", "content": [{"type": "input_audio", "transcript": text}]}


def result(name, **fields):
    return {"type": "function_call_output", "name": name, "output": json.dumps(fields)}


def prompt(*news, instructions="", tools=TOOLS, first=False):
    return Prompt(news, instructions, tools, first, {})


@pytest.fixture
def mind():
    return load_script(SCRIPTS / "order_desk.yaml").mind()


def text(outputs):
    return " ".join(output.text for output in outputs if isinstance(output, Say))


def test_an_order_from_the_greeting_to_the_goodbye(mind):
    assert "How can I help" in text(mind(prompt(first=True)))
    assert "key in" in text(mind(prompt(heard("where is my parcel"))))
    moment, call = mind(prompt(user("[keypad] 42719#")))
    assert isinstance(moment, Say)
    assert call == Call("lookup_order", {"order_number": "42719"})
    assert (
        text(mind(prompt(result("lookup_order", found=True, summary="It is on its way."))))
        == "It is on its way."
    )
    assert "cannot find" in text(mind(prompt(result("lookup_order", error="not found"))))
    assert mind(prompt(heard("goodbye")))[1] == Call("end_call", {"reason": "goodbye"})
    assert mind(prompt(result("end_call", status="ended"))) == []


def test_what_was_said_in_an_earlier_call_is_remembered(mind):
    """It comes as messages of the client's, before the caller's own words."""
    earlier = [user("where is my order"), heard("as i said before")]
    assert text(mind(prompt(*earlier, first=True))).startswith("Yes, I remember: where is my order.")
    mind(prompt(user("[keypad] 42719#")))
    back = mind(prompt(heard("take me back to the menu"), tools=frozenset({"return_to_system"})))[1]
    arguments = {"reason": "back to the menu", "variables": {"order_number": "42719"}}
    assert back == Call("return_to_system", arguments)


def test_a_person_is_wanted_and_may_not_come(mind):
    call = mind(prompt(heard("i want to talk to a human")))[1]
    assert call.name == "transfer_to_human"
    assert call.arguments["target"] == "human"
    assert mind(prompt(result("transfer_to_human", status="transferred"))) == []
    assert "nobody is free" in text(mind(prompt(result("transfer_to_human", error="declined"))))


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            "[The caller has said nothing for 8 seconds. Ask in one short sentence whether they are still there.]",
            "still",
        ),
        ("[The caller has said nothing for 24 seconds, and the call is over. Say goodbye.]", "Goodbye"),
        ("The line was interrupted for a moment. Say so in one short sentence.", "Please go on"),
        ("The connection was interrupted while you spoke. Go on where you stopped.", "As I was saying"),
        ("What the caller said last was lost. Apologise, and ask the caller to repeat it.", "say that again"),
    ],
)
def test_what_the_host_tells(mind, told, said):
    assert said in text(mind(prompt(user(told))))
    assert said in text(mind(prompt(instructions=told)))


def test_what_no_rule_knows(mind):
    assert "only know about orders" in text(mind(prompt(heard(""))))
    assert "only know about orders" in text(mind(prompt(user("hm"))))
    assert "cannot do that here" in text(mind(prompt(heard("goodbye"), tools=frozenset())))
    assert mind(prompt()) == []
    assert mind(prompt({"type": "function_call_output", "name": "other", "output": "no json"}))


def test_the_newest_with_a_rule_decides_and_all_give_their_fields(tmp_path):
    file = tmp_path / "s.yaml"
    file.write_text(
        "rules:\n"
        "  - text: 'name is (?P<name>[a-z]+)'\n"
        "    say: Hello {name}.\n"
        "  - result: find\n"
        "    mcp: {server: crm, tool: find, arguments: {of: '{name}'}, output: '{}'}\n"
        "    say: I look for {name} {what}.\n"
    )
    mind = load_script(file).mind()
    said, use = mind(prompt(user("my name is ann"), result("find", what="here", many=[1]), user("hm")))
    assert said == Say("I look for ann here.")
    assert use == CallMcp("crm", "find", {"of": "ann"}, "{}")
    assert mind(prompt(result("find", what=1)))[0] == Say("I look for ann 1.")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rules: [{say: hm}]", "rules[0]"),
        ("rules: [{heard: [hm], text: hm}]", "rules[0]"),
        ("rules: [{text: '('}]", "rules[0].text"),
        ("rules: [{heard: ['(hm']}]", "rules"),
        ("rules: [{colour: red}]", "rules"),
        ("rules: [", "s.yaml"),
        ("greeting: hm", "top level"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, place):
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load_script(file)
    assert place in str(error.value)


def test_a_script_that_is_not_there(tmp_path):
    with pytest.raises(ConfigurationError, match=r"no.yaml"):
        load_script(tmp_path / "no.yaml")
