"""What Twilio's debugger would show: errors and warnings with their numbers (twilio.com/docs/api/errors/NUMBER)."""

from dataclasses import dataclass

TEXTS = {
    11200: "HTTP retrieval failure",
    11205: "HTTP connection failure",
    12100: "Document parse failure",
    12200: "Schema validation warning",
    12300: "Invalid Content-Type",
    13227: "Dial: no such number",
    31901: "Stream - WebSocket - Connection Timeout",
    31902: "Stream - WebSocket - Connection Refused",
    31903: "Stream - WebSocket - Connection Broken Pipe",
    31920: "Stream - WebSocket - Handshake Error",
    31921: "Stream - WebSocket - Close Error",
    31924: "Stream - Websocket - Protocol Error",
    81016: "Studio: request failed",
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One entry of the debugger.

    Attributes:
        code: Twilio's number.
        detail: what was wrong here, in the emulator's words; holds no secrets and no audio.
    """

    code: int
    detail: str = ""

    @property
    def text(self) -> str:
        """The number's own words."""
        return TEXTS[self.code]

    def to_json(self) -> dict[str, object]:
        """For the control API and a call's summary."""
        return {"code": self.code, "text": self.text, "detail": self.detail}


class Trouble(Exception):
    """Something that Twilio would put into its debugger, and that ends what was being done."""

    def __init__(self, code: int, detail: str = "") -> None:
        self.notice = Notice(code, detail)
        super().__init__(f"{code} {self.notice.text}: {detail}")
