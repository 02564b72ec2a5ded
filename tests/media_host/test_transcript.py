import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media_host.agents.base import Heard, Said, SpokenWord, Transcript
from media_host.transcript import KEPT_LINES, KEPT_TURNS, MAX_CHARS, TranscriptLog, heard_text
from shared.calls.events import EventKind

TEXT = "Your order is on its way. It will be with you tomorrow."


class Notes:
    """What would be recorded."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lines = []

    def note(self, kind, *, at=None, **data) -> None:
        self.lines.append((self.now if at is None else at, kind, data))

    @property
    def texts(self):
        return [data["text"] for _, _, data in sorted(self.lines, key=lambda line: line[0])]


@pytest.fixture
def notes():
    return Notes()


@pytest.fixture
def log(notes):
    return TranscriptLog(notes, lambda: notes.now)


def agent(turn, text, words=()):
    return Transcript("agent", text, turn, words)


def caller(text):
    return Transcript("caller", text)


def timed(*words):
    return [SpokenWord(text, at, ms) for text, at, ms in words]


def test_a_turn_heard_to_its_end_is_recorded_whole(log, notes):
    log.began("t", 100)
    log.said(agent("t", TEXT))
    assert log.history() == () and not notes.lines
    log.heard(Heard("t", 3000, 3000), interrupted=False)
    data = {"text": TEXT, "heardMs": 3000, "madeMs": 3000, "interrupted": False}
    assert notes.lines == [(1000.0, EventKind.AGENT_SAID, data)]
    assert log.history() == (Said("agent", TEXT),)


def test_an_interrupted_turn_is_cut_in_proportion_at_a_word(log, notes):
    log.began("t", 0)
    log.said(agent("t", TEXT))
    log.heard(Heard("t", 1500, 3000), interrupted=True)
    assert log.history() == (Said("agent", "Your order is on its way."),)
    assert notes.lines[0][2] == {
        "text": "Your order is on its way.",
        "heardMs": 1500,
        "madeMs": 3000,
        "interrupted": True,
    }


def test_words_with_times_decide_where_they_are_known(log):
    words = timed(("Your", 0, 200), ("order", 200, 300), ("is", 2500, 200), ("late", 2700, 200))
    log.said(agent("t", "Your order, is late.", words))
    log.heard(Heard("t", 2400, 2900), interrupted=True)
    assert log.history() == (Said("agent", "Your order,"),)


@pytest.mark.parametrize(
    ("heard_ms", "text"),
    [(0, ""), (90, ""), (100, "Hi"), (299, "Hi"), (300, "Hi you."), (400, "Hi you.")],
)
def test_a_word_counts_when_half_of_it_was_heard(heard_ms, text):
    words = timed(("Hi", 0, 200), ("you", 200, 200))
    assert heard_text("Hi you.", words, Heard("t", heard_ms, 400)) == text


def test_times_of_another_spelling_are_taken_as_they_are():
    words = timed(("four", 0, 100), ("seven", 100, 100), ("one", 200, 100))
    assert heard_text("4711 it is", words, Heard("t", 210, 500)) == "four seven"


def test_a_language_without_blanks_is_cut_at_a_character():
    assert heard_text("ご注文は明日届きます", (), Heard("t", 500, 1000)) == "ご注文は明"


@settings(max_examples=60)
@given(st.text(max_size=80), st.integers(0, 5000), st.integers(1, 5000))
def test_what_was_heard_is_a_beginning_and_ends_with_a_word(text, heard_ms, made_ms):
    text = text.strip()
    found = heard_text(text, (), Heard("t", heard_ms, made_ms))
    assert text.startswith(found)
    assert len(found) * made_ms <= len(text) * heard_ms or heard_ms >= made_ms
    if any(map(str.isspace, text)):
        assert text[: len(found)].split() == text.split()[: len(found.split())]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["a", "bb", "ccc."]), min_size=1, max_size=9), st.integers(0, 1000))
def test_more_heard_is_never_less_text(words, heard_ms):
    text = " ".join(words)
    timed_words = [SpokenWord(word, 100 * n, 100) for n, word in enumerate(words)]
    for times in ((), timed_words):
        shorter, longer = (heard_text(text, times, Heard("t", ms, 1001)) for ms in (heard_ms, heard_ms + 1))
        assert longer.startswith(shorter)


@pytest.mark.parametrize("order", ["text, flush", "flush, text", "text, flush, text", "flush, text, text"])
def test_words_may_come_before_and_after_the_flush(log, order):
    parts = iter(["Your order is on its way.", "It will be with you tomorrow."])
    if order.count("text") == 1:
        parts = iter([TEXT])
    for step in order.split(", "):
        if step == "text":
            log.said(agent("t", next(parts)))
        else:
            log.heard(Heard("t", 1500, 3000), interrupted=True)
    assert log.history() == (Said("agent", "Your order is on its way."),)
    log.said(agent("t", "too late"))
    log.heard(Heard("t", 9, 9), interrupted=False)
    log.close()
    assert len(log.history()) == 1


def test_what_was_never_heard_is_not_said(log, notes):
    log.said(agent("a", "made and thrown away"))
    log.heard(Heard("a", 0, 800), interrupted=True)
    log.said(agent("b", "words without audio"))
    log.close()
    assert log.history() == ()
    assert [(data["text"], data["heardMs"], data["madeMs"]) for *_, data in notes.lines] == [
        ("", 0, 800),
        ("", 0, 0),
    ]
    assert all(data["interrupted"] for *_, data in notes.lines)


def test_the_callers_words_stand_where_the_caller_spoke(log, notes):
    """They are known later than the answer to them begins."""
    log.began("q", 0)
    log.said(agent("q", "How can I help?"))
    notes.now += 3
    log.heard(Heard("q", 1000, 1000), interrupted=False)
    log.caller_speaks(ago_ms=500)
    notes.now += 2
    log.began("a", 200)
    log.said(agent("a", "It is on its way."))
    notes.now += 1
    log.said(caller("Where is my order?"))
    notes.now += 3
    log.heard(Heard("a", 900, 900), interrupted=False)
    wanted = ["How can I help?", "Where is my order?", "It is on its way."]
    assert [said.text for said in log.history()] == wanted == notes.texts
    log.said(caller("thanks"))  # nobody told when that began
    assert log.history()[-1] == Said("caller", "thanks")
    assert notes.lines[-1][0] == notes.now


def test_noise_that_nobody_understood_is_no_line(log, notes):
    log.caller_speaks()
    log.said(caller("  "))
    assert not notes.lines
    notes.now += 5
    log.said(caller("hello"))
    assert notes.lines[0][0] == 1005.0


def test_a_name_that_is_used_again_is_a_new_turn(log):
    for text in ("one", "two"):
        log.began("same", 0)
        log.said(agent("same", text))
        log.heard(Heard("same", 100, 100), interrupted=False)
    assert [said.text for said in log.history()] == ["one", "two"]


def test_the_record_is_redacted_and_the_memory_is_not(log, notes):
    log.said(caller("it is 4111 1111 1111 1111, order 42719"))
    log.began("t", 0)
    log.said(agent("t", "four one one one one one one, is that right"))
    log.heard(Heard("t", 1, 1), interrupted=False)
    assert notes.texts == [
        "it is [16 digits], order 42719",
        "[7 digits], is that right",
    ]
    assert [said.text for said in log.history()] == [
        "it is 4111 1111 1111 1111, order 42719",
        "four one one one one one one, is that right",
    ]


def test_parts_are_put_together_before_they_are_redacted(log, notes):
    for part in ("it is 555", "01 00", "11"):
        log.said(agent("t", part))
    log.heard(Heard("t", 1, 1), interrupted=False)
    assert notes.texts == ["it is [9 digits]"]


def test_redaction_can_be_switched_off(notes):
    log = TranscriptLog(notes, lambda: notes.now, redact=False)
    log.said(caller("12345678"))
    assert notes.texts == ["12345678"]


def test_a_resumed_call_goes_on_where_it_was(notes):
    earlier = [Said("agent", "hello"), Said("caller", "hi")]
    log = TranscriptLog(notes, lambda: notes.now, earlier=earlier)
    log.said(caller("still there?"))
    assert log.history() == (*earlier, Said("caller", "still there?"))
    assert len(notes.lines) == 1


def test_earlier_calls_come_first(notes):
    log = TranscriptLog(notes, lambda: notes.now, earlier=[Said("agent", "hello")])
    log.said(caller("hi"))
    log.recall([Said("caller", "long ago", earlier=True)])
    assert [said.text for said in log.history()] == ["long ago", "hello", "hi"]
    assert len(notes.lines) == 1


def test_everything_is_bounded(log):
    for number in range(KEPT_LINES + KEPT_TURNS):
        long = MAX_CHARS if number > KEPT_LINES + 60 else 1
        log.said(caller("x" * 2 * long))
        log.began(f"t{number}", 0)
        for _ in range(3):
            log.said(agent(f"t{number}", "y" * long, [SpokenWord("y", 0, 1)] * long))
    assert len(log.history()) == KEPT_LINES
    assert max(len(said.text) for said in log.history()) == MAX_CHARS
    assert len(log._turns) == KEPT_TURNS
    assert max(len(turn.text) for turn in log._turns.values()) == MAX_CHARS
    assert max(len(turn.words) for turn in log._turns.values()) == MAX_CHARS
