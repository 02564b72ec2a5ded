import pytest

from media_host.agents.base import TransferType
from media_host.agents.embedded.engine import (
    BETWEEN_KEYS_MS,
    LATE_HASH_MS,
    TOOL_MS,
    CallerSaid,
    CallTool,
    Engine,
    Finish,
    Interrupt,
    Listen,
    Say,
)
from tests.media_host.agents.embedded.support import small


def engine(**options):
    options = {"task": "", "speech": True, **options}
    return Engine(small(), options.pop("variables", {}), **options)


def started(**options):
    item = engine(**options)
    item.start(0.0)
    return item


def said(actions):
    return [action.text for action in actions if isinstance(action, Say)]


def kinds(actions):
    return [type(action).__name__ for action in actions]


def keyed(item, keys, now=0.0):
    return [action for key in keys for action in item.key(key, now)]


def test_it_greets_and_listens():
    actions = engine().start(0.0)
    assert kinds(actions) == ["Say", "Listen"]
    assert actions[0] == Say("Welcome to Delft.", "Welcome to Delft.", True)
    assert actions[1].grammar.meaning("opening hours").intent == "hours"
    assert actions[1].grammar.meaning("agent please").intent == "human"
    assert actions[1].grammar.meaning("no") is None  # only this state's intents


def test_the_calls_variables_come_on_top():
    assert said(engine(variables={"place": "Gouda"}).start(0.0)) == ["Welcome to Gouda."]


def test_a_task_starts_at_its_state_and_an_unknown_one_at_the_start():
    assert said(engine(task="number").start(0.0)) == ["Your number?"]
    assert said(engine(task="unheard of").start(0.0)) == ["Welcome to Delft."]


def test_a_resumed_call_is_not_greeted_as_new():
    assert said(engine().start(0.0, resumed=True)) == [
        "Sorry, the line was interrupted.",
        "Welcome to Delft.",
    ]


def test_an_intent_leads_on_through_next():
    actions = started().heard("opening hours", 1.0)
    assert actions[0] == CallerSaid("opening hours")
    assert said(actions) == ["Nine to five.", "Welcome to Delft."]
    assert kinds(actions)[-1] == "Listen"


def test_an_intent_that_holds_anywhere():
    actions = started().heard("agent please", 1.0)
    assert actions[-1].ended.outcome is TransferType.AGENT
    assert not next(action for action in actions if isinstance(action, Say)).interruptible


def test_keys_fill_a_slot_and_the_tools_answer_is_told():
    item = started(task="number")
    actions = keyed(item, "42719")
    assert kinds(actions) == ["Interrupt"] * 5 + ["CallerSaid", "Say", "CallTool"]
    assert actions[5] == CallerSaid("[5 keys]")
    assert actions[-1] == CallTool("tool-1", "find", {"id": "42719"})
    actions = item.tool_result("tool-1", {"text": "Ready"}, 10.0)
    assert said(actions) == ["Ready for 42719", "Bye."]
    assert [a.shown for a in actions if isinstance(a, Say)] == ["Ready for [5 digits]", "Bye."]
    ended = actions[-1].ended
    assert (ended.outcome, ended.reason, ended.task) == (TransferType.SYSTEM, "done", "number")
    assert (ended.reference, ended.transfer) == ({"account": "42719"}, {"answer": "Ready"})
    assert item.ended
    assert item.heard("yes", 11.0) == item.key("1", 11.0) == item.poll(1e9) == []


@pytest.mark.parametrize(
    ("keys", "number"), [("427#", "427"), ("4271#", "4271"), ("99*427#", "427"), ("1A42719", "42719")]
)
def test_a_hash_ends_a_number_and_a_star_begins_it_again(keys, number):
    actions = keyed(started(task="number"), keys)
    assert actions[-1].arguments == {"id": number}


@pytest.mark.parametrize("keys", ["42#", "#"])
def test_too_few_digits_are_a_failure(keys):
    actions = keyed(started(task="number"), keys)
    assert said(actions) == ["Sorry, I did not understand that.", "Your number?"]


def test_a_pause_between_keys_ends_the_number():
    item = started(task="number")
    keyed(item, "427", now=100.0)
    assert item.deadline == 100.0 + BETWEEN_KEYS_MS
    assert item.poll(item.deadline - 1) == []
    assert item.poll(item.deadline)[-1].arguments == {"id": "427"}


@pytest.mark.parametrize(
    ("now", "expected"), [(LATE_HASH_MS - 1, []), (LATE_HASH_MS + 1, ["Sorry, I did not understand that."])]
)
def test_a_late_hash_belongs_to_the_number_before_it(now, expected):
    item = Engine(small(("failed: lost", "failed: menu")), {}, task="number", speech=True)
    item.start(0.0)
    keyed(item, "42719")
    item.tool_result("tool-1", {"error": "gone"}, 1.0)
    assert said(item.key("#", now))[:1] == expected


def test_spoken_digits_are_read_back_before_they_count():
    item = started(task="number")
    actions = item.heard("four two seven one nine", 1.0)
    assert actions[0] == CallerSaid("[5 digits]")
    assert actions[1] == Say("Was it 4, 2, 7, 1, 9?", "Was it [5 digits]?", True)
    assert said(item.heard("no", 2.0)) == ["Your number?"]
    item.heard("one two three", 3.0)
    assert item.heard("yes", 4.0)[-1].arguments == {"id": "123"}


def test_three_failures_in_a_row_go_to_a_human():
    item = started()
    assert said(item.heard(None, 1.0)) == ["Sorry, I did not understand that.", "Say opening hours."]
    assert kinds(item.heard("no such thing", 2.0))[-1] == "Listen"
    ended = item.heard(None, 3.0)[-1].ended
    assert (ended.outcome, ended.reason, ended.target) == (TransferType.AGENT, "no_match", "human")


def test_a_success_in_between_makes_the_count_begin_again():
    item = started()
    for text in (None, None, "opening hours", None, None):
        actions = item.heard(text, 1.0)
    assert not item.ended
    assert kinds(actions)[-1] == "Listen"


def test_silence_is_asked_about_twice_and_then_ends_the_call():
    item = started()
    now = 0.0
    for _ in range(2):
        assert item.deadline is None  # the prompt is still being spoken
        item.prompts_played(now)
        assert item.deadline == now + 7000
        now = item.deadline
        actions = item.poll(now)
        assert said(actions) == ["Are you still there?", "Say opening hours."]
    item.prompts_played(now)
    ended = item.poll(now + 7000)[-1].ended
    assert (ended.outcome, ended.reason) == (TransferType.SYSTEM, "no_input")


def test_a_caller_who_speaks_is_not_silent():
    item = started()
    item.prompts_played(0.0)
    item.speech_started()
    assert item.deadline is None
    assert item.poll(1e9) == []


def test_a_key_where_none_is_expected():
    item = started(task="number")
    item.heard("one two three", 1.0)
    assert item.state == "confirm"
    assert item.key("1", 2.0) == []
    item = started()
    assert said(item.key("7", 1.0)) == ["Sorry, I did not understand that.", "Say opening hours."]


def test_keys_choose_and_interrupt():
    actions = started().key("1", 1.0)
    assert actions[:2] == [Interrupt(), CallerSaid("[1 key]")]
    assert said(actions) == ["Nine to five.", "Welcome to Delft."]


def test_a_prompt_that_must_be_heard_is_not_interrupted_by_a_key():
    item = Engine(small(("again: Say opening hours.", "barge_in: never")), {}, task="", speech=True)
    item.start(0.0)
    assert Interrupt() not in item.key("1", 1.0)
    item.prompts_played(2.0)
    assert Interrupt() in item.key("1", 3.0)


HAND_OVER = ("target: human}", "target: human, failed: menu, reference: {a: '1'}, transfer: {b: '{place}'}}")


def handing_over():
    item = Engine(small(HAND_OVER), {}, task="", speech=True)
    item.start(0.0)
    return item, item.heard("agent please", 0.0)


def test_a_handover_that_fails_goes_on():
    item, actions = handing_over()
    arguments = {"target": "human", "reason": "no_match", "variables": {"a": "1", "b": "Delft"}}
    assert actions[-1] == CallTool("tool-1", "transfer_to_human", arguments)
    assert item.deadline is None and item.poll(1e9) == []  # telephones ring as long as they ring
    assert said(item.tool_result("tool-1", {"error": "no_answer"}, 1e9)) == ["Welcome to Delft."]
    assert item.heard("agent please", 1e9)[-1].id == "tool-2"


def test_a_handover_that_succeeds_is_the_end_of_the_dialogue():
    item, _ = handing_over()
    assert item.tool_result("tool-1", {"status": "transferred"}, 1.0) == []
    assert item.heard("yes", 2.0) == [] and item.key("1", 2.0) == [] and item.deadline is None


def test_a_tool_that_fails_or_never_answers():
    item = started(task="number")
    keyed(item, "427#")
    assert item.tool_result("tool-0", {"text": "old"}, 1.0) == []
    assert item.tool_result("tool-1", {"error": "x"}, 2.0)[-1].ended.reason == "no_match"
    item = started(task="number")
    keyed(item, "427#", now=50.0)
    item.speech_started()
    assert item.deadline == 50.0 + TOOL_MS
    assert isinstance(item.poll(item.deadline)[-1], Finish)
    assert item.tool_result("tool-1", {"text": "late"}, 1e9) == []


def test_without_speech_recognition_it_says_so_and_asks_for_keys():
    actions = engine(speech=False).start(0.0)
    assert said(actions) == [
        "I have no speech recognition here, so please use the keys of your phone.",
        "Press 1.",
    ]
    assert actions[-1] == Listen(None, 500, 8000)


def test_long_variables_cannot_make_a_prompt_too_long():
    texts = said(engine(variables={"place": "x" * 5000}).start(0.0))
    assert len(texts[0]) < 1100
