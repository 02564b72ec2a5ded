"""Functions that tests name as entry points."""

import asyncio
import datetime


async def echo(arguments):
    return {"got": dict(arguments)}


async def slow(arguments):
    await asyncio.sleep(arguments.get("seconds", 600))
    return {"done": True}


async def stubborn(arguments):
    """Takes no notice of being cancelled, and fails long after."""
    event = STUBBORN
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError:
            continue
    raise RuntimeError("late")


STUBBORN = asyncio.Event()


async def cancels_itself(arguments):
    raise asyncio.CancelledError


async def fails(arguments):
    raise KeyError(f"card {arguments.get('card')}")


async def refuses(arguments):
    raise ValueError("the order's number has five digits" + arguments.get("more", ""))


async def returns(arguments):
    return {
        "nothing": None,
        "list": ["a"],
        "text": "x",
        "long": {"text": "x" * 20_000},
        "date": {"on": datetime.date(2026, 11, 21), "nan": float("nan"), 1: "one"},
        "object": {"it": object()},
        "surrogate": {"it": "\ud800"},
    }[arguments["what"]]


async def two(first, second):
    return {}


def plain(arguments):
    return {}
