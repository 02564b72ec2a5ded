"""The sample tool: it works offline and is declared in patchcord.yaml as `media_host.tools.samples:lookup_order`."""

from collections.abc import Mapping

ORDERS: Mapping[str, Mapping[str, str]] = {
    "42719": {
        "status": "shipped",
        "summary": (
            "Your order has left our warehouse in Rotterdam and is on its way to you. It holds three things: a reading lamp, "
            "a box of light bulbs and a wall hook. The carrier picked it up on Monday morning, it went through the "
            "sorting centre on Tuesday night, and it should be at your door on Thursday between nine and twelve. "
            "If nobody is at home, the driver leaves it with a neighbour, and puts a note in your letter box."
        ),
        "carrier": "parcel post",
        "expected": "Thursday",
    },
    "10042": {
        "status": "packed",
        "summary": "Your order is packed, and waits for the carrier, who comes tomorrow at noon.",
        "carrier": "parcel post",
        "expected": "Friday",
    },
    "31337": {
        "status": "delivered",
        "summary": "Your order was delivered last Friday, and signed for at the door.",
        "carrier": "courier",
        "expected": "",
    },
}
"""The sample tool's data: three orders of a shop that does not exist."""


async def lookup_order(arguments: Mapping[str, object]) -> Mapping[str, object]:
    """The sample tool: an order's status from a table in this file.

    Args:
        arguments: `{"order_number": "42719"}`.

    Returns:
        `{"found": True, "status", "summary", "carrier", "expected"}`, or `{"error": "not found"}`.

    Raises:
        ValueError: no order number.
    """
    number = arguments.get("order_number")
    if not isinstance(number, str) or not number.isdigit():
        raise ValueError("order_number must be a string of digits")
    order = ORDERS.get(number)
    return {"error": "not found"} if order is None else {"found": True, **order}
