"""Subscriptions as Azure tells of them. The answer is made up by the documentation (rest/api/eventgrid, 2025-02-15)."""

from dataclasses import replace

import pytest

from cli.doctor.finding import State
from cli.doctor.subscriptions import from_arm, judged
from shared.config.document import parse_config

RESOURCE = {
    "id": "/subscriptions/s/resourceGroups/g/providers/Microsoft.EventGrid/systemTopics/t/eventSubscriptions/incoming-call",
    "name": "incoming-call",
    "type": "Microsoft.EventGrid/systemTopics/eventSubscriptions",
    "properties": {
        "provisioningState": "Succeeded",
        "destination": {
            "endpointType": "AzureFunction",
            "properties": {"resourceId": "/x/functions/incoming_call"},
        },
        "filter": {
            "includedEventTypes": ["Microsoft.Communication.IncomingCall"],
            "advancedFilters": [
                {"operatorType": "StringIn", "key": "data.to.rawId", "values": ["4:+18005550000"]}
            ],
        },
        "eventDeliverySchema": "EventGridSchema",
        "retryPolicy": {"maxDeliveryAttempts": 3, "eventTimeToLiveInMinutes": 1},
    },
}
CONFIG = """
agents: {a: {kind: embedded, dialogue: d.yaml}}
routes: [{name: r, to: ["+18005550000"], agent: a}]
"""


@pytest.fixture
def exam(make_exam):
    exam = make_exam({"azd": {"PATCHCORD_PHONE_NUMBERS": "+18005550000"}})
    exam.config = parse_config(CONFIG.encode())
    return exam


def states(findings):
    return {one.check: (one.state, one.found) for one in findings}


def test_a_good_one(exam):
    found = judged(exam, [from_arm(RESOURCE)], "mend")
    assert states(found) == {"subscription": (State.OK, "incoming-call; 1 of our numbers pass")}


def test_none(exam):
    other = replace(from_arm(RESOURCE), types=["Microsoft.Communication.CallEnded"])
    found = judged(exam, [other], "azd hooks run postdeploy")
    assert found[0].state is State.BROKEN
    assert found[0].mend == "azd hooks run postdeploy"


def test_all_events_are_incoming_calls_too(exam):
    assert judged(exam, [replace(from_arm(RESOURCE), types=())], "mend")[0].state is State.OK


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"state": "Failed"}, "subscription"),
        ({"attempts": 30}, "retries"),
        ({"minutes": 1440.0}, "retries"),
        ({"filters": [("stringin", "data.to.rawId", ["4:+1425"])]}, "filters"),
        ({"filters": [("stringbeginswith", "data.to.rawId", ["8:acs:"])]}, "filters"),
    ],
)
def test_what_can_be_wrong_with_one(exam, change, check):
    found = judged(exam, [replace(from_arm(RESOURCE), **change)], "mend")
    assert [(one.check, one.state) for one in found] == [(check, State.BROKEN)]


def test_the_cure_of_a_filter_names_all_numbers(exam):
    exam.subject.azd["PATCHCORD_PHONE_NUMBERS"] = "+18005550000, +18005550001"
    (found,) = judged(exam, [from_arm(RESOURCE)], "azd hooks run postdeploy")
    assert found.found == "no filter lets through calls to +18005550001"
    assert found.mend == (
        'azd env set PATCHCORD_PHONE_NUMBERS "+18005550000,+18005550001" && azd hooks run postdeploy'
    )


@pytest.mark.parametrize(
    "clever", [("stringnotin", "data.to.rawId", ["4:+1"]), ("stringcontains", "data.from.rawId", ["1"])]
)
def test_a_filter_that_cannot_be_told_shuts_nobody_out(exam, clever):
    assert judged(exam, [replace(from_arm(RESOURCE), filters=[clever])], "mend")[0].state is State.OK


def test_what_is_left_out_is_event_grids_default():
    bare = from_arm({"name": "x", "properties": {}})
    assert (bare.types, bare.filters, bare.attempts, bare.minutes) == ((), [], 30, 1440.0)
