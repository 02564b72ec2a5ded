import asyncio

from media_host.agents.realtime import responses as module
from media_host.agents.realtime.responses import ALREADY_ACTIVE, ANSWER, Ask, Responses
from tests.support.virtual_loop import run_virtually

GREETING = Ask("greeting", "Good day.")
OTHER = Ask("answer", "One moment.")


def virtually(test):
    async def main():
        sent, late = [], []
        one = Responses(lambda event_id, ask: sent.append((event_id, ask)), lambda: late.append(True))
        await test(one, sent, late)
        one.close()

    run_virtually(main())


def test_one_at_a_time_and_each_thing_once():
    async def test(one, sent, late):
        assert one.idle
        one.ask(GREETING)
        one.ask(ANSWER)
        one.ask(ANSWER)
        one.ask(OTHER)
        assert [ask for _, ask in sent] == [GREETING] and not one.idle
        for expected in (GREETING, ANSWER, OTHER):
            assert sent[-1][1] == expected
            assert one.created("r" + sent[-1][0]) == expected
            one.done("r" + sent[-1][0])
            one.done("r" + sent[-1][0])
            one.next()
        assert len(sent) == 3 and one.idle and not late

    virtually(test)


def test_the_models_own_response_is_not_taken_for_ours_for_good():
    async def test(one, sent, late):
        one.ask(OTHER)
        assert one.created("own") == OTHER  # it seems so
        one.refused(sent[0][0], ALREADY_ACTIVE)
        assert one.asked_for is None
        one.done("own")
        one.next()
        assert [ask for _, ask in sent] == [OTHER, OTHER]

    virtually(test)


def test_a_response_that_is_done_without_having_begun_answers_the_request():
    async def test(one, sent, late):
        one.ask(OTHER)
        one.done("r1")
        assert one.idle
        one.created("r2")
        one.done("r9")  # another one than that which is being made
        assert one.active == "r2"

    virtually(test)


def test_an_error_about_the_request_itself_lets_the_next_one_go():
    async def test(one, sent, late):
        one.ask(OTHER)
        one.ask(ANSWER)
        one.refused("somebody else's", "x")
        assert len(sent) == 1
        one.refused(sent[0][0], "invalid_value")
        assert [ask for _, ask in sent] == [OTHER, ANSWER]

    virtually(test)


def test_a_request_that_is_not_taken_up_is_sent_twice_and_then_reported():
    async def test(one, sent, late):
        one.ask(OTHER)
        await asyncio.sleep(2 * module.REQUEST_S + 1)
        assert [ask for _, ask in sent] == [OTHER, OTHER] and late == [True]
        assert one.idle

    virtually(test)


def test_a_done_that_was_lost_does_not_mute_the_agent():
    async def test(one, sent, late):
        one.created("r1")
        one.ask(OTHER)
        await asyncio.sleep(module.ACTIVE_S - 1)
        assert not sent
        await asyncio.sleep(2)
        assert [ask for _, ask in sent] == [OTHER]

    virtually(test)


def test_what_was_wanted_survives_the_session():
    async def test(one, sent, late):
        one.ask(GREETING)
        one.ask(OTHER)
        assert one.lost() is None  # it was not taken up
        one.ask(ANSWER)
        assert len(sent) == 1
        one.resume()
        assert sent[-1][1] == GREETING
        one.created("r1")
        assert one.lost() == GREETING  # it was being made
        one.resume(GREETING)
        assert sent[-1][1] == GREETING
        one.forget()
        one.created("r1")
        one.done("r1")
        one.next()
        assert one.idle

    virtually(test)


def test_what_waits_is_bounded():
    async def test(one, sent, late):
        one.created("r1")
        for number in range(100):
            one.ask(Ask("answer", str(number)))
        one.done("r1")
        for number in range(100):
            one.next()
            one.created(f"s{number}")
            one.done(f"s{number}")
        assert len(sent) == module.WAITING_RESPONSES

    virtually(test)
