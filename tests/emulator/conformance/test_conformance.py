"""Every method of the real SDK, sync and aio, against the emulator; and the table in docs/emulator.md is what was seen."""

import inspect

import azure.communication.callautomation as sdk
import azure.communication.callautomation.aio as aio_sdk
import pytest

from tests.emulator.conformance.clients import FORMS
from tests.emulator.conformance.operations import FIDELITIES, Seen, Then
from tests.emulator.conformance.rows import OPERATIONS
from tests.emulator.conformance.run import run
from tests.emulator.conformance.table import BEGIN, END, committed, render, write

NO_REQUEST = {"close", "from_connection_string", "get_call_connection"}


@pytest.mark.parametrize("form", FORMS)
async def test_every_operation(form, subtests):
    seen, faults = await run(form)
    assert faults == []
    for key, operation in OPERATIONS.items():
        with subtests.test(key):
            assert key in seen, "no scene drives it"
            assert operation.differences(seen[key]) == []
    with subtests.test("docs/emulator.md"):
        assert render(seen) == committed(), "python -m tests.emulator.conformance.table --write"


@pytest.mark.parametrize("module", [sdk, aio_sdk], ids=FORMS)
def test_no_method_of_the_clients_is_forgotten(module):
    methods = {
        name
        for client in (module.CallAutomationClient, module.CallConnectionClient)
        for name, member in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_")
    }
    assert methods - NO_REQUEST == {
        operation.method
        for operation in OPERATIONS.values()
        if hasattr(module.CallAutomationClient, operation.method)
        or hasattr(module.CallConnectionClient, operation.method)
    }


def test_the_operations_are_told_apart_and_tagged():
    assert all(operation.fidelity in FIDELITIES for operation in OPERATIONS.values())
    assert all(operation.basis for operation in OPERATIONS.values() if operation.fidelity != "documented")


def test_whatever_differs_from_a_row_is_named():
    operation = OPERATIONS["transfer_call_to_participant"]
    told = Then("CallTransferAccepted", 200, 1), *operation.callbacks[1:]
    keys = ("interruptCallMediaOperation", *operation.keys)
    seen = Seen(201, operation.request, False, keys, operation.result, frozenset(), "", told)
    found = [difference.partition(":")[0] for difference in operation.differences(seen)]
    assert found == ["status", "repeatability", "callbacks", "fields that are not set"]


@pytest.mark.parametrize(
    ("verb", "path", "same"),
    [
        ("POST", "/calling/callConnections/c-1:play", True),
        ("GET", "/calling/callConnections/c-1:play", False),
        ("POST", "/calling/callConnections/c-1/x:play", False),
        ("POST", "/calling/callConnections/:play", False),
    ],
)
def test_a_request_is_held_against_its_template(verb, path, same):
    assert OPERATIONS["play_media: text"].matches(verb, path) is same


def test_the_table_goes_between_its_markers(tmp_path):
    document = tmp_path / "emulator.md"
    document.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n")
    write("| new |\n", document)
    assert committed(document) == "| new |\n"
    text = document.read_text()
    assert text.startswith("before\n\n") and text.endswith("\n\nafter\n") and "old" not in text


def test_without_markers_nothing_is_written(tmp_path):
    document = tmp_path / "emulator.md"
    document.write_text("nothing")
    with pytest.raises(ValueError, match="conformance"):
        write("| new |\n", document)
    assert document.read_text() == "nothing"
