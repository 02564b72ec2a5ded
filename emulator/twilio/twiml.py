"""Reads TwiML: an XML document whose verbs Twilio carries out one after the other."""

from dataclasses import dataclass, field
from xml.parsers import expat

from emulator.twilio.notices import Trouble

MAX_DOCUMENT = 64 * 1024
"""Bytes of a document (Twilio's limit is 64 kB of TwiML)."""
MAX_DEPTH = 10


@dataclass(slots=True)
class Element:
    """A verb or noun.

    Attributes:
        name: as written: names are case-sensitive.
        attributes: by name.
        children: nested elements.
        text: what stands between its tags, trimmed.
    """

    name: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def named(self, name: str) -> list["Element"]:
        """The children of a name."""
        return [child for child in self.children if child.name == name]


def read_twiml(document: bytes) -> list[Element]:
    """The verbs of a document.

    Raises:
        Trouble: 12100: it is no XML, has a document type, is too long, or its root is not `<Response>`.
    """
    if len(document) > MAX_DOCUMENT:
        raise Trouble(12100, "longer than 64 kB")
    stack = [Element("")]

    def begin(name: str, attributes: dict[str, str]) -> None:
        element = Element(name, attributes)
        stack[-1].children.append(element)
        stack.append(element)
        if len(stack) > MAX_DEPTH:
            raise Trouble(12100, "nested too deeply")

    def end(_: str) -> None:
        element = stack.pop()
        element.text = element.text.strip()

    def text(data: str) -> None:
        stack[-1].text += data

    def doctype(*_: object) -> None:
        raise Trouble(12100, "a document type is not taken")

    parser = expat.ParserCreate()
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(document, True)
    except expat.ExpatError as error:
        raise Trouble(12100, str(error)) from None
    root = stack[0].children[0]
    if root.name != "Response":
        raise Trouble(12100, "the root element is not Response")
    return root.children
