"""What errors of realtime models mean, by their codes, never by their texts (realtime.md section 11)."""

from typing import Literal

type ErrorClass = Literal["benign", "config", "fatal", "retry", "expiry", "other"]
"""`benign`: our view of the session was late, nothing is lost. `config`: a field that the model does not take. `fatal`:
trying again will not help. `retry`: it may. `expiry`: the session has reached its age. `other`: to be logged."""

_CLASSES: dict[str, ErrorClass] = {
    "response_cancel_not_active": "benign",
    "item_already_truncated": "benign",
    "input_audio_buffer_commit_empty": "benign",
    "conversation_already_has_active_response": "benign",
    "invalid_value": "benign",  # "already shorter than": a truncation; about a session.update it is the caller's to know
    "item_truncate_invalid_item_id": "benign",
    "item_delete_invalid_item_id": "benign",
    "unknown_parameter": "config",
    "missing_required_parameter": "config",
    "invalid_type": "config",
    "unsupported_voice": "config",
    "invalid_api_key": "fatal",
    "insufficient_quota": "fatal",
    "account_deactivated": "fatal",
    "billing_hard_limit_reached": "fatal",
    "model_not_found": "fatal",
    "server_error": "retry",
    "inference_rate_limit_exceeded": "retry",
    "rate_limit_exceeded": "retry",
    "session_expired": "expiry",
}


def error_class(code: str, type: str = "") -> ErrorClass:
    """What an error code, or failing that its type, means for a session that is configured."""
    return _CLASSES.get(code) or _CLASSES.get(type) or "other"


def close_class(code: int) -> ErrorClass:
    """What it means that the model closed the connection (RFC 6455 section 7.4.1); all of them end the session."""
    if code == 1001:
        return "expiry"
    return "fatal" if code in (1002, 1003, 1007, 1008, 1009, 1010) else "retry"


def refusal_class(status: int) -> ErrorClass:
    """What the HTTP status of a refused handshake means; 0: there was no answer at all."""
    return "retry" if status in (0, 408, 425, 429) or status >= 500 else "fatal"
