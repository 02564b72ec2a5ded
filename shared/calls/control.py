"""Call control: with the modules `control_*` the only place that uses Microsoft's Call Automation SDK.

Every operation raises `CallGone`, `CallControlUnavailable`, `ConfigurationError` (the key or the identity is refused) or
`InvalidInput` (ACS refuses the request).

Facts: acs.md sections 1 (routes, codes, retries), 2 (media streaming options) and 4.3 (result codes). Nothing here logs:
the bodies hold tokens and the `incomingCallContext`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from shared.calls.control_ivr import play_sources, recognition
from shared.calls.control_parts import identifier, repeatable, streaming, tones
from shared.calls.control_people import People
from shared.config.ivr import Choice, Collect, Prompt


@dataclass(frozen=True, slots=True)
class Connection:
    """A call as ACS sees it; `state` is a callConnectionState of acs.md 1.4 (`connected`, `disconnected`, …).

    `streaming`: its audio connection stands, as far as ACS knows.
    """

    call_connection_id: str
    state: str
    server_call_id: str
    correlation_id: str
    streaming: bool = False

    @property
    def alive(self) -> bool:
        """ACS still holds the call."""
        return self.state not in ("disconnecting", "disconnected")


class CallControl(People):
    """Call control over ACS's REST interface; safe for concurrent use, one per process. See `AcsClient` for what it is made of."""

    async def answer(
        self,
        context: str,
        callback_url: str,
        media_url: str,
        audio_format: Literal["pcm24KMono", "pcm16KMono"],
        call_id: str,
        *,
        first_sent: float,
        start: bool = True,
        cognitive_services: str = "",
    ) -> str:
        """Answer with bidirectional 20 ms audio and keys on one WebSocket; ACS's connection id.

        Args:
            context: the event's incomingCallContext, verbatim.
            callback_url: where ACS reports what becomes of the call.
            media_url: where ACS connects its audio.
            audio_format: both directions.
            call_id: our id; it alone makes the Repeatability-Request-ID, so the same call is answered once.
            first_sent: when this answer was first tried, Unix seconds.
            start: connect at once; else at `start_media_streaming`.
            cognitive_services: address of the resource that speaks texts of `play`; "" for none.
        """
        media = streaming(media_url, audio_format, start=start)
        answered = await self._ask(
            "answer",
            lambda: self._open().answer_call(
                context,
                callback_url,
                operation_context=call_id,
                media_streaming=media,
                cognitive_services_endpoint=cognitive_services or None,
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

    async def play(
        self, connection_id: str, prompts: Sequence[Prompt], voice: str, *, context: str, loop: bool = False
    ) -> None:
        """Speak texts and play recordings to everybody in the call; `context` comes back in the callbacks.

        `loop`: again and again, until `cancel_media`.
        """
        sources = play_sources(prompts, voice)
        await self._ask(
            "play",
            lambda: self._connection(connection_id).play_media(sources, loop=loop, operation_context=context),
        )

    async def cancel_media(self, connection_id: str) -> None:
        """Stop what `play` plays."""
        await self._ask("cancel_media", lambda: self._connection(connection_id).cancel_all_media_operations())

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
        cognitive_services: str = "",
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
            cognitive_services: address of the resource that speaks texts of `play`; "" for none.
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
                cognitive_services_endpoint=cognitive_services or None,
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


def _connection(found: Any, connection_id: str = "") -> Connection:
    return Connection(
        str(found.call_connection_id or connection_id),
        str(found.call_connection_state or "unknown"),
        str(found.server_call_id or ""),
        str(found.correlation_id or ""),
        getattr(found.media_streaming_subscription, "state", "") == "active",
    )
