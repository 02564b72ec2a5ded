import subprocess
import sys

import pytest

from shared.calls.destinations import DestinationForbidden, check_destination
from shared.errors import InvalidInput


@pytest.mark.parametrize(
    ("number", "countries"),
    [
        ("+14255550111", ["US"]),
        ("+18005550000", ["US"]),
        ("+491701234567", ["DE"]),
        ("+18765551234", ["US", "JM"]),
    ],
)
def test_allowed(number, countries):
    check_destination(number, countries)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        ("+14165550111", DestinationForbidden),
        ("+18765551234", DestinationForbidden),
        ("+19005551234", DestinationForbidden),
        ("+88213012345", DestinationForbidden),  # a satellite telephone: no country's
        ("+99912345678", InvalidInput),
        ("+142555501111111", InvalidInput),
    ],
)
def test_refused(number, error):
    with pytest.raises(error) as caught:
        check_destination(number, ["US", "DE"])
    assert number not in str(caught.value)


def test_the_function_app_starts_without_the_numbering_plans():
    code = "import shared.application, sys; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
