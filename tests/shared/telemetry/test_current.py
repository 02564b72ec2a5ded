"""Whose call a task works on, and trace contexts as text."""

import asyncio

import pytest

from shared.telemetry.current import Current, TraceContext, below, current, follow, parse_trace, scope

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
def test_a_traceparent_is_read(flags, sampled):
    found = parse_trace(TRACE[:-2] + flags)
    assert found == TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", sampled)
    assert parse_trace(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        "",
        TRACE.upper(),
        TRACE + "0",
        TRACE[:-1],
        " " + TRACE,
        TRACE.replace("00-0af", "01-0af"),
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01",
        TRACE[:-2] + "11",
        TRACE + "\n",
    ],
)
def test_anything_else_is_no_context(text):
    assert parse_trace(text) is None


async def test_a_task_keeps_what_it_follows_and_hands_it_to_its_own_tasks():
    trace = parse_trace(TRACE)

    async def other():
        before = current()
        follow("c2", None)
        return before

    async def first():
        follow("c1", trace)
        seen = await asyncio.create_task(other())
        return seen, current()

    assert await asyncio.create_task(first()) == (Current("c1", trace), Current("c1", trace))
    assert current() == Current()


def test_scopes_end():
    trace = parse_trace(TRACE)
    with scope():
        follow("c1", None)
        with below(trace):
            assert current() == Current("c1", trace)
        assert current() == Current("c1")
    assert current() == Current()
