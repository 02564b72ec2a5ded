"""How the carrying out of TwiML is left."""


class CallerLeft(Exception):
    """The caller has hung up while something was being done."""


class HungUp(Exception):
    """The app's TwiML has ended the call."""
