"""REST routes of the media operations (acs.md 1.3): play, recognise, keys, transcription."""

from aiohttp import web

from emulator.acs.calls import Call
from emulator.acs.errors import invalid
from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import read_identifier
from emulator.acs.legs import Leg
from emulator.acs.operations.hearing import Hearing
from emulator.acs.operations.keys import MOST_TONES, Subscriptions, send
from emulator.acs.operations.play_queue import Audience
from emulator.acs.operations.playing import Playing
from emulator.acs.operations.requests import Json, read_object, read_prompts, read_recognize_options
from emulator.acs.operations.sources import Sounds, check_sources
from emulator.acs.operations.tones import keys_of
from emulator.acs.operations.transcription import Transcription
from emulator.acs.rest_body import ONE, Route, read_body, read_operation, reply


class MediaRoutes:
    """The routes.

    Args:
        exchange: the calls.
        sounds: makes sound of play sources.
        hearing: recognises speech.
    """

    def __init__(self, exchange: Exchange, sounds: Sounds, hearing: Hearing) -> None:
        self._exchange = exchange
        self._sounds = sounds
        self._hearing = hearing

    def routes(self) -> list[Route]:
        """All of them, for `RestApi`."""
        handlers = {
            "play": self._play,
            "cancelAllMediaOperations": self._cancel_all,
            "recognize": self._recognize,
            "startContinuousDtmfRecognition": self._start_keys,
            "stopContinuousDtmfRecognition": self._stop_keys,
            "sendDtmfTones": self._send_keys,
            "startTranscription": self._start_transcription,
            "stopTranscription": self._stop_transcription,
            "updateTranscription": self._update_transcription,
        }
        return [Route("POST", f"{ONE}:{name}", name, handler) for name, handler in handlers.items()]

    def _call(self, request: web.Request) -> Call:
        call = self._exchange.call(request.match_info["id"])
        call.require_connected()
        return call

    def _playing(self, call: Call) -> Playing:
        return Playing.of(call, self._sounds, self._hearing)

    @staticmethod
    def _target(call: Call, body: Json, name: str = "targetParticipant") -> Leg:
        return call.participant(read_identifier(body.get(name), name[0].upper() + name[1:]))

    async def _play(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        sources = check_sources(body.get("playSources"), "PlaySources")
        to = body.get("playTo", [])
        if to is None:
            to = []
        if not isinstance(to, list):
            raise invalid("PlayTo")
        legs = [call.participant(read_identifier(who, "PlayTo")) for who in to]
        audience: Audience = frozenset(leg.raw_id for leg in legs) or None
        options = read_object(body, "playOptions")
        self._playing(call).play(
            sources,
            audience,
            loop=options.get("loop") is True,
            interrupt=body.get("interruptCallMediaOperation") is True,
            operation=read_operation(body),
        )
        return reply(202)

    async def _cancel_all(self, request: web.Request) -> web.Response:
        self._playing(self._call(request)).cancel_all()
        return reply(202)

    async def _recognize(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        options = read_recognize_options(body)
        target = self._target(call, read_object(body, "recognizeOptions"))
        self._playing(call).recognize(
            target,
            options,
            read_prompts(body),
            interrupt=body.get("interruptCallMediaOperation") is True,
            operation=read_operation(body),
        )
        return reply(202)

    async def _start_keys(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        Subscriptions.of(call).start(self._target(call, body), read_operation(body))
        return reply(200)

    async def _stop_keys(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        Subscriptions.of(call).stop(self._target(call, body), read_operation(body))
        return reply(200)

    async def _send_keys(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        keys = keys_of(body.get("tones"), "Tones")
        if not 0 < len(keys) <= MOST_TONES:
            raise invalid("Tones")
        operation = read_operation(body)
        call.spawn(send(call, self._target(call, body), keys, operation))
        return reply(202, {"operationContext": operation.context})

    async def _start_transcription(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        transcription = Transcription.of(call)
        transcription.start(_locale(body), read_operation(body))
        return reply(202)

    async def _stop_transcription(self, request: web.Request) -> web.Response:
        call = self._call(request)
        Transcription.of(call).stop(read_operation(await read_body(request)))
        return reply(202)

    async def _update_transcription(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        locale = _locale(body)
        if locale is None:
            raise invalid("Locale")
        Transcription.of(call).change(locale, read_operation(body))
        return reply(202)


def _locale(body: Json) -> str | None:
    locale = body.get("locale")
    if locale is not None and (not isinstance(locale, str) or not locale):
        raise invalid("Locale")
    return locale
