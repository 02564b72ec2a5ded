"""`patchcord doctor`: whom it examines, the order of the links, and the exit code."""

import argparse
import logging
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

import aiohttp

from cli.doctor import (
    acs,
    clock,
    configuration,
    events,
    function_app,
    identity,
    keys,
    media_host,
    model,
    numbers,
    regions,
    settings,
    store,
    twilio,
    versions,
)
from cli.doctor.arm import Arm
from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken
from cli.doctor.report import Scrubber, as_json, as_text, is_well
from cli.doctor.subject import (
    LOCAL_SETTINGS,
    RUN_FILE,
    Subject,
    from_address,
    from_azd,
    from_env_file,
    from_environment,
    from_local_settings,
    from_run_file,
    secrets_of,
)
from shared.security.secrets import Secrets

type Check = Callable[[Examination], AsyncIterator[Finding]]

LINKS: Mapping[str, Check] = {
    "settings": settings.check,
    "patchcord.yaml": configuration.check,
    "identity": identity.check,
    "keys": keys.check,
    "store": store.check,
    "ACS": acs.check,
    "function app": function_app.check,
    "events": events.check,
    "media host": media_host.check,
    "agents": model.check,
    "numbers": numbers.check,
    "regions": regions.check,
    "Twilio": twilio.check,
    "clock": clock.check,
    "versions": versions.check,
}
"""In the order of a call; each may need what those before have found."""


def subject_of(arguments: argparse.Namespace) -> Subject:
    """Whom the arguments mean.

    Raises:
        PatchcordError: a file is missing or wrong.
    """
    base = None
    if arguments.env is not None:
        base = from_env_file(arguments.env)
    elif arguments.settings is not None:
        base = from_local_settings(arguments.settings)
    if arguments.deployment is not None:
        if "://" in arguments.deployment:
            return from_address(arguments.deployment, base)
        return from_azd(arguments.deployment)
    if base is not None:
        return base
    if RUN_FILE.exists():
        return from_run_file(RUN_FILE)
    return from_local_settings(LOCAL_SETTINGS) if LOCAL_SETTINGS.exists() else from_environment()


async def doctor(arguments: argparse.Namespace, out: TextIO = sys.stdout) -> int:
    """Examine and report; 0 when nothing is broken."""
    subject = subject_of(arguments)
    with _quiet():
        found, scrub = await examine(subject)
    now = time.time()
    out.write(
        as_json(subject.name, found, scrub, now) if arguments.json else as_text(subject.name, found, scrub)
    )
    out.write("\n")
    return 0 if is_well(found) else 1


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the logs of those who are asked: what they would warn of is in the findings."""
    loggers = [logging.getLogger(name) for name in ("shared", "media_host", "azure", "aiohttp")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


async def examine(
    subject: Subject, *, now: Callable[[], float] = time.time, links: Mapping[str, Check] = LINKS
) -> tuple[dict[str, list[Finding]], Scrubber]:
    """Look at all links in their order.

    Args:
        subject: who.
        now: Unix seconds.
        links: which, in this order.

    Returns:
        The findings by link, and what takes secrets out of them.
    """
    env = dict(subject.env)
    secrets = Secrets(env.get("AZURE_CLIENT_ID", ""), now, env)
    async with aiohttp.ClientSession() as http:
        exam = Examination(subject, http, now, env, secrets)
        if subject.azd.get("AZURE_SUBSCRIPTION_ID"):
            exam.arm = Arm(
                http,
                identity.open_credential(exam),
                subject.azd["AZURE_SUBSCRIPTION_ID"],
                subject.azd["AZURE_RESOURCE_GROUP"],
            )
        try:
            found = {name: await _look(name, check, exam) for name, check in links.items()}
        finally:
            await secrets.close()
            if exam.store is not None:
                await exam.store.close()
            if exam.credential is not None:
                await exam.credential.close()
    known = {subject.control_key, *subject.credentials.values(), *exam.secret_values, *secrets_of(env)}
    return found, Scrubber(known)


async def _look(name: str, check: Check, exam: Examination) -> list[Finding]:
    found = []
    try:
        async for one in check(exam):
            found.append(one)
    except Exception as error:  # a mistake of this link must not hide what the others have to say
        text = f"the examination itself failed here ({type(error).__name__})"
        found.append(broken(name, text, "report it, with the output of `patchcord doctor --json`"))
    return found
