"""The stories in which every row of the table is told once. All of them go on at the same time, each with calls of its own."""

import asyncio
import datetime
import io
import wave
from collections.abc import Awaitable, Callable

import azure.communication.callautomation as sdk

from tests.emulator.conformance.clients import identifier
from tests.emulator.conformance.operations import Then
from tests.emulator.conformance.rows import DISCONNECTED, ROSTER
from tests.emulator.conformance.scenes_media import MEDIA_SCENES
from tests.emulator.conformance.world import Scene

STRANGER = "+14255550199"


async def calling(s: Scene) -> None:
    callee = await s.phone()
    call = {"source_caller_id_number": identifier(s.world.number()), "operation_context": "out"}
    made = await s.do("create_call", s.client, callee, s.callback_url, **call)
    connection = s.client.get_call_connection(made.call_connection_id)
    properties = await s.do("get_call_properties", connection)
    assert properties.call_connection_state == "connected"
    await s.do("hang_up: leave", connection, False)
    await s.do("get_call_properties: no such call", connection)
    both = [await s.phone(), await s.phone()]
    made = await s.do("create_group_call", s.client, both, s.callback_url, **call)
    connection = s.client.get_call_connection(made.call_connection_id)
    await s.do("hang_up: for everyone", connection, True)
    del call["source_caller_id_number"]
    await s.do("create_call: phone without a caller id", s.client, callee, s.callback_url, **call)


async def calling_in_vain(s: Scene) -> None:
    for case, on_ring in (
        ("busy", "busy"),
        ("declined", "decline"),
        ("unreachable", "unreachable"),
        ("nobody picks up", "no_answer"),
    ):
        callee = await s.phone(on_ring=on_ring)
        source = identifier(s.world.number())
        await s.do(
            f"create_call: {case}", s.client, callee, s.callback_url, source_caller_id_number=source, operation_context=case
        )  # fmt: skip
    callee, source = await s.phone(on_ring="no_answer"), identifier(s.world.number())
    made = await s.sdk(s.client.create_call, callee, s.callback_url, source_caller_id_number=source)
    connection = s.client.get_call_connection(made.call_connection_id)
    assert (await s.sdk(connection.get_call_properties)).call_connection_state == "connecting"
    await s.do("play_media: not established", connection, s.tone, operation_context="early")
    await s.sdk(connection.hang_up, True)
    await s.claim(DISCONNECTED)


async def answering(s: Scene) -> None:
    phone, incoming = await s.ring()
    context, options = incoming["incomingCallContext"], {"operation_context": "in"}
    made = await s.do("answer_call", s.client, context, s.callback_url, **options)
    await s.do("answer_call: context used up", s.client, context, s.callback_url, **options)
    connected = {"server_call_id": made.server_call_id, "operation_context": "joined"}
    joined = await s.do("connect_call: by server call id", s.client, s.callback_url, **connected)
    connection = s.client.get_call_connection(joined.call_connection_id)
    await s.sdk(connection.hang_up, False)
    await s.claim(DISCONNECTED)
    await s.sdk(s.client.get_call_connection(made.call_connection_id).hang_up, True)
    await s.claim(DISCONNECTED)
    await phone.ended()
    await s.do("connect_call: no such call", s.client, s.callback_url, **connected)


async def sending_away(s: Scene) -> None:
    phone, incoming = await s.ring()
    target = await s.phone()
    await s.do("redirect_call", s.client, incoming["incomingCallContext"], target)
    assert (await phone.first("redirected"))["to"] == target.properties["value"]
    phone.hang_up()
    phone, incoming = await s.ring()
    await s.do(
        "reject_call", s.client, incoming["incomingCallContext"], call_reject_reason=sdk.CallRejectReason.BUSY
    )  # fmt: skip
    await phone.ended()
    assert phone.summary()["ended"] == {"reason": "rejected: busy", "by": "agent"}


async def transferring(s: Scene) -> None:
    line = await s.answer()
    declines = await s.phone(on_ring="decline")
    transfer = "transfer_call_to_participant"
    await s.do(f"{transfer}: declined", line.connection, declines, operation_context="t1")
    properties = await s.sdk(line.connection.get_call_properties)
    assert properties.call_connection_state == "connected"
    agent = s.world.user()
    taken = s.world.scene(f"{s.name}-agent")

    async def agent_answers() -> None:
        incoming = await s.world.rung(agent)
        assert incoming["customContext"]["voipHeaders"] == {"agentId": "a-1"}
        assert incoming["from"]["rawId"] == line.other.raw_id
        there = await taken.take(line.phone, incoming)
        assert there.id != line.id

    options = {"operation_context": "t2", "voip_headers": {"agentId": "a-1"}}
    await s.do(transfer, line.connection, identifier(agent), **options, meanwhile=agent_answers)
    line.phone.hang_up()
    await taken.claim(DISCONNECTED)
    await taken.close()
    assert taken.unclaimed() == []


async def participants(s: Scene) -> None:
    line = await s.answer()
    on, shown = line.connection, {"source_caller_id_number": identifier(s.world.number())}
    friend = await s.phone()
    await s.do("add_participant", on, friend, operation_context="a1", **shown)
    user = await s.phone(s.world.user())
    await s.sdk(on.add_participant, user)
    await s.claim(Then("AddParticipantSucceeded"))
    await s.claim(ROSTER)
    listed = await s.do("list_participants", on)
    found = {one.identifier.raw_id for one in listed}
    assert {line.other.raw_id, friend.raw_id, user.raw_id} < found
    one = await s.do("get_participant", on, friend)
    assert one.identifier.raw_id == friend.raw_id and not one.is_muted
    await s.do("get_participant: not in the call", on, identifier(STRANGER))
    await s.do("mute_participant", on, user, operation_context="m")
    assert (await s.sdk(on.get_participant, user)).is_muted
    await s.do("mute_participant: a phone", on, friend, operation_context="m")
    await s.do("remove_participant", on, friend, operation_context="r1")
    await s.do("remove_participant: not in the call", on, friend, operation_context="r2")
    await line.end()


async def invitations(s: Scene) -> None:
    line = await s.answer()
    on, shown = line.connection, {"source_caller_id_number": identifier(s.world.number())}
    declines, silent = await s.phone(on_ring="decline"), await s.phone(on_ring="no_answer")
    await s.do("add_participant: declined", on, declines, operation_context="a1", **shown)
    await s.do(
        "add_participant: nobody picks up", on, silent, operation_context="a2", invitation_timeout=1, **shown
    )  # fmt: skip
    invited = await s.sdk(on.add_participant, silent, **shown)
    cancel = "cancel_add_participant_operation"
    cancelled = await s.do(cancel, on, invited.invitation_id, operation_context="c1")
    assert cancelled.invitation_id == invited.invitation_id
    await s.do(f"{cancel}: no such invitation", on, "nothing", operation_context="c2")
    other = await s.answer()
    await s.do("move_participants", on, [other.other], other.id, operation_context="mv")
    await s.claim(DISCONNECTED)
    await line.end()


async def recording(s: Scene) -> None:
    line = await s.answer({"tone": {"hz": 600, "seconds": 5}})
    options = {
        "recording_state_callback_url": s.callback_url,
        "recording_content_type": "audio",
        "recording_channel_type": "mixed",
        "recording_format_type": "wav",
    }
    made = await s.do("start_recording", s.client, call_connection_id=line.id, **options)
    await s.do("start_recording: twice", s.client, call_connection_id=line.id, **options)
    state = await s.do("get_recording_properties", s.client, made.recording_id)
    assert state.recording_state == "active"
    await asyncio.sleep(0.5)
    await s.do("pause_recording", s.client, made.recording_id)
    assert (await s.sdk(s.client.get_recording_properties, made.recording_id)).recording_state == "inactive"
    await s.do("resume_recording", s.client, made.recording_id)
    stored = s.world.file(made.recording_id)
    await s.do("stop_recording", s.client, made.recording_id)
    await s.do("pause_recording: no such recording", s.client, made.recording_id)
    chunk = (await stored)["recordingStorageInfo"]["recordingChunks"][0]
    content = await s.do("download_recording", s.client, chunk["contentLocation"])
    with wave.open(io.BytesIO(content)) as file:
        assert file.getnframes() / file.getframerate() > 0.4, file.getnframes()
        assert any(file.readframes(file.getnframes()))
    part = await s.do("download_recording: a part", s.client, chunk["contentLocation"], offset=4, length=8)
    assert part == content[4:12]
    await s.do("delete_recording", s.client, chunk["deleteLocation"])
    await line.end()


async def identities(s: Scene) -> None:
    on = s.identities
    user = await s.do("create_user", on)
    assert user.raw_id.startswith("8:acs:")
    hour = datetime.timedelta(hours=1)
    made, token = await s.do("create_user_and_token", on, ["voip"], token_expires_in=hour)
    assert made.raw_id != user.raw_id and token.token
    other = await s.do("get_token", on, made, ["voip"], token_expires_in=hour)
    assert other.token != token.token
    await s.do("revoke_tokens", on, made)
    await s.do("delete_user", on, made)


SCENES: tuple[Callable[[Scene], Awaitable[None]], ...] = (
    calling,
    calling_in_vain,
    answering,
    sending_away,
    transferring,
    participants,
    invitations,
    recording,
    identities,
    *MEDIA_SCENES,
)
