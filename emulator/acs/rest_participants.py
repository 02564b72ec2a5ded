"""Routes about the participants of a call (acs.md 1.3)."""

from collections.abc import Callable
from urllib.parse import urlencode

from aiohttp import web

from emulator.acs.calls import Call
from emulator.acs.conversation import participant
from emulator.acs.errors import invalid
from emulator.acs.exchange import Exchange
from emulator.acs.identifiers import read_identifier
from emulator.acs.operations.participants import Invitation, add, cancel, move, mute, remove
from emulator.acs.rest_body import (
    ONE,
    Json,
    Route,
    post,
    read_body,
    read_custom_context,
    read_identifiers,
    read_number,
    read_operation,
    reply,
)

PAGE = 100
"""Participants on one page (guessed)."""
MAX_INVITATION_S = 180


class ParticipantRoutes:
    """The handlers.

    Args:
        exchange: the calls.
        base: returns the emulator's own address, for `nextLink`.
    """

    def __init__(self, exchange: Exchange, base: Callable[[], str]) -> None:
        self._exchange = exchange
        self._base = base

    def routes(self) -> list[Route]:
        """All routes of this file."""
        return [
            Route("GET", f"{ONE}/participants", "listParticipants", self._list),
            Route("GET", f"{ONE}/participants/{{who}}", "getParticipant", self._get),
            post(f"{ONE}/participants:add", self._add),
            post(f"{ONE}/participants:remove", self._remove),
            post(f"{ONE}/participants:mute", self._mute),
            post(f"{ONE}/participants:cancelAddParticipant", self._cancel),
            post(f"{ONE}/participants:moveHere", self._move),
        ]

    def _call(self, request: web.Request) -> Call:
        return self._exchange.call(request.match_info["id"])

    async def _list(self, request: web.Request) -> web.Response:
        roster = self._call(request).roster()
        start_text = request.query.get("$skip", "0")
        if not start_text.isdecimal():
            raise invalid("$skip")
        start = int(start_text)
        body: Json = {"value": roster[start : start + PAGE]}
        if start + PAGE < len(roster):
            query = {"$skip": start + PAGE, "api-version": request.query.get("api-version", "")}
            body["nextLink"] = f"{self._base()}{request.path}?{urlencode(query)}"
        return reply(200, body)

    async def _get(self, request: web.Request) -> web.Response:
        call = self._call(request)
        leg = call.participant({"rawId": request.match_info["who"]})
        return reply(200, participant(leg, call))

    async def _add(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        timeout_s = body.get("invitationTimeoutInSeconds")
        if timeout_s is not None and not (
            isinstance(timeout_s, int)
            and not isinstance(timeout_s, bool)
            and 0 < timeout_s <= MAX_INVITATION_S
        ):
            raise invalid("InvitationTimeoutInSeconds")
        invitation = Invitation(
            target=read_identifier(body.get("participantToAdd"), "ParticipantToAdd"),
            operation=read_operation(body),
            timeout_s=timeout_s,
            custom_context=read_custom_context(body.get("customCallingContext")),
            source_number=read_number(body.get("sourceCallerIdNumber"), "SourceCallerIdNumber"),
            source_name=str(body.get("sourceDisplayName") or ""),
        )
        invitation_id = add(self._exchange, call, invitation)
        answer: Json = {
            "participant": {"identifier": invitation.target, "isMuted": False, "isOnHold": False},
            "operationContext": invitation.operation.context,
            "invitationId": invitation_id,
        }
        return reply(202, answer)

    async def _remove(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        who = read_identifier(body.get("participantToRemove"), "ParticipantToRemove")
        operation = read_operation(body)
        remove(call, who, operation)
        return reply(202, {"operationContext": operation.context})

    async def _mute(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        targets = read_identifiers(body.get("targetParticipants"), "TargetParticipants")
        if len(targets) != 1:
            raise invalid("TargetParticipants")
        mute(call, targets[0])
        return reply(200, {"operationContext": read_operation(body).context})

    async def _cancel(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        invitation_id = body.get("invitationId")
        if not isinstance(invitation_id, str) or not invitation_id:
            raise invalid("InvitationId")
        operation = read_operation(body)
        cancel(self._exchange, call, invitation_id, operation)
        return reply(202, {"invitationId": invitation_id, "operationContext": operation.context})

    async def _move(self, request: web.Request) -> web.Response:
        call = self._call(request)
        body = await read_body(request)
        targets = read_identifiers(body.get("targetParticipants"), "TargetParticipants")
        from_call = body.get("fromCall")
        if not isinstance(from_call, str) or not from_call:
            raise invalid("FromCall")
        operation = read_operation(body)
        move(self._exchange.call(from_call), call, targets, operation)
        participants = [{"identifier": who, "isMuted": False, "isOnHold": False} for who in targets]
        answer: Json = {
            "participants": participants,
            "operationContext": operation.context,
            "fromCall": from_call,
        }
        return reply(202, answer)
