"""Tools of MCP servers, as the service sees them: listed after a session's update, approved, carried out (realtime.md 8)."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.realtime.answers import CallMcp
from emulator.realtime.response import new_id

if TYPE_CHECKING:
    from emulator.realtime.session import ModelSession

type Json = dict[str, Any]


class McpServers:
    """Of one session; `servers` are those that there are: names of tools by label."""

    def __init__(self, session: "ModelSession", servers: Mapping[str, Sequence[str]]) -> None:
        self._session = session
        self._servers = servers
        self._listed: set[str] = set()

    def _declared(self) -> list[Json]:
        return [tool for tool in self._session.session["tools"] if tool["type"] == "mcp"]

    def approval(self, server: str) -> str:
        """`always` or `never`."""
        for tool in self._declared():
            if tool["server_label"] == server:
                return str(tool.get("require_approval", "always"))
        return "always"

    async def list_tools(self) -> None:
        """Ask the servers that are new in the session."""
        for tool in self._declared():
            label = tool["server_label"]
            if label in self._listed:
                continue
            self._listed.add(label)
            item_id = new_id("mcpl")
            await self._session.tell("mcp_list_tools.in_progress", item_id=item_id)
            if label not in self._servers:
                await self._session.tell("mcp_list_tools.failed", item_id=item_id)
                continue
            allowed = tool.get("allowed_tools") or self._servers[label]
            tools = [
                {"name": name, "input_schema": {"type": "object"}}
                for name in self._servers[label]
                if name in allowed
            ]
            body = {"id": item_id, "type": "mcp_list_tools", "server_label": label, "tools": tools}
            await self._session.add(body)
            await self._session.tell("mcp_list_tools.completed", item_id=item_id)

    async def carry_out(self, call: CallMcp, request_id: str) -> None:
        """A call that was approved; the client asks for the answer by `response.create`."""
        item_id = new_id("mcp")
        place: Json = {"item_id": item_id, "output_index": 0}
        await self._session.tell("response.mcp_call.in_progress", **place)
        body = {
            "id": item_id,
            "type": "mcp_call",
            "approval_request_id": request_id,
            "server_label": call.server,
            "name": call.name,
            "arguments": json.dumps(dict(call.arguments)),
            "output": call.output,
        }
        await self._session.add(body)
        await self._session.tell("response.mcp_call.completed", **place)
