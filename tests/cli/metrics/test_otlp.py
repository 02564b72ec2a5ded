"""What OpenTelemetry's own exporters write is what the view reads."""

import pytest

from cli.metrics.otlp import read_metrics, read_traces
from shared.errors import InvalidInput


@pytest.mark.parametrize("read", [read_traces, read_metrics])
def test_what_is_no_request(read):
    with pytest.raises(InvalidInput):
        read(b"\xff\xff\xff")


@pytest.mark.parametrize("read", [read_traces, read_metrics])
def test_an_empty_request(read):
    assert read(b"") == []
