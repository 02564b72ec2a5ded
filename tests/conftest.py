"""Fixtures of the whole suite, and what every test must leave behind: no logging handler, no level of the root logger."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.support import rsa_keys
from tests.support.azurite import azurite

__all__ = ["azurite"]

# In CI the same examples for the same tree, so that what passes here lands there; everywhere else new ones are looked for.
settings.register_profile("repeatable", derandomize=True)
if os.environ.get("PATCHCORD_HYPOTHESIS") == "repeatable":
    settings.load_profile("repeatable")

LONGEST_FIRST = (
    "test_faults",
    "test_demo_call",
    "test_emulated_models",
    "test_never_silent",
    "test_call_transfers",
    "test_exactly_one_answer",
    "test_ivr",
    "test_schemathesis",
    "test_builtin_ivr",
    "test_twenty_calls",
    "test_handover",
    "test_seventy_minutes",
    "test_conformance",
)
"""Modules that would keep one worker busy when all others are done, if they came last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest modules first; otherwise as collected."""
    rank = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session", autouse=True)
def signers_of_the_emulator_get_keys_that_are_made_already() -> Iterator[None]:
    """Real keys, and neighbours differ; see `rsa_keys`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emulator.acs.signing.new_key", rsa_keys.next_key)
        yield


@pytest.fixture(autouse=True)
def root_logger_is_left_as_found() -> Iterator[None]:
    """A test that sets up logging (as both processes do) must not change what the next test sees."""
    root = logging.getLogger()
    handlers, filters, level = list(root.handlers), {h: list(h.filters) for h in root.handlers}, root.level
    yield
    root.handlers[:] = handlers
    for handler, before in filters.items():
        handler.filters[:] = before
    root.setLevel(level)
