"""Where calls may go: by country, and never to numbers at a premium.

A dialling code is not a country (+1 is the United States, Canada and twenty islands with dear calls), so Google's numbering
plans decide (`phonenumbers`, imported on first use: it takes 0.1 s).
"""

from collections.abc import Collection

from shared.errors import Forbidden, InvalidInput


class DestinationForbidden(Forbidden):
    """This number must not be called for this tenant."""

    code = "403-03"


def check_destination(number: str, countries: Collection[str]) -> None:
    """Return if `number` (E.164) may be called.

    Args:
        number: whom to call.
        countries: ISO 3166 codes of where calls may go.

    Raises:
        InvalidInput: there is no such country code, or the number has too few or too many digits for it.
        DestinationForbidden: another country's, a premium one, or in no country's numbering plan.
    """
    import phonenumbers
    from phonenumbers import PhoneNumberType

    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        parsed = None
    if parsed is None or not phonenumbers.is_possible_number(parsed):
        raise InvalidInput("number", "a telephone number that can exist")
    country = phonenumbers.region_code_for_number(parsed)
    if country not in countries:
        raise DestinationForbidden("this tenant may not call numbers of that country")
    if phonenumbers.number_type(parsed) in (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST):
        raise DestinationForbidden("numbers with extra charges are not called")
