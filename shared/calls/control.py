"""Call control: the only place that uses Microsoft's Call Automation SDK (imported on first use).

Every operation raises `CallGone`, `CallControlUnavailable`, `ConfigurationError` (the key or the identity is refused) or
`InvalidInput` (ACS refuses the request).

Facts: acs.md sections 1 (routes, codes, retries), 2 (media streaming options) and 4.3 (result codes). Nothing here logs:
the bodies hold tokens and the `incomingCallContext`.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Literal

from shared.errors import (
    CallControlUnavailable,
    CallGone,
    ConfigurationError,
    InvalidInput,
    PatchcordError,
)
from shared.settings import AcsAccess

REPEATABILITY = uuid.UUID("6f1d3f0e-2a0b-5d0e-9d5c-7e1b6f0c9a11")
"""Namespace of our Repeatability-Request-IDs."""

GONE_SUB_CODES = frozenset({"8501", "8522", "8528", "8585", "8587"})
"""Not established, not found, terminated, not valid in this state, not answered in time (acs.md 4.3)."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A call as ACS sees it; `state` is a callConnectionState of acs.md 1.4 (`connected`, `disconnected`, …)."""

    call_connection_id: str
    state: str
    server_call_id: str
    correlation_id: str

    @property
    def alive(self) -> bool:
        """ACS still holds the call."""
        return self.state not in ("disconnecting", "disconnected")


class CallControl:
    """Call control over ACS's REST interface; safe for concurrent use, one per process.

    Args:
        acs: endpoint and key; an empty key takes the managed identity (or whoever runs this, locally).
        managed_identity: client id of a user-assigned identity, or "".
        timeout_s: bound of one operation with its retries (s).
        options: further keywords for the SDK's client (tests: a credential, a trust store).
    """

    def __init__(
        self, acs: AcsAccess, managed_identity: str = "", *, timeout_s: float = 5.0, **options: Any
    ) -> None:
        self._acs = acs
        self._identity = managed_identity
        self._timeout_s = timeout_s
        self._options = options
        self._client: Any = None
        self._credential: Any = None

    def _open(self) -> Any:
        """The SDK's client, made on first use."""
        if self._client is None:
            from azure.communication.callautomation.aio import CallAutomationClient

            options = dict(self._options)
            credential = options.pop("credential", None)
            if credential is None and self._acs.access_key:
                from azure.core.credentials import AzureKeyCredential

                credential = AzureKeyCredential(self._acs.access_key)
            elif credential is None:
                from azure.identity.aio import DefaultAzureCredential

                credential = self._credential = DefaultAzureCredential(
                    managed_identity_client_id=self._identity or None
                )
            # A phone is ringing: few retries, soon (acs.md 1.1 has the SDK's defaults: 10 retries, up to 120 s).
            retries = {
                "retry_total": 2,
                "retry_connect": 2,
                "retry_status": 2,
                "retry_backoff_factor": 0.2,
                "retry_backoff_max": 1,
            }
            self._client = CallAutomationClient(
                self._acs.endpoint,
                credential,
                **{"connection_timeout": 2, "read_timeout": 5} | retries | options,
            )
        return self._client

    async def answer(
        self,
        context: str,
        callback_url: str,
        media_url: str,
        audio_format: Literal["pcm24KMono", "pcm16KMono"],
        call_id: str,
        *,
        first_sent: float,
    ) -> str:
        """Answer with bidirectional 20 ms audio and keys on one WebSocket; ACS's connection id.

        Args:
            context: the event's incomingCallContext, verbatim.
            callback_url: where ACS reports what becomes of the call.
            media_url: where ACS connects its audio.
            audio_format: both directions.
            call_id: our id; it alone makes the Repeatability-Request-ID, so the same call is answered once.
            first_sent: when this answer was first tried, Unix seconds.
        """
        from azure.communication.callautomation import MediaStreamingOptions

        media = MediaStreamingOptions(
            transport_url=media_url,
            transport_type="websocket",
            content_type="audio",
            audio_channel_type="mixed",
            start_media_streaming=True,
            enable_bidirectional=True,
            audio_format=audio_format,
            enable_dtmf_tones=True,
        )
        answered = await self._ask(
            "answer",
            lambda: self._open().answer_call(
                context,
                callback_url,
                operation_context=call_id,
                media_streaming=media,
                headers=_repeatable("answer", call_id, first_sent),
            ),
        )
        return str(answered.call_connection_id)

    async def reject(
        self, context: str, reason: Literal["none", "busy", "forbidden"], call_id: str, *, first_sent: float
    ) -> None:
        """Refuse a ringing call; `busy` gives the caller the busy tone."""
        headers = _repeatable("reject", call_id, first_sent)
        await self._ask(
            "reject", lambda: self._open().reject_call(context, call_reject_reason=reason, headers=headers)
        )

    async def redirect(self, context: str, target: str, call_id: str, *, first_sent: float) -> None:
        """Send a ringing call elsewhere (E.164 or an ACS raw id)."""
        headers = _repeatable("redirect", call_id, first_sent)
        await self._ask(
            "redirect", lambda: self._open().redirect_call(context, _identifier(target), headers=headers)
        )

    async def hang_up(self, connection_id: str) -> None:
        """End the call for everyone."""
        headers = _repeatable("hang_up")
        await self._ask(
            "hang_up",
            lambda: self._connection(connection_id).hang_up(is_for_everyone=True, headers=headers),
        )

    async def transfer(
        self,
        connection_id: str,
        target: str,
        voip_headers: Mapping[str, str] | None = None,
        *,
        caller_id: str = "",
        transferee: str = "",
    ) -> None:
        """Transfer the caller away; afterwards the call is no longer ours (acs.md section 6).

        Args:
            connection_id: ACS's id of the call.
            target: E.164 or an ACS raw id.
            voip_headers: custom context, for targets that are ACS users.
            caller_id: number shown to a telephone target; needed for those.
            transferee: raw id of who is moved; needed in calls of more than two.
        """
        headers = _repeatable("transfer")
        await self._ask(
            "transfer",
            lambda: self._connection(connection_id).transfer_call_to_participant(
                _identifier(target),
                voip_headers=voip_headers or None,
                source_caller_id_number=_identifier(caller_id) if caller_id else None,
                transferee=_identifier(transferee) if transferee else None,
                headers=headers,
            ),
        )

    async def add_participant(
        self, connection_id: str, target: str, *, caller_id: str = "", timeout_s: int = 30
    ) -> None:
        """Call a third party into the conversation; `timeout_s` (1-180 s) is how long it may ring."""
        headers = _repeatable("add_participant")
        await self._ask(
            "add_participant",
            lambda: self._connection(connection_id).add_participant(
                _identifier(target),
                source_caller_id_number=_identifier(caller_id) if caller_id else None,
                invitation_timeout=timeout_s,
                headers=headers,
            ),
        )

    async def start_media_streaming(self, connection_id: str) -> None:
        """Let ACS dial the media address of `answer` again; it cannot be given another one (acs.md section 2)."""
        await self._ask(
            "start_media_streaming", lambda: self._connection(connection_id).start_media_streaming()
        )

    async def stop_media_streaming(self, connection_id: str) -> None:
        """Let ACS close its audio WebSocket; the call goes on."""
        await self._ask(
            "stop_media_streaming", lambda: self._connection(connection_id).stop_media_streaming()
        )

    async def properties(self, connection_id: str) -> Connection:
        """What ACS knows of the call."""
        found = await self._ask("properties", lambda: self._connection(connection_id).get_call_properties())
        return Connection(
            str(found.call_connection_id or connection_id),
            str(found.call_connection_state or "unknown"),
            str(found.server_call_id or ""),
            str(found.correlation_id or ""),
        )

    async def close(self) -> None:
        """Give back connections; idempotent."""
        client, self._client = self._client, None
        credential, self._credential = self._credential, None
        for part in (client, credential):
            if part is not None:
                await part.close()

    def _connection(self, connection_id: str) -> Any:
        return self._open().get_call_connection(connection_id)

    async def _ask(self, operation: str, send: Callable[[], Awaitable[Any]]) -> Any:
        from azure.core.exceptions import AzureError, HttpResponseError

        try:
            async with asyncio.timeout(self._timeout_s):
                return await send()
        except HttpResponseError as error:
            raise _mapped(operation, error.status_code or 0, _sub_code(error)) from None
        except (AzureError, TimeoutError) as error:
            raise CallControlUnavailable(f"ACS: {operation}: {type(error).__name__}") from None


def _sub_code(error: Any) -> str:
    """The code in the body's `error`, if there is one."""
    return str(getattr(getattr(error, "error", None), "code", "") or "")


def _mapped(operation: str, status: int, code: str) -> PatchcordError:
    """Our error for an HTTP status and a sub-code; texts hold only these, never a body."""
    what = f"ACS: {operation}: {status}" + (f"/{code}" if code else "")
    taken = status == 409 and operation in ("answer", "reject", "redirect")
    if status in (404, 410) or taken or (status == 400 and code in GONE_SUB_CODES):
        return CallGone(what)
    if status in (401, 403):
        return ConfigurationError(
            "AZURE_ACS_CONN_KEY or ACS_ENDPOINT", f"access that the ACS resource grants ({what})"
        )
    if status in (408, 429) or status >= 500:
        return CallControlUnavailable(what)
    return InvalidInput(f"acs.{operation}", f"a request that ACS accepts ({what})")


def _repeatable(operation: str, call_id: str = "", first_sent: float | None = None) -> dict[str, str]:
    """Headers by which ACS knows a repeated request (OASIS Repeatable Requests; acs.md 1.1).

    With a call id the request is the same whoever sends it, else only the SDK's own retries are. The time is always ours:
    the SDK (1.6.0) would ask `datetime.utcnow`, which is deprecated.
    """
    name = uuid.uuid5(REPEATABILITY, f"{operation}:{call_id}") if call_id else uuid.uuid4()
    sent = datetime.now(UTC) if first_sent is None else datetime.fromtimestamp(first_sent, UTC)
    return {
        "Repeatability-Request-ID": str(name),
        "Repeatability-First-Sent": format_datetime(sent, usegmt=True),
    }


def _identifier(target: str) -> Any:
    """The SDK's identifier for an E.164 number or a raw id."""
    from azure.communication.callautomation import CommunicationUserIdentifier, PhoneNumberIdentifier

    return PhoneNumberIdentifier(target) if target.startswith("+") else CommunicationUserIdentifier(target)
