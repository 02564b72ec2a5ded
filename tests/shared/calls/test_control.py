import asyncio
import json
import logging
import ssl
import time

import pytest
import trustme
from azure.core.credentials import AccessToken

from shared.calls.control import CallControl
from shared.errors import CallControlUnavailable, CallGone, ConfigurationError, InvalidInput
from shared.settings import AcsAccess
from tests.support.acs_rest import AcsRest, Told

CALLBACK, MEDIA = "https://fn.example/api/call-events/T1", "wss://media.example/acs/T2"


@pytest.fixture
async def acs():
    async with AcsRest() as server:
        yield server


@pytest.fixture
async def control(acs):
    opened = CallControl(acs.access)
    yield opened
    await opened.close()


async def answer(control, call_id="c1", first_sent=1_800_000_000.0):
    return await control.answer("eyJ.ctx.", CALLBACK, MEDIA, "pcm24KMono", call_id, first_sent=first_sent)


async def test_answer_asks_for_bidirectional_audio_with_keys(acs, control):
    assert await answer(control) == "cc-1"
    [request] = acs.requests
    assert request.body == {
        "incomingCallContext": "eyJ.ctx.",
        "callbackUri": CALLBACK,
        "operationContext": "c1",
        "mediaStreamingOptions": {
            "transportType": "websocket",
            "audioChannelType": "mixed",
            "transportUrl": MEDIA,
            "contentType": "audio",
            "startMediaStreaming": True,
            "enableBidirectional": True,
            "audioFormat": "pcm24KMono",
            "enableDtmfTones": True,
        },
    }
    assert request.headers["Authorization"].startswith("HMAC-SHA256 ")
    assert request.headers["Repeatability-First-Sent"] == "Fri, 15 Jan 2027 08:00:00 GMT"


async def test_the_same_call_is_the_same_request_and_another_is_not(acs, control):
    other = CallControl(acs.access)
    await answer(control, "c1")
    await answer(other, "c1")
    await answer(control, "c2")
    await control.reject("ctx", "busy", "c1", first_sent=1.0)
    await other.close()
    ids = [request.headers["Repeatability-Request-ID"] for request in acs.requests]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


async def test_reject_and_redirect(acs, control):
    await control.reject("ctx", "busy", "c1", first_sent=1.0)
    await control.redirect("ctx", "+18005550001", "c1", first_sent=1.0)
    await control.redirect("ctx", "8:acs:a_b", "c1", first_sent=1.0)
    assert [request.body for request in acs.requests] == [
        {"incomingCallContext": "ctx", "callRejectReason": "busy"},
        {
            "incomingCallContext": "ctx",
            "target": {"rawId": "4:+18005550001", "phoneNumber": {"value": "+18005550001"}},
        },
        {
            "incomingCallContext": "ctx",
            "target": {"rawId": "8:acs:a_b", "communicationUser": {"id": "8:acs:a_b"}},
        },
    ]


async def test_actions_on_participants(acs, control):
    assert await control.participants("cc-1") == ["4:+14255550100", "8:acs:resource_app"]
    added = await control.add_participant("cc-1", "8:acs:a_b", {"topic": "bill"}, context="handover-1")
    assert added == "invitation-1"
    await control.cancel_add_participant("cc-1", added)
    await control.remove_participant("cc-1", "+18005550199")
    await control.hold("cc-1", "4:+18005550199", "https://sounds.example/hold.wav")
    await control.hold("cc-1", "4:anonymous")
    await control.unhold("cc-1", "8:orgid:teams")
    await control.send_dtmf("cc-1", "0*#d", "4:+18005550199")
    await control.transfer("cc-1", "+18005550199", context="handover-2")
    await control.hang_up("cc-1", everyone=False)
    base = "/calling/callConnections/cc-1"
    number = {"rawId": "4:+18005550199", "phoneNumber": {"value": "+18005550199"}}
    by_raw_id = {**number, "phoneNumber": {**number["phoneNumber"], "isAnonymous": False}}
    assert [(request.path.removeprefix(base), request.body) for request in acs.requests[1:]] == [
        (
            "/participants:add",
            {
                "participantToAdd": {"rawId": "8:acs:a_b", "communicationUser": {"id": "8:acs:a_b"}},
                "invitationTimeoutInSeconds": 30,
                "operationContext": "handover-1",
                "customCallingContext": {"voipHeaders": {"topic": "bill"}},
            },
        ),
        ("/participants:cancelAddParticipant", {"invitationId": "invitation-1"}),
        ("/participants:remove", {"participantToRemove": number}),
        (
            ":hold",
            {
                "targetParticipant": by_raw_id,
                "playSourceInfo": {"kind": "file", "file": {"uri": "https://sounds.example/hold.wav"}},
            },
        ),
        (
            ":hold",
            {
                "targetParticipant": {
                    "rawId": "4:anonymous",
                    "phoneNumber": {"value": "anonymous", "isAnonymous": True},
                }
            },
        ),
        (":unhold", {"targetParticipant": {"rawId": "8:orgid:teams"}}),
        (":sendDtmfTones", {"tones": ["zero", "asterisk", "pound", "d"], "targetParticipant": by_raw_id}),
        (":transferToParticipant", {"targetParticipant": number, "operationContext": "handover-2"}),
        ("", {}),
    ]
    assert acs.requests[-1].operation == "leave"


@pytest.mark.parametrize("digits", ["", "4 2", "0" * 19])
async def test_keys_that_nobody_can_press_are_refused_and_not_shown(acs, control, digits):
    with pytest.raises(InvalidInput) as caught:
        await control.send_dtmf("cc-1", digits, "4:+18005550199")
    assert not digits or digits not in str(caught.value)
    assert acs.requests == []


async def test_actions_on_a_connection(acs, control):
    await control.hang_up("cc-1")
    await control.start_media_streaming("cc-1")
    await control.stop_media_streaming("cc-1")
    await control.transfer(
        "cc-1", "+18005550199", caller_id="+18005550000", transferee="8:acs:a_b", voip_headers={}
    )
    await control.transfer("cc-1", "8:acs:a_b", {"accountNumber": "00123"})
    await control.add_participant("cc-1", "+18005550199", caller_id="+18005550000", timeout_s=20)
    await control.add_participant("cc-1", "8:acs:a_b")
    base = "/calling/callConnections/cc-1"
    assert [request.path for request in acs.requests] == [
        f"{base}:terminate",
        f"{base}:startMediaStreaming",
        f"{base}:stopMediaStreaming",
        f"{base}:transferToParticipant",
        f"{base}:transferToParticipant",
        f"{base}/participants:add",
        f"{base}/participants:add",
    ]
    to_number, to_user = (request.body for request in acs.of("transferToParticipant"))
    assert to_number["targetParticipant"]["phoneNumber"] == {"value": "+18005550199"}
    assert to_number["sourceCallerIdNumber"] == {"value": "+18005550000"}
    assert to_number["transferee"]["rawId"] == "8:acs:a_b"
    assert "customCallingContext" not in to_number
    assert to_user["customCallingContext"] == {"voipHeaders": {"accountNumber": "00123"}}
    first, second = (request.body for request in acs.of("add"))
    assert (first["invitationTimeoutInSeconds"], second["invitationTimeoutInSeconds"]) == (20, 30)
    assert "sourceCallerIdNumber" not in second


async def test_properties_say_whether_the_call_is_alive(acs, control):
    found = await control.properties("cc-1")
    assert (found.call_connection_id, found.server_call_id, found.correlation_id) == (
        "cc-1",
        "server-1",
        "corr-1",
    )
    assert found.alive
    assert not found.streaming
    acs.streaming = "active"
    assert (await control.properties("cc-1")).streaming
    acs.streaming, acs.state = "inactive", "disconnected"
    found = await control.properties("cc-1")
    assert not found.alive and not found.streaming


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, "8522", CallGone),
        (410, "", CallGone),
        (409, "8519", CallGone),
        (400, "8501", CallGone),
        (400, "8528", CallGone),
        (400, "8585", CallGone),
        (400, "8523", InvalidInput),
        (405, "8522", InvalidInput),
        (412, "8583", InvalidInput),
        (401, "7509", ConfigurationError),
        (403, "7507", ConfigurationError),
        (429, "8516", CallControlUnavailable),
        (502, "", CallControlUnavailable),
    ],
)
async def test_answers_of_acs_become_our_errors(acs, control, status, code, error):
    acs.tell("answer", Told(status, code))
    with pytest.raises(error) as caught:
        await answer(control)
    assert "told so" not in str(caught.value)
    assert str(status) in str(caught.value)


async def test_a_conflict_after_answering_is_no_end_of_the_call(acs, control):
    acs.tell("startMediaStreaming", Told(409, "8519"))
    with pytest.raises(InvalidInput):
        await control.start_media_streaming("cc-1")


async def test_a_passing_fault_is_retried_as_the_same_request(acs, control):
    acs.tell("answer", Told(503))
    assert await answer(control) == "cc-1"
    first, second = acs.of("answer")
    assert first.headers["Repeatability-Request-ID"] == second.headers["Repeatability-Request-ID"]


async def test_retries_end(acs, control):
    acs.tell("answer", *[Told(503)] * 10)
    with pytest.raises(CallControlUnavailable):
        await answer(control)
    assert len(acs.of("answer")) == 3


async def test_nobody_there():
    async with AcsRest() as gone:
        access = gone.access
    control = CallControl(access)
    with pytest.raises(CallControlUnavailable):
        await control.hang_up("cc-1")
    await control.close()


async def test_an_operation_has_a_bound(acs):
    acs.hold = asyncio.Event()
    control = CallControl(acs.access, timeout_s=0.05)
    with pytest.raises(CallControlUnavailable, match="TimeoutError"):
        await answer(control)
    acs.hold.set()
    await control.close()


async def test_a_long_retry_after_does_not_hold_the_call(acs):
    acs.tell("answer", Told(429, headers={"Retry-After": "60"}))
    control = CallControl(acs.access, timeout_s=0.1)
    with pytest.raises(CallControlUnavailable):
        await answer(control)
    await control.close()


class Credential:
    """A managed identity's place: hands out one token."""

    def __init__(self):
        self.scopes = []

    async def get_token(self, *scopes, **_):
        self.scopes.extend(scopes)
        return AccessToken("aad-token", int(time.time()) + 3600)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


async def test_without_a_key_an_identity_signs(tmp_path):
    authority = trustme.CA()
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(server_side)
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(trusted)
    credential = Credential()
    async with AcsRest(ssl=server_side) as acs:
        control = CallControl(acs.access, credential=credential, connection_verify=str(trusted))
        assert await answer(control) == "cc-1"
        await control.close()
        assert acs.requests[0].headers["Authorization"] == "Bearer aad-token"
    assert credential.scopes == ["https://communication.azure.com//.default"]


async def test_the_default_identity_is_opened_and_closed():
    control = CallControl(AcsAccess("https://acs.example"), "11111111-2222-3333-4444-555555555555")
    control._connection("cc-1")
    await control.close()
    await control.close()


async def test_nothing_secret_is_logged(acs, caplog):
    control = CallControl(acs.access)
    with caplog.at_level(logging.DEBUG):
        await answer(control)
        acs.tell("answer", Told(404, "8522"))
        with pytest.raises(CallGone):
            await answer(control)
    await control.close()
    assert "eyJ.ctx." not in caplog.text
    assert "call-events/T1" not in caplog.text
    assert json.dumps(acs.access.access_key) not in caplog.text
