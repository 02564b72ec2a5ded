import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from cli.doctor.examination import Examination
from cli.doctor.settings import read_all
from cli.doctor.subject import Subject
from shared.security.secrets import Secrets

ENV = {
    "PATCHCORD_STORE": "sqlite:x.db",
    "PATCHCORD_SIGNING_KEYS": "file:signing.json",
    "PATCHCORD_VERIFICATION_KEYS": "file:verification.json",
    "CALLBACK_EVENTS_URI": "https://func.example",
    "CALLBACK_URI_HOST": "wss://media.example",
    "AZURE_ACS_CONN_KEY": "endpoint=https://acs.example;accesskey=c2VjcmV0c2VjcmV0",
    "ACS_RESOURCE_ID": "the-id",
}


@pytest.fixture
async def make_exam() -> AsyncIterator[Callable[..., Examination]]:
    """Makes an examination of settings like `ENV`, with other ones by keyword; `subject` are the subject's fields."""
    async with aiohttp.ClientSession() as http:

        def make(subject: dict | None = None, **env: str) -> Examination:
            values = ENV | env
            given = Subject("us", values, set_with="export {name}={value}", **(subject or {}))
            exam = Examination(given, http, time.time, values, Secrets("", time.time, values))
            exam.known_settings, wrong = read_all(values)
            exam.wrong = dict.fromkeys(wrong, "is wrong")
            return exam

        yield make
