import asyncio

from shared.twilio.engagements import TABLE, Engagement
from tests.shared.twilio.world import CALL


async def test_webhook_and_audio_at_once(twilio):
    """Whatever the order, nothing that either wrote is lost to a race."""
    engagements = twilio.settling.engagements
    for _ in range(3):
        await asyncio.gather(
            *(engagements.begin("default", CALL, f"t{number}") for number in range(6)),
        )
        known = await engagements.get("default", CALL)
        assert known.transfer_id.startswith("t")
    await engagements.engage("default", Engagement(call_sid=CALL, at=1.0, agent="night"))
    known = await engagements.get("default", CALL)
    assert (known.agent, known.transfer_id) == ("night", "")
    await engagements.begin("default", CALL, "t9")
    known = await engagements.get("default", CALL)
    assert (known.agent, known.transfer_id, known.at) == ("night", "t9", 1.0)
    assert await engagements.get("globex", CALL) is None
    assert [row.row for row in await twilio.store.query(TABLE, "default")] == [CALL]
