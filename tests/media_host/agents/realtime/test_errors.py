import pytest

from media_host.agents.realtime.errors import close_class, error_class, refusal_class


@pytest.mark.parametrize(
    ("code", "type", "meaning"),
    [
        ("response_cancel_not_active", "invalid_request_error", "benign"),
        ("item_already_truncated", "", "benign"),
        ("conversation_already_has_active_response", "", "benign"),
        ("unknown_parameter", "invalid_request_error", "config"),
        ("invalid_api_key", "", "fatal"),
        ("insufficient_quota", "", "fatal"),
        ("session_expired", "invalid_request_error", "expiry"),
        ("rate_limit_exceeded", "", "retry"),
        ("server_error", "server_error", "retry"),
        ("", "server_error", "retry"),
        ("made_up", "server_error", "retry"),
        ("made_up", "invalid_request_error", "other"),
        ("", "", "other"),
    ],
)
def test_errors_have_classes(code, type, meaning):
    assert error_class(code, type) == meaning


@pytest.mark.parametrize(
    ("code", "meaning"),
    [(1000, "retry"), (1001, "expiry"), (1006, "retry"), (1008, "fatal"), (1011, "retry"), (1012, "retry"), (4000, "retry")],
)  # fmt: skip
def test_closes_have_classes(code, meaning):
    assert close_class(code) == meaning


@pytest.mark.parametrize(
    ("status", "meaning"),
    [(0, "retry"), (400, "fatal"), (401, "fatal"), (403, "fatal"), (404, "fatal"), (429, "retry"), (503, "retry")],
)  # fmt: skip
def test_refusals_have_classes(status, meaning):
    assert refusal_class(status) == meaning
