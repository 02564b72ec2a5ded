"""Where the emulator's outgoing WebSockets are made: with the emulator's authority for `wss://`, and with the trace."""

import ssl
from collections.abc import Mapping

from emulator.acs.socket import MediaSocket, OnClose, OnMessage
from emulator.trace.media import FROM_APP, TO_APP, SocketTrace
from emulator.trace.record import Trace


class Dialler:
    """Makes sockets that are not connected yet.

    Args:
        tls: for `wss://`; the system's authorities when it is None.
        trace: sees all messages, or None.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, trace: Trace | None = None) -> None:
        self._tls = tls
        self._trace = trace
        self._made = 0

    def socket(
        self,
        uri: str,
        headers: Mapping[str, str],
        on_message: OnMessage,
        on_close: OnClose,
        *,
        call: str | None = None,
    ) -> MediaSocket:
        """A socket to the app's address; see `MediaSocket`. `call`: whose it is in the trace, when no header says so."""
        if self._trace is None:
            return MediaSocket(uri, headers, on_message, on_close, self._tls)
        self._made += 1
        tracer = SocketTrace(self._trace, uri, dict(headers), self._made, call=call)
        return _TracedSocket(uri, headers, on_message, on_close, self._tls, tracer)


class _TracedSocket(MediaSocket):
    """A socket whose messages are traced."""

    def __init__(
        self,
        uri: str,
        headers: Mapping[str, str],
        on_message: OnMessage,
        on_close: OnClose,
        tls: ssl.SSLContext | None,
        tracer: SocketTrace,
    ) -> None:
        def received(message: bytes) -> None:
            tracer.message(FROM_APP, message)
            on_message(message)

        def closed(code: int) -> None:
            tracer.closed(code, self.dropped)
            on_close(code)

        super().__init__(uri, headers, received, closed, tls)
        self._tracer = tracer

    async def open(self, timeout_s: float) -> None:
        """See `MediaSocket`."""
        try:
            await super().open(timeout_s)
        except BaseException as error:  # a cancelled dial is traced, too; raised on
            self._tracer.refused(type(error).__name__)
            raise
        self._tracer.opened()

    def send(self, message: bytes) -> None:
        """See `MediaSocket`."""
        before = self.dropped
        open_before = self.is_open
        super().send(message)
        if open_before and self.dropped == before:
            self._tracer.message(TO_APP, message)
