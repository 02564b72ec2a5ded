import pytest
from msgspec.structs import replace

from shared.config.ivr import AudioFile
from shared.ivr.flow import filled, move
from shared.ivr.state import (
    Answer,
    Ask,
    CallIn,
    Connected,
    EndCall,
    Gone,
    IvrState,
    Leave,
    Moved,
    Result,
    Speak,
    TransferTo,
    Visit,
)
from tests.shared.ivr.flows import AGENT, FLOW, IVR, PERSON, bank

START = IvrState(variables={"name": "Zoë"}, conversation="conv-1")


class Call:
    """A call in the flow: answers are given under the present context."""

    def __init__(self, start=START, ivr=None):
        self.ivr = ivr or bank()
        self.state = start
        self.action = None
        self.told = []
        self.happens(Connected())

    def happens(self, happened):
        moved = move(self.ivr, self.state, happened)
        self.state, self.action = moved.state, moved.action
        self.told += [(visit.step, visit.result) for visit in moved.visits]
        return self.action

    def says(self, result, value=""):
        return self.happens(Answer(self.state.context, result, value))

    def to_the_choice(self):
        self.says(Result.PLAYED)
        self.says(Result.KEYS, "00123#")
        return self.says(Result.KEYS, "7391")


def back(kind="SYSTEM", **variables):
    return Call(IvrState(variables={"transferType": kind, **variables}, conversation="c", return_step="back"))


def test_from_hello_to_the_agent():
    call = Call()
    assert call.action == Speak("Hello Zoë.")
    asked = call.says(Result.PLAYED)
    assert (asked.step.variable, asked.prompts) == ("account", ["Account?"])
    asked = call.says(Result.KEYS, "00123#")
    assert asked.prompts == [AudioFile(audio="https://files.example/pin.wav")]
    call.says(Result.KEYS, "7391")
    assert call.state.variables["copy"] == "<7391>"
    assert call.state.shown == {"name": "Zoë", "account": "00123", "plain": "A00123"}
    assert call.says(Result.CHOSEN, "balance") == TransferTo(
        AGENT,
        {
            "name": "Zoë",
            "account": "00123",
            "plain": "A00123",
            "wish": "balance",
            "externalConversationId": "conv-1",
            "returnTo": IVR,
            "returnStep": "back",
        },
    )
    assert call.says(Result.ACCEPTED) is None
    assert (call.state.phase, call.state.variables, call.state.secret) == ("over", {}, ())
    assert call.told[-3:] == [("what", "answered"), ("agent", ""), ("agent", "transferred")]
    assert "7391" not in str(call.told)


@pytest.mark.parametrize(
    "happened",
    [Connected(), Answer("0.1.", Result.PLAYED), Answer("1.1.account", Result.PLAYED)],
)
def test_what_is_stale_changes_nothing(happened):
    call = Call()
    assert move(call.ivr, call.state, happened) == Moved(call.state)


def test_nothing_counts_before_it_is_connected_and_after_its_end():
    ivr = bank()
    assert move(ivr, START, Answer(START.context, Result.PLAYED)) == Moved(START)
    gone = move(ivr, START, Gone()).state
    assert (gone.phase, gone.variables) == ("over", {})
    for happened in (Gone(), Connected(), Answer(gone.context, Result.PLAYED)):
        assert move(ivr, gone, happened) == Moved(gone)


def test_every_question_has_a_context_of_its_own():
    call = Call()
    contexts = {call.state.context}
    for result in (Result.FAILED, Result.PLAYED, Result.NO_INPUT, Result.FAILED):
        call.says(result)
        contexts.add(call.state.context)
    assert contexts == {"1.1.hello", "2.1.hello", "3.1.account", "4.2.account", "5.2.account"}
    assert len(replace(START, step="s" * 63, turn=12345).context) == 64


def test_a_caller_who_does_not_answer():
    call = Call()
    call.says(Result.PLAYED)
    assert call.says(Result.NO_INPUT).prompts == ["Nothing.", "Account?"]
    assert call.says(Result.NO_MATCH) == TransferTo(PERSON, {})
    assert call.told[-3:] == [("account", "no_input"), ("account", "no_match"), ("person", "")]


@pytest.mark.parametrize("pressed", ["1#", "123456789", "12*#", "#", ""])
def test_digits_that_do_not_fit(pressed):
    call = Call()
    call.says(Result.PLAYED)
    assert call.says(Result.KEYS, pressed).prompts == ["Wrong.", "Account?"]


def test_words_that_are_no_option():
    call = Call()
    call.to_the_choice()
    assert call.says(Result.CHOSEN, "else").prompts == ["What?"]


def test_a_choice_by_keys():
    call = back("SYSTEM", result="good")
    assert call.told == [("back", ""), ("sort", ""), ("menu", "")]
    assert call.says(Result.KEYS, "9").prompts == ["Keys."]
    assert call.says(Result.KEYS, "*") == EndCall("ivr_ended")
    assert call.told[-1] == ("silent", "")
    assert call.state.phase == "over"


@pytest.mark.parametrize(
    ("kind", "step"), [("AGENT", "person"), ("SYSTEM", "special"), ("else", "bye"), ("", "bye")]
)
def test_who_comes_back_goes_on_where_the_return_point_says(kind, step):
    assert back(kind).told[-1] == (step, "")


@pytest.mark.parametrize("name", ["", "unknown", "person", "pin"])
def test_nobody_from_outside_can_choose_a_step_that_is_no_return_point(name):
    call = Call(replace(START, return_step=name))
    assert call.told[0] == ("hello", "")


def test_only_named_variables_are_sent():
    call = back("SYSTEM", account="1", other="x")
    sent = call.action
    assert sent == TransferTo(AGENT, {"account": "1", "externalConversationId": "c"})


def test_a_secret_is_sent_only_by_name():
    variables = {"pin": "7391", "wish": "x", "transferType": "SYSTEM"}
    state = replace(START, variables=variables, secret=("pin",), return_step="back")
    moved = move(bank(), state, Connected())
    assert moved.action == TransferTo(AGENT, {"pin": "7391", "externalConversationId": "conv-1"})


def test_a_transfer_fails_twice_and_the_fallback_number_is_called_in():
    call = Call()
    call.to_the_choice()
    first = call.says(Result.CHOSEN, "balance")
    assert call.says(Result.FAILED) == first, "once more"
    assert call.says(Result.FAILED) == CallIn("+18005550198")
    assert call.says(Result.ACCEPTED) == Leave()
    assert call.told[-4:] == [
        ("agent", ""),
        ("agent", "failed"),
        ("agent", "failed"),
        ("agent", "fallback_answered"),
    ]
    assert call.state.phase == "over"


def test_nobody_can_be_reached():
    call = Call()
    call.to_the_choice()
    for result in (Result.NO_INPUT, Result.NO_INPUT, Result.NO_INPUT):
        call.says(result)
    assert call.action == TransferTo(PERSON, {})
    call.says(Result.FAILED)
    call.says(Result.FAILED)
    assert call.says(Result.FAILED) == Speak("Sorry.")
    assert call.says(Result.FAILED) == EndCall("ivr_failed")


def test_a_step_for_a_transfer_that_fails():
    call = back("SYSTEM")
    call.says(Result.FAILED)
    assert call.says(Result.FAILED) == Speak("Goodbye.")
    assert call.says(Result.PLAYED) == EndCall("ivr_ended")


@pytest.mark.parametrize("result", list(Result))
def test_a_goodbye_ends_the_call_whatever_becomes_of_it(result):
    assert back("else").says(result) == EndCall("ivr_ended")


def test_without_a_fallback_there_is_an_apology():
    call = Call(ivr=bank(FLOW.replace('    fallback: "+18005550198"\n', "")))
    call.says(Result.FAILED)
    assert call.says(Result.FAILED) == Speak("Sorry.")
    assert call.says(Result.PLAYED) == EndCall("ivr_failed")


def test_a_step_that_the_configuration_has_lost():
    ivr = bank()
    lost = replace(START, phase="step", step="gone", turn=4)
    assert move(ivr, lost, Answer(lost.context, Result.PLAYED)).action == CallIn("+18005550198")
    del ivr.steps["account"]
    hello = replace(START, phase="step", step="hello", turn=1)
    moved = move(ivr, hello, Answer(hello.context, Result.PLAYED))
    assert moved.action == CallIn("+18005550198")
    assert moved.visits == [Visit("account"), Visit("account", "failed")]


def test_texts():
    assert filled("{{a}}-{{ b }}-{{c}}", {"a": "1", "b": "{{a}}"}) == "1-{{a}}-"
    call = Call(IvrState(variables={"name": "x" * 5000}))
    assert len(call.action.prompt) == 4000
    call = Call(ivr=bank(FLOW.replace('"Hello {{ name }}."', '"{{none}}"')))
    assert call.action == Speak("…"), "ACS refuses an empty text"


def test_values_are_cut():
    ivr = bank(FLOW.replace('"A{{account}}"', '"{{name}}{{name}}"'))
    call = Call(IvrState(variables={"name": "x" * 1000}), ivr)
    call.to_the_choice()
    assert len(call.state.variables["plain"]) == 1024


def test_a_variable_is_no_secret_any_more_when_it_is_set_to_something_else():
    ivr = bank(FLOW.replace('{copy: "<{{pin}}>", plain: "A{{account}}"}', '{pin: "gone"}'))
    call = Call(START, ivr)
    call.to_the_choice()
    assert call.state.shown["pin"] == "gone"
    assert isinstance(call.action, Ask)


def test_what_came_with_a_caller_does_not_say_where_he_goes_next():
    call = back("SYSTEM", result="good", returnTo="8:acs:r_evil", callTransferId="t", account="1")
    call.says(Result.KEYS, "1")
    sent = call.says(Result.CHOSEN, "balance").headers
    assert sent["returnTo"] == IVR
    assert not sent.keys() & {"transferType", "callTransferId"}
