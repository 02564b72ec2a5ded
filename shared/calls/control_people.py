"""Call control: who else is in a call, and who is on hold (acs.md section 1.3)."""

from collections.abc import Mapping

from shared.calls.control_client import AcsClient
from shared.calls.control_parts import identifier, repeatable


class People(AcsClient):
    """The operations on participants; what they raise stands in `control`."""

    async def add_participant(
        self,
        connection_id: str,
        target: str,
        voip_headers: Mapping[str, str] | None = None,
        *,
        caller_id: str = "",
        timeout_s: int = 30,
        context: str = "",
    ) -> str:
        """Call a third party into the conversation; the invitation's id.

        Args:
            connection_id: ACS's id of the call.
            target: E.164 or an ACS raw id.
            voip_headers: custom context, for targets that are ACS users.
            caller_id: number shown to a telephone target; needed for those.
            timeout_s: how long it may ring (1-180 s).
            context: comes back in the callbacks that tell what became of it.
        """
        headers = repeatable("add_participant")
        added = await self._ask(
            "add_participant",
            lambda: self._connection(connection_id).add_participant(
                identifier(target),
                voip_headers=voip_headers or None,
                source_caller_id_number=identifier(caller_id) if caller_id else None,
                invitation_timeout=timeout_s,
                operation_context=context or None,
                headers=headers,
            ),
        )
        return str(added.invitation_id or "")

    async def cancel_add_participant(self, connection_id: str, invitation_id: str) -> None:
        """Stop somebody's telephone from ringing; too late when it was answered (a callback says so)."""
        headers = repeatable("cancel_add_participant")
        await self._ask(
            "cancel_add_participant",
            lambda: self._connection(connection_id).cancel_add_participant_operation(
                invitation_id, headers=headers
            ),
        )

    async def remove_participant(self, connection_id: str, who: str) -> None:
        """Put somebody (E.164 or a raw id) out of the call."""
        headers = repeatable("remove_participant")
        await self._ask(
            "remove_participant",
            lambda: self._connection(connection_id).remove_participant(identifier(who), headers=headers),
        )

    async def participants(self, connection_id: str) -> list[str]:
        """The raw ids of all who are in the call, ourselves among them."""

        async def every() -> list[str]:
            found = self._connection(connection_id).list_participants()
            return [str(one.identifier.raw_id) async for one in found]

        names: list[str] = await self._ask("participants", every)
        return names

    async def hold(self, connection_id: str, who: str, music: str = "") -> None:
        """Let somebody (a raw id) neither hear nor be heard; `music` is the address of a WAV file that is played meanwhile."""
        from azure.communication.callautomation import FileSource

        await self._ask(
            "hold",
            lambda: self._connection(connection_id).hold(
                identifier(who), play_source=FileSource(music) if music else None
            ),
        )

    async def unhold(self, connection_id: str, who: str) -> None:
        """Take somebody (a raw id) off hold."""
        await self._ask("unhold", lambda: self._connection(connection_id).unhold(identifier(who)))
