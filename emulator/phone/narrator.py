"""A handset that tells the call's story what reaches it."""

from emulator.acs.handset import Handset
from emulator.phone.story import Story


class Narrator(Handset):
    """The events of a handset that are only told, and change nothing at it."""

    def __init__(self) -> None:
        self._story = Story()

    def tell(self, kind: str, **data: object) -> None:
        """Add an event that no other method has."""
        self._story.tell(kind, **data)

    def ringing(self) -> None:
        """See `Handset`."""
        self._story.tell("ringing")

    def delivered(self, subscription: str) -> None:
        """See `Handset`."""
        self._story.tell("delivered", subscription=subscription)

    def redirected(self, to: str) -> None:
        """See `Handset`."""
        self._story.tell("redirected", to=to)

    def transferred(self, to: str) -> None:
        """See `Handset`."""
        self._story.tell("transferred", to=to)

    def heard_key(self, key: str) -> None:
        """See `Handset`."""
        self._story.tell("keys_heard", count=len(key))

    def held(self, *, on: bool) -> None:
        """See `Handset`."""
        self._story.tell("on_hold" if on else "off_hold")

    def muted(self) -> None:
        """See `Handset`."""
        self._story.tell("muted")
