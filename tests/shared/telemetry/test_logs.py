"""One line a record, redacted, whoever writes it."""

import io
import json
import logging

import pytest

from shared.telemetry import RedactingFilter, configure_logging, protect_logging
from shared.telemetry.current import follow, parse_trace, scope
from shared.telemetry.logs import JsonLines, write_json
from tests.support.scan import find_secrets

JWT = "eyJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJzdWIiOiJjYWxsLTEifQ.c2lnbmF0dXJl"
SECRET = "S3cr3tS3cr3tS3cr3tS3cr3t"


@pytest.fixture
def output():
    """A logger that stands alone, and what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactingFilter())
    logger = logging.Logger("alone")
    logger.addHandler(handler)
    return logger, stream


class TestFilter:
    def test_arguments_are_redacted(self, output):
        logger, stream = output
        logger.info("%s called with %s", "acme", f"pcs_{SECRET}")
        assert stream.getvalue() == "acme called with [secret]\n"

    def test_a_secret_that_only_shows_when_the_message_is_put_together(self, output):
        logger, stream = output
        logger.info("accesskey=%s", "YWJj")
        assert stream.getvalue() == "accesskey=[secret]\n"

    def test_exceptions_are_redacted_for_every_handler(self, output):
        logger, stream = output
        second = logging.StreamHandler(other := io.StringIO())
        second.setFormatter(Fresh())
        logger.addHandler(second)
        try:
            raise ValueError(f"no good: {JWT}")
        except ValueError:
            logger.exception("failed")
        for text in (stream.getvalue(), other.getvalue()):
            assert "ValueError: no good: [token]" in text
            assert JWT not in text

    def test_the_stack_is_redacted(self, output):
        logger, stream = output
        logger.info("here", stack_info=True)  # pcs_0123456789abcdef0123 stands in this very line
        assert "Stack (most recent call last)" in stream.getvalue()
        assert find_secrets(stream.getvalue()) == []

    def test_one_line_a_record(self, output):
        logger, stream = output
        logger.info("display name %s", "Eve\r\n2026-01-01 INFO forged\u2028line\x85end")
        assert stream.getvalue() == "display name Eve\\r\\n2026-01-01 INFO forged\\u2028line\\x85end\n"

    @pytest.mark.parametrize("arguments", [("one",), ("one", "two", "three")])
    def test_arguments_that_do_not_fit_do_not_hurt_the_caller(self, output, arguments):
        logger, stream = output
        logger.info("%s and %s of pcs_0123456789abcdef", *arguments)
        assert stream.getvalue() == "%s and %s of [secret] [its arguments do not fit]\n"

    def test_an_argument_that_cannot_be_shown_does_not_hurt_either(self, output):
        class Broken:
            def __str__(self):
                raise RuntimeError

        logger, stream = output
        logger.info("it is %s", Broken())
        assert "arguments do not fit" in stream.getvalue()


class Fresh(logging.Formatter):
    """A formatter that would print the exception anew, as exporters do."""

    def format(self, record):
        if record.exc_info:
            return self.formatException(record.exc_info)
        return super().format(record)


class TestSetUp:
    def test_configure_logging(self, capsys):
        configure_logging("WARNING")
        logging.getLogger("a.b").warning("token %s", JWT)
        logging.getLogger("a.b").info("not shown")
        (line,) = capsys.readouterr().err.splitlines()
        assert line.endswith(" WARNING a.b: token [token]")

    def test_configure_logging_again_does_not_double_it(self, capsys):
        configure_logging()
        configure_logging()
        logging.getLogger("a").info("once")
        assert capsys.readouterr().err.count("once") == 1

    def test_handlers_of_others_are_protected_once(self):
        root = logging.getLogger()
        handler = logging.StreamHandler(stream := io.StringIO())
        root.handlers[:] = [handler]
        root.setLevel(logging.INFO)
        protect_logging()
        protect_logging()
        assert [type(item) for item in handler.filters] == [RedactingFilter]
        logging.getLogger("azure.functions").warning("secret pcs_0123456789abcdef")
        assert stream.getvalue() == "secret [secret]\n"

    def test_without_any_handler_it_is_redacted_too(self, capsys, monkeypatch):
        monkeypatch.setattr(logging, "lastResort", logging._StderrHandler(logging.WARNING))
        logging.getLogger().handlers[:] = []
        protect_logging()
        logging.getLogger("a").warning("secret pcs_0123456789abcdef")
        assert capsys.readouterr().err == "secret [secret]\n"

    def test_somebody_may_have_taken_the_last_resort_away(self, monkeypatch):
        monkeypatch.setattr(logging, "lastResort", None)
        protect_logging()

    @pytest.mark.parametrize(
        ("name", "level"), [("websockets.server", logging.DEBUG), ("azure.core.pipeline", logging.INFO)]
    )
    def test_libraries_that_would_print_addresses_are_kept_quiet(self, name, level):
        configure_logging("DEBUG")
        assert not logging.getLogger(name).isEnabledFor(level)
        assert logging.getLogger(name).isEnabledFor(logging.WARNING)

    @pytest.mark.parametrize("name", ["websockets.server", "azure.core.pipeline"])
    def test_libraries_are_no_louder_than_the_rest(self, name):
        configure_logging("ERROR")
        assert not logging.getLogger(name).isEnabledFor(logging.WARNING)


CALL, OTHER = "ce5e0127c6ea8bd30abcd023", "ce5e0127c6ea8bd30abcd024"
TRACE = parse_trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")


class TestJson:
    @pytest.fixture
    def lines(self):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        logging.getLogger().handlers[:] = [handler]
        logging.getLogger().setLevel(logging.INFO)
        protect_logging()
        write_json()
        return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]

    def test_a_line_is_an_object(self, lines):
        logging.getLogger("a.b").warning("größe %s", "of\nthis")
        (line,) = lines()
        assert line.pop("time").endswith("Z")
        assert line == {"level": "warning", "logger": "a.b", "message": "größe of\\nthis"}

    def test_it_has_the_call_and_the_trace_that_the_task_works_on(self, lines):
        with scope():
            follow(CALL, TRACE)
            logging.getLogger("a").info("ringing")
            logging.getLogger("a").info("call %s: ends", OTHER)
        logging.getLogger("a").info("call %s: is over", CALL)
        mine, others, later = lines()
        assert (mine["callId"], mine["traceId"]) == (CALL, TRACE.trace_id)
        assert others["callId"] == OTHER and "traceId" not in others
        assert later["callId"] == CALL and "traceId" not in later

    def test_exceptions_stay_on_the_line_and_are_redacted(self, lines):
        try:
            raise ValueError(f"no good: {JWT}")
        except ValueError:
            logging.getLogger("a").exception("failed with %s", JWT)
        (line,) = lines()
        assert (
            "ValueError: no good: [token]" in line["exception"] and line["message"] == "failed with [token]"
        )

    def test_without_the_filter_an_exception_is_redacted_all_the_same(self):
        stream = io.StringIO()
        handler = logging.StreamHandler(stream)
        handler.setFormatter(JsonLines())
        logger = logging.Logger("alone")
        logger.addHandler(handler)
        try:
            raise ValueError(f"no good: {JWT}")
        except ValueError:
            logger.exception("failed", stack_info=True)
        assert find_secrets(stream.getvalue()) == []

    def test_it_is_a_setting(self, capsys):
        configure_logging("INFO", "json")
        logging.getLogger("a").info("once")
        (line,) = capsys.readouterr().err.splitlines()
        assert json.loads(line)["message"] == "once"
