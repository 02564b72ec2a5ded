import pytest

from media_host.agents.embedded.grammar import Meaning, PatternError, build_grammar, compile_pattern

MACROS = {"order": "order | package", "thing": "my <order>", "loop": "a <loop>"}


@pytest.mark.parametrize(
    ("pattern", "said", "not_said"),
    [
        ("stop", ["stop"], ["stopp", "stop stop", ""]),
        ("where is my order", ["where is my order"], ["where is", "where is my"]),
        ("stop [that is enough]", ["stop", "stop that is enough"], ["stop that"]),
        ("(talk | speak) to (a human | someone)", ["talk to a human", "speak to someone"], ["talk a human"]),
        ("a | b c", ["a", "b c"], ["a c", "b"]),
        ("where is <thing>", ["where is my order", "where is my package"], ["where is order"]),
        ("[please] [now] go", ["go", "please go", "please now go"], ["now please go"]),
        ("that's all", ["that's all"], ["thats all"]),
        ("((a))", ["a"], ["b"]),
    ],
)
def test_a_pattern_takes_what_it_says(pattern, said, not_said):
    grammar = build_grammar([("it", [pattern])], MACROS)
    assert [grammar.meaning(text) for text in said] == [Meaning("it")] * len(said)
    assert [grammar.meaning(text) for text in not_said] == [None] * len(not_said)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "empty choice"),
        ("a |", "empty choice"),
        ("( )", "empty choice"),
        ("(a", "'\\(' has no partner"),
        ("a)", "'\\)' has no partner"),
        ("[a)", "'\\[' has no partner"),
        ("<nope>", "no macro <nope>"),
        ("<loop>", "circle"),
        ("Where is", "cannot read 'Where is'"),
        ("a; b", "cannot read '; b'"),
        ("a *", "cannot read"),
    ],
)
def test_a_mistake_is_named(pattern, message):
    with pytest.raises(PatternError, match=message):
        compile_pattern(pattern, MACROS)


def test_digits_are_read_within_their_bounds():
    grammar = build_grammar([("bye", ["goodbye"])], {}, (2, 4))
    assert grammar.meaning("four two") == Meaning(digits="42")
    assert grammar.meaning("oh zero nine eight") == Meaning(digits="0098")
    assert grammar.meaning("goodbye") == Meaning("bye")
    assert [grammar.meaning(text) for text in ("four", "one two three four five", "one goodbye")] == [
        None
    ] * 3
    assert "<number> = <digit> <digit> [<digit>] [<digit>];" in grammar.jsgf


def test_words_are_collected_for_the_dictionary_check():
    assert compile_pattern("where is <thing> [please]", MACROS).words == {
        "where",
        "is",
        "my",
        "order",
        "package",
        "please",
    }


def test_nothing_to_say_is_no_grammar():
    assert build_grammar([], {}) is None


def test_the_first_intent_that_fits_wins():
    grammar = build_grammar([("one", ["yes"]), ("two", ["yes [please]"])], {})
    assert (grammar.meaning("yes"), grammar.meaning("yes please")) == (Meaning("one"), Meaning("two"))
