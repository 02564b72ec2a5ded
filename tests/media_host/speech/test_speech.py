import pytest

from media_host.speech import Speech
from media_host.speech.child import Child
from media_host.speech.recogniser import Recogniser
from media_host.speech.synthesiser import Synthesiser
from shared.errors import AgentUnavailable


async def test_without_a_recogniser_there_is_still_a_voice(caplog):
    speech = Speech()
    speech.recogniser._child = Child("tests.media_host.speech.no_such_module")
    async with speech:
        assert speech.recogniser is None
        assert await speech.synthesiser.say("hello")
    assert "no speech recognition" in caplog.text


async def test_without_a_voice_it_does_not_start():
    speech = Speech()
    speech.synthesiser._child = Child("tests.media_host.speech.no_such_module")
    with pytest.raises(AgentUnavailable):
        await speech.start()
    assert speech.recogniser.child.pid is None


async def test_closing_ends_both_children():
    async with Speech() as speech:
        children = speech.synthesiser.child, speech.recogniser.child
        assert all(child.pid for child in children)
    assert [child.pid for child in children] == [None, None]


@pytest.mark.parametrize("engine", [Synthesiser, Recogniser])
async def test_what_was_never_started_says_so(engine):
    with pytest.raises(AgentUnavailable, match="not running"):
        await engine().child.request({})
    await engine().close()
