"""The error answers of Call Automation (acs.md 1.1 and 4.3)."""


class RestError(Exception):
    """Ends a request with an error body.

    Args:
        status: the HTTP status.
        code: the service's sub-code, as text in the body.
        message: the text in the body.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(f"{status}/{code}: {message}")

    def body(self) -> dict[str, object]:
        """The JSON body."""
        error: dict[str, object] = {
            "code": self.code,
            "message": self.message,
            "target": None,
            "details": [],
            "innererror": None,
        }
        return {"error": error}


def not_found(what: str = "Call") -> RestError:
    """404/8522: a call, a context or a participant that is unknown, used up or over."""
    return RestError(404, "8522", f"{what} not found.")


def invalid(field: str) -> RestError:
    """400/8523: an argument is wrong."""
    return RestError(400, "8523", f"The field {field} is invalid.")


def wrong_state(message: str = "The action is not valid in the current state of the call.") -> RestError:
    """400/8585: the action does not fit the call's state."""
    return RestError(400, "8585", message)


def not_established() -> RestError:
    """400/8501: nobody has picked up yet."""
    return RestError(400, "8501", "The call is not established.")
