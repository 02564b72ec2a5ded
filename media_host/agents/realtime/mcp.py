"""MCP servers whose tools the model's own service calls: what we have to do about them (realtime.md section 8)."""

import asyncio
from collections.abc import Callable, Sequence

from media_host.agents.realtime.server_events import ItemAdded, McpApproval, McpTools
from media_host.agents.realtime.session_setup import McpTool

PATIENCE_S = 3.0
"""How long the greeting waits for the servers' tools (s)."""
LATE_S = 1.5
"""After this the caller is told to wait (s): connecting has taken time already."""


class McpServers:
    """One call's.

    Args:
        servers: those of the session.
        ready: called once when the agent may begin to speak.
        delayed: called with a code when that takes time.
        fault: called with code and message.
    """

    def __init__(
        self,
        servers: Sequence[McpTool],
        ready: Callable[[], None],
        delayed: Callable[[str], None],
        fault: Callable[[str, str], None],
    ) -> None:
        self._servers = {server.label: server for server in servers}
        self._pending = set(self._servers)
        self._failed: set[str] = set()
        self._names: dict[str, str] = {}  # of list_tools items
        self._asked: set[str] = set()
        self._ready: Callable[[], None] | None = ready
        self._delayed = delayed
        self._fault = fault
        self._timers: list[asyncio.TimerHandle] = []

    def begin(self) -> None:
        """The session is configured: its service asks the servers for their tools."""
        if not self._pending:
            self._go()
            return
        loop = asyncio.get_running_loop()
        self._timers = [
            loop.call_later(LATE_S, self._delayed, "mcp_late"),
            loop.call_later(PATIENCE_S, self._give_up),
        ]

    def event(self, event: ItemAdded | McpTools) -> None:
        """News of a server's tools."""
        if isinstance(event, ItemAdded):
            if event.type == "mcp_list_tools":
                self._names[event.item_id] = event.server
            return
        label = self._names.get(event.item_id, "")
        if event.state == "failed" and label not in self._failed:
            self._failed.add(label)
            self._fault("mcp_failed", f"the MCP server {label} gives no tools")
        if event.state in ("completed", "failed") and self._pending:
            self._pending.discard(label if label in self._pending else next(iter(self._pending)))
            if not self._pending:
                self._go()

    def approval(self, event: McpApproval) -> bool | None:
        """Whether a tool may be used, as patchcord.yaml has it; None when that has been answered already."""
        if event.approval_id in self._asked:
            return None
        self._asked.add(event.approval_id)
        server = self._servers.get(event.server)
        if server is None or server.approval == "always":
            return False
        return not server.allowed_tools or event.tool in server.allowed_tools

    def close(self) -> None:
        """Wait for nothing more."""
        self._ready = None
        self._stop_timers()

    def _give_up(self) -> None:
        self._fault("mcp_late", f"no tools yet of: {', '.join(sorted(self._pending))}")
        self._go()

    def _go(self) -> None:
        self._stop_timers()
        ready, self._ready = self._ready, None
        if ready is not None:
            ready()

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers = []
