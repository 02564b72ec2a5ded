import asyncio

from shared.calls.replay import forget_spent, spend


async def test_a_token_is_spent_once(store):
    tries = await asyncio.gather(*(spend(store, "jti-1", 1000.0) for _ in range(50)))
    assert tries.count(True) == 1
    assert await spend(store, "jti-2", 1000.0)


async def test_old_tokens_are_forgotten_and_no_others(store):
    for expires_at in (10.0, 999.9, 1000.0, 2000.0):
        assert await spend(store, f"jti-{expires_at}", expires_at)
    assert await forget_spent(store, 1000.0) == 2
    assert await forget_spent(store, 1000.0) == 0
    assert not await spend(store, "jti-1000.0", 1000.0)
    assert not await spend(store, "jti-2000.0", 2000.0)
