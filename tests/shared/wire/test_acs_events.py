import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from azure.core.messaging import CloudEvent
from azure.eventgrid import EventGridEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import InvalidInput
from shared.wire.acs_events import (
    CALLBACK_LIMIT,
    GRID_LIMIT,
    Callback,
    GridEvent,
    Malformed,
    grid_event_from_dict,
    parse_callbacks,
    parse_grid_body,
    parse_incoming_call,
    validation_code,
)

CONTEXT = "eyJhbGciOiJub25lIn0." + "c" * 8000 + "."
CALL_DATA = {
    "to": {"kind": "phoneNumber", "rawId": "4:+18005550000", "phoneNumber": {"value": "+18005550000"}},
    "from": {"kind": "phoneNumber", "rawId": "4:+14255550100", "phoneNumber": {"value": "+14255550100"}},
    "serverCallId": "aHR0cHM6Ly9lbXVsYXRvci9jb252LzE=",
    "callerDisplayName": "",
    "incomingCallContext": CONTEXT,
    "correlationId": "0b6e5a58-2a3d-4a55-b1d4-0f1f5f8f6a01",
}
GRID = {
    "id": "7d0f6c39-1a52-4e0e-9b1f-2f8f3a7f5d21",
    "topic": "/subscriptions/SUB",
    "subject": "/caller/4:+14255550100/recipient/4:+18005550000",
    "data": CALL_DATA,
    "eventType": "Microsoft.Communication.IncomingCall",
    "dataVersion": "1.0",
    "metadataVersion": "1",
    "eventTime": "2026-11-20T23:50:36.2415391Z",
}
CLOUD = {
    "id": GRID["id"],
    "source": "/subscriptions/SUB",
    "subject": GRID["subject"],
    "type": GRID["eventType"],
    "specversion": "1.0",
    "time": GRID["eventTime"],
    "data": CALL_DATA,
}
TIME = datetime(2026, 11, 20, 23, 50, 36, 241539, UTC)


def body(value):
    return json.dumps(value).encode()


@pytest.mark.parametrize(("wire", "cloud_event"), [(GRID, False), (CLOUD, True)])
@pytest.mark.parametrize("wrapped", [True, False])
@pytest.mark.parametrize("encode_twice", [True, False])
def test_both_schemas_alone_and_in_an_array(wire, cloud_event, wrapped, encode_twice):
    wire = {**wire, "data": json.dumps(CALL_DATA)} if encode_twice else wire
    [event] = parse_grid_body(body([wire] if wrapped else wire))
    assert event == GridEvent(GRID["id"], GRID["eventType"], GRID["subject"], TIME, CALL_DATA, cloud_event)


def test_microsofts_own_types_read_the_same_events():
    assert EventGridEvent.from_dict(GRID).event_time == parse_grid_body(body(GRID))[0].time
    assert CloudEvent.from_dict(CLOUD).time == parse_grid_body(body(CLOUD))[0].time


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": None}, "id"),
        ({"id": "x" * 257}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"id": 7}, "id"),
        ({"eventType": ""}, "eventType"),
        ({"eventTime": "yesterday"}, "eventTime"),
        ({"eventTime": "2026-02-30T00:00:00Z"}, "eventTime"),
        ({"eventTime": "0001-01-01T00:00:00+14:00"}, "eventTime"),
        ({"eventTime": "20261120T235036Z"}, "eventTime"),
        ({"eventTime": 1763682636}, "eventTime"),
        ({"subject": 5}, "subject"),
        ({"data": None}, "data"),
        ({"data": []}, "data"),
        ({"data": "no json"}, "data"),
        ({"data": '"text"'}, "data"),
        ({"data": "\ud800"}, "data"),
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": "1.0"}, "type"),
    ],
)
def test_a_wrong_field_is_named(change, field):
    with pytest.raises(InvalidInput) as refused:
        grid_event_from_dict({**GRID, **change})
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-11-20T23:50:36Z", datetime(2026, 11, 20, 23, 50, 36, tzinfo=UTC)),
        ("2026-11-20t23:50:36.5z", datetime(2026, 11, 20, 23, 50, 36, 500_000, UTC)),
        ("2026-11-20T23:50:36", datetime(2026, 11, 20, 23, 50, 36, tzinfo=UTC)),
        ("2026-11-20T23:50:36.123456789+01:00", datetime(2026, 11, 20, 22, 50, 36, 123_456, UTC)),
    ],
)
def test_times_become_utc(written, expected):
    time = grid_event_from_dict({**GRID, "eventTime": written}).time
    assert time == expected
    assert time.utcoffset() == timedelta(0)


@given(st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))
@settings(max_examples=50, deadline=None)
def test_any_rfc_3339_time_is_read(time, minutes):
    time = time.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert grid_event_from_dict({**GRID, "eventTime": time.isoformat()}).time == time


def test_one_bad_event_does_not_cost_the_others():
    events = parse_grid_body(body([GRID, 5, {**GRID, "data": 1}, CLOUD, None, {}]))
    assert [type(event) for event in events] == [
        GridEvent,
        Malformed,
        Malformed,
        GridEvent,
        Malformed,
        Malformed,
    ]
    assert events[1] == Malformed(1, "event", "an object")
    assert events[2] == Malformed(2, "data", "an object")
    assert events[5].field == "id"


@pytest.mark.parametrize("parse", [parse_grid_body, parse_callbacks])
@pytest.mark.parametrize("content", [b"", b"null", b"3", b'"x"', b"{", b"\xff", b"[" * 10_000])
def test_a_body_that_is_no_delivery_is_refused(parse, content):
    with pytest.raises(InvalidInput, match=r"^body"):
        parse(content)


@pytest.mark.parametrize(
    ("parse", "limit"), [(parse_grid_body, GRID_LIMIT), (parse_callbacks, CALLBACK_LIMIT)]
)
def test_a_body_has_a_bound(parse, limit):
    assert parse(b"[]" + b" " * (limit - 2)) == []
    with pytest.raises(InvalidInput, match=f"body: expected at most {limit} bytes"):
        parse(b"[]" + b" " * (limit - 1))


def test_an_event_does_not_show_its_data():
    [event] = parse_grid_body(body(GRID))
    assert CONTEXT[:30] not in repr(event)
    assert CONTEXT[:30] not in repr(parse_incoming_call(event))


def incoming(**changes):
    data = {key: value for key, value in {**CALL_DATA, **changes}.items() if value is not ...}
    return parse_incoming_call(grid_event_from_dict({**GRID, "data": data}))


def test_an_incoming_call():
    call = incoming(callerDisplayName="Zoë\u202e\n" + "x" * 300)
    assert call.event_id == GRID["id"]
    assert call.time == TIME
    assert call.correlation_id == CALL_DATA["correlationId"]
    assert call.server_call_id == CALL_DATA["serverCallId"]
    assert (call.caller.value, call.callee.value) == ("+14255550100", "+18005550000")
    assert call.display_name == "Zoë" + "x" * 253
    assert call.context == CONTEXT
    assert (call.voip_headers, call.sip_headers) == ({}, {})


def test_a_transferred_call_brings_its_headers_verbatim():
    call = incoming(
        customContext={
            "voipHeaders": {"agentId": "a-1", "notes": '{"a":\n"👩‍👧"}', "empty": ""},
            "sipHeaders": {"userToUser": "616263;encoding=hex"},
        }
    )
    assert call.voip_headers == {"agentId": "a-1", "notes": '{"a":\n"👩‍👧"}', "empty": ""}
    assert call.sip_headers == {"userToUser": "616263;encoding=hex"}
    assert "a-1" not in repr(call)


@pytest.mark.parametrize(
    "changes",
    [{"callerDisplayName": 5}, {"serverCallId": ...}, {"customContext": None}, {"customContext": {}}],
)
def test_what_is_not_needed_may_be_missing(changes):
    assert incoming(**changes).context == CONTEXT


HEADERS = "data.customContext.voipHeaders"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"incomingCallContext": ...}, "data.incomingCallContext"),
        ({"incomingCallContext": ""}, "data.incomingCallContext"),
        ({"incomingCallContext": {"a": 1}}, "data.incomingCallContext"),
        ({"incomingCallContext": "x" * 65_537}, "data.incomingCallContext"),
        ({"correlationId": ...}, "data.correlationId"),
        ({"correlationId": "x" * 257}, "data.correlationId"),
        ({"from": ...}, "data.from"),
        ({"to": {"rawId": "4:call me"}}, "data.to.rawId"),
        ({"serverCallId": 5}, "data.serverCallId"),
        ({"customContext": "x"}, "data.customContext"),
        ({"customContext": {"voipHeaders": []}}, HEADERS),
        ({"customContext": {"voipHeaders": {"a": 1}}}, HEADERS),
        ({"customContext": {"voipHeaders": {"a": "x" * 1025}}}, HEADERS),
        ({"customContext": {"voipHeaders": {"a" * 65: "x"}}}, HEADERS),
        ({"customContext": {"voipHeaders": {"": "x"}}}, HEADERS),
        ({"customContext": {"voipHeaders": {"a": "\ud800"}}}, HEADERS),
        ({"customContext": {"voipHeaders": {str(n): "x" for n in range(1001)}}}, HEADERS),
    ],
)
def test_a_wrong_incoming_call_names_the_field(changes, field):
    with pytest.raises(InvalidInput) as refused:
        incoming(**changes)
    assert refused.value.field == field


def test_the_validation_code():
    handshake = {
        **GRID,
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6", "validationUrl": "http://169.254.169.254/"},
    }
    assert validation_code(grid_event_from_dict(handshake)) == "512d38b6"
    assert validation_code(grid_event_from_dict(GRID)) is None
    with pytest.raises(InvalidInput, match=r"data\.validationCode"):
        validation_code(grid_event_from_dict({**handshake, "data": {}}))


SOURCE = "calling/callConnections/421f0b00"
CALLBACK = {
    "id": "c0c1a9a2",
    "source": SOURCE,
    "type": "Microsoft.Communication.CallDisconnected",
    "data": {
        "version": "2026-03-12",
        "resultInformation": {"code": 200, "subCode": 7000, "message": "The conversation\nhas ended."},
        "operationContext": "incoming",
        "callConnectionId": "421f0b00",
        "serverCallId": "aHR0cHM6Ly9lbXVsYXRvci9jb252LzE=",
        "correlationId": "0b6e5a58",
        "publicEventType": "Microsoft.Communication.CallDisconnected",
    },
    "time": "2026-11-20T23:50:39.4325356+00:00",
    "specversion": "1.0",
    "datacontenttype": "application/json",
    "subject": SOURCE,
}


def test_a_callback():
    [callback] = parse_callbacks(body([CALLBACK]))
    assert callback == Callback(
        "c0c1a9a2",
        "CallDisconnected",
        datetime(2026, 11, 20, 23, 50, 39, 432535, UTC),
        "421f0b00",
        "aHR0cHM6Ly9lbXVsYXRvci9jb252LzE=",
        "0b6e5a58",
        "incoming",
        200,
        7000,
        "The conversationhas ended.",
        CALLBACK["data"],
    )
    assert "aHR0" in repr(callback)
    assert "publicEventType" not in repr(callback)


@pytest.mark.parametrize("result", [..., None, {}, {"message": 7}])
def test_a_callback_without_a_result(result):
    data = (
        {"callConnectionId": "c"} if result is ... else {"callConnectionId": "c", "resultInformation": result}
    )
    [callback] = parse_callbacks(body({**CALLBACK, "data": data}))
    assert (callback.code, callback.sub_code, callback.message, callback.operation_context) == (0, 0, "", "")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"type": "CallConnected"}, "type"),
        ({"type": "Microsoft.Communication."}, "type"),
        ({"specversion": "2"}, "specversion"),
        ({"time": None}, "time"),
        ({"data": {"resultInformation": "x"}}, "data.resultInformation"),
        ({"data": {"resultInformation": {"code": "200"}}}, "data.resultInformation.code"),
        ({"data": {"resultInformation": {"subCode": 1.5}}}, "data.resultInformation.subCode"),
        ({"data": {"callConnectionId": 5}}, "data.callConnectionId"),
        ({"data": {"operationContext": "x\0"}}, "data.operationContext"),
    ],
)
def test_a_wrong_callback_is_malformed_in_its_place(change, field):
    first, second = parse_callbacks(body([CALLBACK, {**CALLBACK, **change}]))
    assert isinstance(first, Callback)
    assert isinstance(second, Malformed)
    assert (second.index, second.field) == (1, field)


def test_callbacks_come_as_cloud_events_only():
    [malformed] = parse_callbacks(
        body([{key: value for key, value in CALLBACK.items() if key != "specversion"}])
    )
    assert malformed == Malformed(0, "specversion", "1.0")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from([GRID, CLOUD, CALLBACK]), st.data())
@settings(max_examples=150, deadline=None)
def test_an_event_with_any_field_replaced_never_crashes(event, data):
    event = json.loads(json.dumps(event))
    place = data.draw(st.sampled_from([event, event["data"]]))
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(json_values)
    for parsed in (*parse_grid_body(body(event)), *parse_callbacks(body(event))):
        if isinstance(parsed, GridEvent):
            try:
                parse_incoming_call(parsed)
            except InvalidInput as refused:
                assert refused.field
        else:
            assert isinstance(parsed, Malformed | Callback)
