import pytest

from shared.errors import InvalidInput
from shared.transfers.sizing import blocking, numbers_needed


@pytest.mark.parametrize(
    ("rate", "hold", "numbers"),
    [(0.1, 10, 6), (0.1, 62, 16), (0.1, 92, 20), (0.5, 10, 14), (0.5, 62, 49), (1, 10, 21), (1, 62, 85),
     (2, 62, 155), (5, 10, 71), (5, 92, 513)],
)  # fmt: skip
def test_the_published_table(rate, hold, numbers):
    """twilio-and-transfers.md 2F, computed there by other means."""
    assert numbers_needed(rate, hold) == numbers
    assert blocking(numbers, rate * hold) <= 0.001 < blocking(numbers - 1, rate * hold)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"per_second": 0}, "rate"), ({"hold_s": 3601}, "hold"), ({"refused": 1}, "refused")],
)
def test_what_is_out_of_range(changes, field):
    with pytest.raises(InvalidInput) as caught:
        numbers_needed(**{"per_second": 1, "hold_s": 60} | changes)
    assert caught.value.field == field
