"""How many numbers a pool needs: the Erlang B formula."""

from shared.errors import InvalidInput


def blocking(numbers: int, erlangs: float) -> float:
    """The share of transfers that find no free number, by Erlang B, for `erlangs` = rate x time that each holds one."""
    inverse = 1.0
    for n in range(1, numbers + 1):
        inverse = 1.0 + inverse * n / erlangs
    return 1.0 / inverse


def numbers_needed(per_second: float, hold_s: float, *, refused: float = 0.001) -> int:
    """The smallest pool that refuses at most the share `refused` of transfers.

    Args:
        per_second: transfers created in a second.
        hold_s: seconds that a number is out of the pool for each: until the call comes (or expiry), grace and quarantine.
        refused: share between 0 and 1.

    Raises:
        InvalidInput: a value out of range.
    """
    if not 0 < per_second <= 1000:
        raise InvalidInput("rate", "above 0 and at most 1000 a second")
    if not 0 < hold_s <= 3600:
        raise InvalidInput("hold", "above 0 and at most 3600 seconds")
    if not 0 < refused < 1:
        raise InvalidInput("refused", "a share between 0 and 1")
    erlangs = per_second * hold_s
    numbers, inverse = 0, 1.0
    while 1.0 / inverse > refused:
        numbers += 1
        inverse = 1.0 + inverse * numbers / erlangs
    return numbers
