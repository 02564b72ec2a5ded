"""The vendors' own classes as judges of what the emulated models send: the expected class, and nothing that it does not know."""

from azure.ai.voicelive.models import ServerEvent
from openai._models import construct_type
from openai.types.realtime import RealtimeServerEvent
from openai.types.realtime.realtime_session_create_response import RealtimeSessionCreateResponse
from pydantic import TypeAdapter

from tests.support.sdk_models import openai_objections, voicelive_objections

OF_THE_SERVICE = {"id", "object", "expires_at"}
"""The SDK types the session in two events by the request; what the service adds is in its class for the response."""


def check_ga(event):
    """The event as openai's class; AssertionError for another class, a wrong type, a missing or an unknown field."""
    judged = event
    if event["type"] in ("session.created", "session.updated"):
        session = TypeAdapter(RealtimeSessionCreateResponse).validate_python(event["session"], strict=True)
        assert not session.model_extra
        judged = event | {
            "session": {name: value for name, value in event["session"].items() if name not in OF_THE_SERVICE}
        }
    objections = openai_objections(judged)
    assert objections == [], event["type"]
    parsed = construct_type(value=event, type_=RealtimeServerEvent)  # as the client does it
    assert parsed.type == type(parsed).model_fields["type"].annotation.__args__[0] == event["type"]
    return parsed


def check_flat(event):
    """The event as azure-ai-voicelive's class; AssertionError as in `check_ga`."""
    objections = voicelive_objections(event, ServerEvent)
    assert objections == [], event["type"]
    parsed = ServerEvent._deserialize(event, [])
    assert type(parsed) is not ServerEvent
    assert parsed.type == event["type"]
    return parsed


CHECKS = {"ga": check_ga, "flat": check_flat}
