"""What the desk does when a number of the pool is dialled, without an event around it."""

from shared.transfers.record import Refusal


async def dialled(pool, transfers, number, **call):
    """The transfer that the call gets, or why it gets none."""
    row = await pool.get(number)
    if not row.transfer_id:
        return Refusal.UNKNOWN
    return await transfers.claim(row.tenant, row.transfer_id, **call)
