"""Tools and hooks that `media_world` declares."""

import asyncio

records = []
"""What `seen` was given."""


async def for_ever(arguments):
    await asyncio.Event().wait()


async def seen(record):
    records.append(record)
