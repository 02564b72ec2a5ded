"""`startMediaStreaming` and `stopMediaStreaming` (acs.md 3.5)."""

from emulator.acs.calls import Call
from emulator.acs.errors import RestError, wrong_state
from emulator.acs.services import Operation
from emulator.acs.streaming import Streaming


def start_media(call: Call, operation: Operation) -> None:
    """Dial the address of the answer (again).

    Raises:
        RestError: 405/8522 the call was answered without media options; 400/8585 it streams already; 400/8501.
    """
    call.require_connected()
    streaming = call.streaming
    if streaming is None:
        raise RestError(405, "8522", "Media streaming was not configured when the call was answered.")
    if streaming.active:
        raise wrong_state("Media streaming has started already.")
    call.spawn(_start(call, streaming, operation))


async def _start(call: Call, streaming: Streaming, operation: Operation) -> None:
    outcome = await streaming.start()
    call.report(outcome.kind, outcome.data, operation)


def stop_media(call: Call, operation: Operation) -> None:
    """Close the media connection.

    Raises:
        RestError: 400/8585 when nothing streams; 400/8501.
    """
    call.require_connected()
    streaming = call.streaming
    if streaming is None or not streaming.active:
        raise wrong_state("Media streaming has not started.")
    call.spawn(_stop(call, streaming, operation))


async def _stop(call: Call, streaming: Streaming, operation: Operation) -> None:
    outcome = await streaming.stop()
    if outcome is not None:
        call.report(outcome.kind, outcome.data, operation)
