import asyncio
import io

from cli.story import WIDTH, Storyteller, line, tell


def test_times_are_seconds_and_texts_line_up():
    assert line(3.14, "ringing") == "   3.1 s  ringing"
    assert line(12, "caller keys", "6 keys") == "  12.0 s  caller keys   6 keys"


def test_long_texts_go_on_below_their_beginning():
    lines = line(1, "agent said", "word " * 60).splitlines()
    assert len(lines) > 2
    assert all(len(text) <= WIDTH for text in lines)
    assert all(text.startswith(" " * 24 + "word") for text in lines[1:])


def test_keys_are_counted_and_never_shown():
    assert tell({"t": 1500, "kind": "keys", "count": 6}) == "   1.5 s  caller keys   6 keys"


def test_what_twilio_does_is_told():
    notice = {"t": 0, "kind": "notice", "code": 31924, "text": "Protocol Error", "detail": "no JSON"}
    assert tell(notice) == "   0.0 s  TWILIO        31924 Protocol Error: no JSON"
    assert tell({"t": 0, "kind": "twiml", "verb": "Connect"}) is None
    assert tell({"t": 0, "kind": "twiml", "verb": "Connect"}, more=True) == "   0.0 s  TwiML         Connect"
    flow = {"t": 0, "kind": "flow", "transferType": "AGENT"}
    assert tell(flow) == "   0.0 s  Studio flow   goes on with AGENT"


def test_what_only_tests_read_is_not_told():
    assert tell({"t": 0, "kind": "agent_silent", "since": 1}) is None
    assert tell({"t": 0, "kind": "delivered", "subscription": "s"}) is None


async def test_the_story_and_the_transcript_are_merged_and_no_turn_is_told_twice():
    async def story():
        yield {"t": 0, "kind": "ringing"}
        await done.wait()
        yield {"t": 9000, "kind": "ended", "reason": "agent_hung_up"}

    async def record():
        first = {"at": "1", "who": "agent", "text": "Hello."}
        yield {"transcript": [first]}
        yield {"transcript": [first, {"at": "2", "who": "caller", "text": "bye"}]}
        # An agent's turn is known when it was heard, so it may come after one that began later.
        yield {"transcript": [first, {"at": "1.5", "who": "agent", "text": "A long", "interrupted": True},
                              {"at": "2", "who": "caller", "text": "bye"}]}  # fmt: skip
        done.set()

    done = asyncio.Event()
    out = io.StringIO()
    await Storyteller(out, record).follow(story())
    told = [text[10:].strip() for text in out.getvalue().splitlines()]
    assert told == [
        "ringing",
        "agent said    “Hello.”",
        "agent heard   “bye”",
        "agent said    “A long” … (interrupted)",
        "ended         agent_hung_up",
    ]


async def test_tools_and_handovers_are_told_once_where_they_are_wished():
    async def story():
        yield {"t": 0, "kind": "ringing"}
        await done.wait()

    async def record():
        timeline = [
            {"at": "1", "kind": "received"},
            {"at": "2", "kind": "tool", "reason": "lookup_order"},
            {"at": "3", "kind": "handover", "reason": "confirmed"},
            {"at": "3", "kind": "handover", "reason": "left"},
        ]
        yield {"timeline": timeline}
        yield {"timeline": timeline}
        done.set()

    for steps, expected in (
        (True, ["ringing", "agent uses    lookup_order", "handover      confirmed", "handover      left"]),
        (False, ["ringing"]),
    ):
        done = asyncio.Event()
        out = io.StringIO()
        await Storyteller(out, record, steps=steps).follow(story())
        assert [text[10:].strip() for text in out.getvalue().splitlines()] == expected
