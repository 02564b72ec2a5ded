"""Call control: the only place that uses Microsoft's Call Automation SDK (imported on first use).

Every operation raises `CallGone`, `CallControlUnavailable`, `ConfigurationError` (the key or the identity is refused) or
`InvalidInput` (ACS refuses the request).

Facts: acs.md sections 1 (routes, codes, retries), 2 (media streaming options) and 4.3 (result codes). Nothing here logs:
the bodies hold tokens and the `incomingCallContext`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.calls.control_ivr import play_sources, recognition
from shared.calls.control_parts import identifier, mapped, repeatable, streaming, tones
from shared.config.ivr import Choice, Collect, Prompt
from shared.errors import CallControlUnavailable
from shared.settings import AcsAccess

SERIALIZATION = "azure.communication.callautomation._generated._utils.serialization"


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
        key: reads the access key when there is none in `acs`; asked before each operation, so a changed one is taken.
        options: further keywords for the SDK's client (tests: a credential, a trust store).
    """

    def __init__(
        self,
        acs: AcsAccess,
        managed_identity: str = "",
        *,
        timeout_s: float = 5.0,
        key: Callable[[], Awaitable[str]] | None = None,
        **options: Any,
    ) -> None:
        self._acs = acs
        self._identity = managed_identity
        self._timeout_s = timeout_s
        self._read_key = key
        self._key: Any = None
        self._options = options
        self._client: Any = None
        self._credential: Any = None

    def _open(self) -> Any:
        """The SDK's client, made on first use."""
        if self._client is None:
            from azure.communication.callautomation.aio import CallAutomationClient

            # The SDK (1.6.0) warns at each hold that it ignores a keyword of its own.
            logging.getLogger(SERIALIZATION).setLevel(logging.ERROR)
            options = dict(self._options)
            credential = options.pop("credential", self._key)
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
        media = streaming(media_url, audio_format)
        answered = await self._ask(
            "answer",
            lambda: self._open().answer_call(
                context,
                callback_url,
                operation_context=call_id,
                media_streaming=media,
                headers=repeatable("answer", call_id, first_sent),
            ),
        )
        return str(answered.call_connection_id)

    async def answer_without_audio(
        self, context: str, callback_url: str, cognitive_services: str, call_id: str, *, first_sent: float
    ) -> str:
        """Answer a call that ACS itself speaks and listens to (`play`, `recognise`); ACS's connection id.

        Args:
            context: the event's incomingCallContext, verbatim.
            callback_url: where ACS reports what becomes of the call.
            cognitive_services: address of the resource that speaks texts and understands speech; "" for neither.
            call_id: our id; it alone makes the Repeatability-Request-ID, so the same call is answered once.
            first_sent: when this answer was first tried, Unix seconds.
        """
        answered = await self._ask(
            "answer",
            lambda: self._open().answer_call(
                context,
                callback_url,
                operation_context=call_id,
                cognitive_services_endpoint=cognitive_services or None,
                headers=repeatable("answer", call_id, first_sent),
            ),
        )
        return str(answered.call_connection_id)

    async def play(self, connection_id: str, prompts: Sequence[Prompt], voice: str, *, context: str) -> None:
        """Speak texts and play recordings to everybody in the call; `context` comes back in the callbacks."""
        sources = play_sources(prompts, voice)
        await self._ask(
            "play",
            lambda: self._connection(connection_id).play_media(sources, operation_context=context),
        )

    async def recognise(
        self,
        connection_id: str,
        who: str,
        step: Collect | Choice,
        prompts: Sequence[Prompt],
        *,
        voice: str,
        language: str,
        context: str,
    ) -> None:
        """Speak to somebody (E.164 or a raw id) and wait for keys or words; the answer is a callback with `context`."""
        options = recognition(step, language)
        sources = play_sources(prompts, voice)
        await self._ask(
            "recognise",
            lambda: self._connection(connection_id).start_recognizing_media(
                target_participant=identifier(who),
                play_prompt=sources,
                interrupt_prompt=True,
                operation_context=context,
                **options,
            ),
        )

    async def create(
        self,
        number: str,
        caller_id: str,
        callback_url: str,
        media_url: str,
        audio_format: Literal["pcm24KMono", "pcm16KMono"],
        call_id: str,
        *,
        first_sent: float,
    ) -> Connection:
        """Call a telephone, with audio and keys as in `answer` once it is picked up; returns while it rings.

        Args:
            number: E.164.
            caller_id: a telephone number of the resource, which the person sees.
            callback_url: where ACS reports what becomes of the call.
            media_url: where ACS connects its audio, at pick-up.
            audio_format: both directions.
            call_id: our id; it alone makes the Repeatability-Request-ID, so the same call is made once.
            first_sent: when this call was first tried, Unix seconds.
        """
        media = streaming(media_url, audio_format)
        made = await self._ask(
            "create",
            lambda: self._open().create_call(
                identifier(number),
                callback_url,
                source_caller_id_number=identifier(caller_id),
                operation_context=call_id,
                media_streaming=media,
                headers=repeatable("create", call_id, first_sent),
            ),
        )
        return _connection(made)

    async def reject(
        self, context: str, reason: Literal["none", "busy", "forbidden"], call_id: str, *, first_sent: float
    ) -> None:
        """Refuse a ringing call; `busy` gives the caller the busy tone."""
        headers = repeatable("reject", call_id, first_sent)
        await self._ask(
            "reject", lambda: self._open().reject_call(context, call_reject_reason=reason, headers=headers)
        )

    async def redirect(self, context: str, target: str, call_id: str, *, first_sent: float) -> None:
        """Send a ringing call elsewhere (E.164 or an ACS raw id)."""
        headers = repeatable("redirect", call_id, first_sent)
        await self._ask(
            "redirect", lambda: self._open().redirect_call(context, identifier(target), headers=headers)
        )

    async def hang_up(self, connection_id: str, *, everyone: bool = True) -> None:
        """End the call, or only our part in it: then the others go on talking."""
        options = {"headers": repeatable("hang_up")} if everyone else {}
        await self._ask(
            "hang_up",
            lambda: self._connection(connection_id).hang_up(is_for_everyone=everyone, **options),
        )

    async def transfer(
        self,
        connection_id: str,
        target: str,
        voip_headers: Mapping[str, str] | None = None,
        *,
        caller_id: str = "",
        transferee: str = "",
        context: str = "",
    ) -> None:
        """Transfer the caller away; afterwards the call is no longer ours (acs.md section 6).

        Args:
            connection_id: ACS's id of the call.
            target: E.164 or an ACS raw id.
            voip_headers: custom context, for targets that are ACS users.
            caller_id: number shown to a telephone target; needed for those.
            transferee: raw id of who is moved; needed in calls of more than two.
            context: comes back in the callbacks that tell what became of it.
        """
        headers = repeatable("transfer")
        await self._ask(
            "transfer",
            lambda: self._connection(connection_id).transfer_call_to_participant(
                identifier(target),
                voip_headers=voip_headers or None,
                source_caller_id_number=identifier(caller_id) if caller_id else None,
                transferee=identifier(transferee) if transferee else None,
                operation_context=context or None,
                headers=headers,
            ),
        )

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

    async def send_dtmf(self, connection_id: str, digits: str, target: str) -> None:
        """Press keys (`0`-`9`, `*`, `#`, `A`-`D`) for somebody (a raw id) in the call.

        Raises:
            InvalidInput: none, more than 18, or others; the text does not show them.
        """
        headers = repeatable("send_dtmf")
        words = tones(digits)
        await self._ask(
            "send_dtmf",
            lambda: self._connection(connection_id).send_dtmf_tones(
                words, identifier(target), headers=headers
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
        return _connection(found, connection_id)

    async def close(self) -> None:
        """Give back connections; idempotent."""
        client, self._client = self._client, None
        credential, self._credential = self._credential, None
        for part in (client, credential):
            if part is not None:
                await part.close()

    def _connection(self, connection_id: str) -> Any:
        return self._open().get_call_connection(connection_id)

    def _take_key(self, key: str) -> None:
        from azure.core.credentials import AzureKeyCredential

        if self._key is None:
            self._key = AzureKeyCredential(key)
        elif self._key.key != key:
            self._key.update(key)

    async def _ask(self, operation: str, send: Callable[[], Awaitable[Any]]) -> Any:
        from azure.core.exceptions import AzureError, HttpResponseError

        if self._read_key is not None:
            self._take_key(await self._read_key())
        try:
            async with asyncio.timeout(self._timeout_s):
                return await send()
        except HttpResponseError as error:
            raise mapped(operation, error) from None
        except (AzureError, TimeoutError) as error:
            raise CallControlUnavailable(f"ACS: {operation}: {type(error).__name__}") from None


def _connection(found: Any, connection_id: str = "") -> Connection:
    return Connection(
        str(found.call_connection_id or connection_id),
        str(found.call_connection_state or "unknown"),
        str(found.server_call_id or ""),
        str(found.correlation_id or ""),
    )
