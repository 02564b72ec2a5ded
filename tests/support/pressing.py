"""Keys pressed by a person who waits until he is asked."""

import asyncio

from tests.support.timing import patience


async def press(call, keys) -> None:
    """Press `keys` as soon as somebody takes the telephone's keys: what is pressed before is lost, as it is at ACS."""
    async with asyncio.timeout(patience(20)):
        while not call._leg.key_listeners:
            await asyncio.sleep(0.05)
    await call.press_keys(keys)
