from pathlib import Path

import pytest

from media_host.agents.embedded.dialogue import MAX_FILE, fill, load_dialogue, parse_dialogue
from media_host.speech.recogniser import dictionary_words
from shared.errors import ConfigurationError
from tests.media_host.agents.embedded.support import ORDER_DESK, SMALL, order_desk, small


def test_the_order_desk_is_sound_and_says_only_words_of_the_dictionary():
    dialogue = order_desk()
    assert dialogue.unknown_words(dictionary_words()) == []
    assert "not a language model" in dialogue.states[dialogue.head.start].say


def test_every_listening_state_of_the_order_desk_works_with_keys_alone():
    assert [
        name for name, state in order_desk().states.items() if state.listens and not state.takes_keys
    ] == []


def test_every_end_of_the_order_desk_has_an_outcome_and_a_word_to_the_caller():
    ends = {name: state for name, state in order_desk().states.items() if state.end}
    assert {state.end.outcome for state in ends.values()} == {"AGENT", "SYSTEM"}
    assert all(state.say for state in ends.values())


def test_a_file_is_read_once():
    assert load_dialogue(ORDER_DESK) is load_dialogue(ORDER_DESK)


def test_an_unreadable_file_is_named():
    with pytest.raises(ConfigurationError, match=r"nowhere/x\.yaml.*FileNotFoundError"):
        load_dialogue(Path("nowhere/x.yaml"))


def test_unknown_words_are_named():
    dialogue = small(("[opening hours]", "[opening flurbs]"))
    assert dialogue.unknown_words(frozenset({"opening", "hours", "agent", "please", "yes", "no"})) == [
        "eight",
        "five",
        "flurbs",
        "four",
        "nine",
        "oh",
        "one",
        "seven",
        "six",
        "three",
        "two",
        "zero",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("start: menu", "start: nemu", "small.yaml: start: expected the name of a state, found 'nemu'"),
        ("no_match: lost", "no_match: gone", "small.yaml: no_match: expected the name of a state"),
        ("no_input: quiet", "", "small.yaml: expected .*no_input"),
        ("tasks: {number: number}", "tasks: {number: numbr}", "tasks.number: expected the name of a state"),
        (
            "anywhere: {human: lost}",
            "anywhere: {humn: lost}",
            "anywhere.humn: expected the name of an intent",
        ),
        (
            "go: {hours: hours,",
            "go: {hour: hours,",
            "states.menu.go: expected the name of an intent .*'hour'",
        ),
        ("go: {hours: hours,", "go: {hours: hour,", "states.menu.go.hours: expected the name of a state"),
        ('keys: {"1": hours', 'keys: {"11": hours', "states.menu.keys: expected keys 0-9"),
        ('keys: {"1": hours', "keys: {1: hours", r"line 20: the key '1' needs quotes"),
        (
            "intents:",
            "intents:\n  on: [go on]",
            r"line 7: the key 'on' needs quotes \(YAML reads it as True\)",
        ),
        ("intents:", "intents:\n  no: [nope]", "line 7: the key 'no' needs quotes"),
        ("intents:", "intents:\n  hours: [again]", "line 8: the key 'hours' is there twice"),
        ('affirm: ["yes"]', "affirm: [yes]", r"intents.*Expected `str`, got `bool`"),
        (
            "hours: [opening hours]",
            'hours: ["opening (hours"]',
            r"intents.hours: expected a pattern \('\(' has no",
        ),
        (
            "hours: [opening hours]",
            "hours: []",
            "states.menu.go: expected the name of an intent that has patterns",
        ),
        ("say: Nine to five.", "sya: Nine to five.", "small.yaml: states.hours: .*unknown field `sya`"),
        ("name: small", "nam: small\nname: small", "small.yaml: .*unknown field `nam`"),
        ("digits: 5,", "digits: 50,", r"small.yaml: states.number.slot.digits: .*<= 20"),
        ("min_digits: 3", "min_digits: 6", "states.number.slot.min_digits: expected at most"),
        ("barge_in: never", "barge_in: maybe", "states.lost.barge_in: .*'maybe'"),
        ("outcome: AGENT", "outcome: HUMAN", "states.lost.end.outcome"),
        (
            "target: human}",
            "target: human, failed: nowhere}",
            "states.lost.end.failed: expected the name of a",
        ),
        ("target: human}", "failed: menu}", "states.lost.end.failed: expected an outcome AGENT with a"),
        ("reason: no_input}", "reason: x, target: t, failed: menu}", "states.quiet.end.failed: expected an"),
        ("next: menu}", "next: menu, go: {hours: menu}}", "states.hours: expected exactly one of"),
        ("say: Nine to five., next: menu", "say: Nine to five.", "states.hours: expected exactly one of"),
        ("next: menu}", "next: hours}", "states.hours.next: expected a way that ends"),
        (
            "quiet: {end",
            "island: {say: x, next: bye}\n  quiet: {end",
            "states.island: expected a state that can be",
        ),
        ("name: small", "name: small\nvoice: ../x", "small.yaml: voice: expected an espeak-ng voice"),
        ("name: small", "name: small\nlisten: {hang_ms: 5}", "small.yaml: listen.hang_ms: .*>= 100"),
        ("name: small", "name: [", "small.yaml: expected YAML"),
        ("name: small", "name: !!python/object/apply:os.getcwd []", "small.yaml: expected YAML"),
    ],
)
def test_a_mistake_is_named_with_file_and_path(old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        small((old, new))


@pytest.mark.parametrize("text", ["", "[]", "name: x", "states: []", "x" * (MAX_FILE + 1)])
def test_what_is_no_dialogue_at_all(text):
    with pytest.raises(ConfigurationError, match=r"odd\.yaml: expected"):
        parse_dialogue(text, "odd.yaml")


def test_the_small_dialogue_itself_is_sound():
    assert set(parse_dialogue(SMALL, "small.yaml").states) >= {"menu", "bye"}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("no field", "no field"),
        ("{a} and {b}", "one and 42"),
        ("{b:spell}", "4, 2"),
        ("{nothing}!", "!"),
        ("{accountNumber:spell} {from-ivr} {line2}", "0, 7 main two"),
        ("{a.__class__} {a!r} {0} {}", "{a.__class__} {a!r} {0} {}"),
    ],
)
def test_templates_only_look_up_names(template, text):
    variables = {"a": "one", "b": "42", "accountNumber": "07", "from-ivr": "main", "line2": "two"}
    assert fill(template, variables) == text


def test_a_value_is_never_a_template_itself():
    assert fill("{a}", {"a": "{b}", "b": "secret"}) == "{b}"


def test_hidden_values_are_only_counted():
    assert fill("{a} {b:spell}", {"a": "1", "b": "42719"}, frozenset({"b"})) == "1 [5 digits]"
