"""Link "settings": every wrong one, not only the first; and those of a deployment as they really are."""

import difflib
from collections.abc import AsyncIterator, Mapping
from urllib.parse import urlsplit

from cli.doctor.arm import ArmRefused
from cli.doctor.examination import Examination
from cli.doctor.finding import Finding, broken, ok, unknown
from shared.errors import ConfigurationError
from shared.settings import (
    FunctionAppSettings,
    function_app_settings,
    is_loopback,
    known_variables,
    media_host_settings,
)

STAND_INS: Mapping[str, str] = {
    "PATCHCORD_STORE": "sqlite:unknown",
    "PATCHCORD_SIGNING_KEYS": "file:unknown",
    "PATCHCORD_VERIFICATION_KEYS": "file:unknown",
    "CALLBACK_EVENTS_URI": "https://unknown.invalid",
    "CALLBACK_URI_HOST": "wss://unknown.invalid",
    "AZURE_ACS_CONN_KEY": "endpoint=https://unknown.invalid;accesskey=dW5rbm93bg==",
    "ACS_ENDPOINT": "https://unknown.invalid",
    "ACS_RESOURCE_ID": "unknown",
}
"""In place of a wrong value, so that the next wrong one is found; others fall back to their default."""

ACS = ("AZURE_ACS_CONN_KEY", "ACS_ENDPOINT")
SITES, CONTAINERS = "2025-03-01", "2025-07-01"
SAME = (
    "PATCHCORD_STORE",
    "PATCHCORD_VERIFICATION_KEYS",
    "PATCHCORD_ENVIRONMENT",
    "ACS_ENDPOINT",
    "ACS_RESOURCE_ID",
    "CALLBACK_URI_HOST",
    "PATCHCORD_EVENTS_TOPIC",
)
"""What both processes must read alike."""


def read_all(env: Mapping[str, str]) -> tuple[FunctionAppSettings, dict[str, ConfigurationError]]:
    """The settings with stand-ins for the wrong ones, and all mistakes of both processes by setting."""
    values, wrong = dict(env), dict[str, ConfigurationError]()
    while True:
        try:
            settings = function_app_settings(values)
            media_host_settings(values)
        except ConfigurationError as error:
            if (
                error.setting in wrong
            ):  # a stand-in is no good: a mistake of ours, which must not go round for ever
                raise
            wrong[error.setting] = error
            values.pop(error.setting, None)
            if error.setting in STAND_INS:
                values[error.setting] = STAND_INS[error.setting]
        else:
            return settings, wrong


async def check(exam: Examination) -> AsyncIterator[Finding]:
    """Read them as both processes would."""
    subject, env = exam.subject, exam.env
    if exam.arm is not None:
        found = await _deployed(exam, env)
        for one in found:
            yield one
    settings, wrong = read_all(env)
    exam.known_settings = settings
    if subject.is_partial:
        exam.wrong = {name: "is not known here" for name in wrong} | {
            name: "is not known here" for name in known_variables()[0] if name not in env
        }
        exam.wrong.pop("CALLBACK_EVENTS_URI", None)
        yield unknown("all", "only an address was given", "patchcord doctor --deployment URL --env FILE")
        return
    exam.wrong = {name: "is wrong or missing, see settings" for name in wrong}
    if acs := next((exam.wrong[name] for name in ACS if name in exam.wrong), ""):
        exam.wrong |= dict.fromkeys(ACS, acs)
    for name, error in wrong.items():
        yield broken(name, str(error).removeprefix(f"{name}: "), subject.mend(name))
    known = set.union(*known_variables())
    for name, meant in _misspelt(env, known) if subject.is_closed else ():
        yield broken(name, f"nobody reads it; {meant} is meant?", subject.mend(meant))
    if not settings.acs_jwt.required:
        yield broken(
            "ACS_JWT",
            "off: whoever guesses an address may send callbacks and audio in ACS's name",
            subject.mend("ACS_JWT", "require"),
        )
    if (
        exam.is_public
        and is_loopback(urlsplit(settings.acs.endpoint).hostname or "")
        and "AZURE_ACS_CONN_KEY" not in exam.wrong
    ):
        yield broken(
            "AZURE_ACS_CONN_KEY",
            "an emulator's on loopback, but CALLBACK_EVENTS_URI is a public address",
            subject.mend("AZURE_ACS_CONN_KEY"),
        )
    if not wrong:
        yield ok("all", f"{len(known & env.keys())} are set, the others have their defaults")


def _misspelt(env: Mapping[str, str], known: set[str]) -> list[tuple[str, str]]:
    """Variables that nobody reads, whose name is nearly that of one that is not set."""
    found = []
    for name in env.keys() - known:
        near = difflib.get_close_matches(name, known - env.keys(), 1, 0.88)
        found += [(name, meant) for meant in near]
    return sorted(found)


async def _deployed(exam: Examination, env: dict[str, str]) -> list[Finding]:
    """Put the function app's own settings into `env`, and compare the media host's with them."""
    assert exam.arm is not None  # noqa: S101  # asked by the caller
    azd, arm = exam.subject.azd, exam.arm
    site = arm.id("Microsoft.Web/sites", azd["FUNCTION_APP_NAME"])
    try:
        answer = await arm.post(f"{site}/config/appsettings/list", SITES)
    except ArmRefused as error:
        exam.is_unread = True
        return [
            unknown(
                "of the function app",
                f"{error}; azd's environment is taken instead",
                "az login, role Website Contributor",
            )
        ]
    for name, value in (answer.get("properties") or {}).items():
        if str(value).startswith("@Microsoft.KeyVault("):  # resolved only for the processes themselves
            exam.hidden.add(name)
        else:
            env[name] = str(value)
    return [ok("of the function app", "read from Azure"), *await _media_host(exam, env)]


async def _media_host(exam: Examination, env: dict[str, str]) -> list[Finding]:
    assert exam.arm is not None  # noqa: S101  # asked by the caller
    name = exam.subject.azd.get("MEDIA_APP_NAME", "")
    exam.is_unread = True
    if not name:
        return [unknown("of the media host", "azd knows no MEDIA_APP_NAME", "azd provision")]
    try:
        app = await exam.arm.get(exam.arm.id("Microsoft.App/containerApps", name), CONTAINERS)
        containers = app["properties"]["template"]["containers"]
        theirs = {one["name"]: one.get("value") for one in containers[0].get("env") or []}
        exam.is_unread = False
    except ArmRefused as error:
        return [unknown("of the media host", str(error), "az login, role Reader on the resource group")]
    except (KeyError, IndexError, TypeError):
        return [unknown("of the media host", "it has no container yet", "azd deploy media")]
    exam.hidden |= {name for name, value in theirs.items() if value is None and not env.get(name)}
    for name, value in theirs.items():
        if value is not None:
            env.setdefault(name, str(value))
    found = [
        broken(
            f"{each} of the media host",
            "is another one than the function app's",
            "azd provision && azd deploy media",
        )
        for each in SAME
        if theirs.get(each) is not None and theirs[each] != env.get(each, "")
    ]
    return found or [ok("of the media host", "agree with the function app's")]
