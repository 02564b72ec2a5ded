"""Who is examined, and where its settings come from: the stack of `patchcord up`, a file, the environment, or a deployment."""

import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import ConfigurationError, PatchcordError

RUN_FILE = Path(".patchcord/run.json")
LOCAL_SETTINGS = Path("local.settings.json")
AZD_FOLDER = Path(".azure")
START_AGAIN = "stop `patchcord up` with Ctrl-C and start it again: it makes its settings by itself"


@dataclass(frozen=True, slots=True)
class Subject:
    """Who is examined.

    Attributes:
        name: for the head of the report.
        env: its settings by name; what `env:` references name, too.
        set_with: how one sets a setting, with `{name}` in it.
        keys_with: how one makes the signing keys.
        emulator: address of the emulator that it uses; "" without one.
        control_key: of that emulator.
        credentials: API credentials, header by header, if they are at hand.
        azd: what azd knows of the deployment; empty for everything else.
        is_closed: `env` holds all that there is: a misspelt name can be told, and a secret that is missing is missing.
        is_partial: only an address is known, no settings.
    """

    name: str
    env: Mapping[str, str] = field(repr=False)
    set_with: str
    keys_with: str = ""
    emulator: str = ""
    control_key: str = field(default="", repr=False)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)
    azd: Mapping[str, str] = field(default_factory=dict)
    is_closed: bool = False
    is_partial: bool = False

    def mend(self, name: str, value: str = "VALUE") -> str:
        """How the setting `name` is given a value."""
        return self.set_with.format(name=name, value=value)


def from_run_file(path: Path) -> Subject:
    """The stack of `patchcord up`.

    Raises:
        PatchcordError: the file is of an older version, or damaged.
    """
    try:
        run = json.loads(path.read_text())
        return Subject(
            name=f"what `patchcord up` runs here ({path})",
            env=run["settings"],
            set_with=START_AGAIN,
            emulator=run["emulator"],
            control_key=run["control_key"],
            credentials=run["credentials"],
            is_closed=True,
        )
    except (ValueError, KeyError, TypeError):
        raise PatchcordError(f"{path} is damaged or of an older version; {START_AGAIN}") from None


def from_local_settings(path: Path) -> Subject:
    """`local.settings.json`: its `Values`.

    Raises:
        ConfigurationError: it cannot be read.
    """
    try:
        values = json.loads(path.read_text())["Values"]
        env = {name: str(value) for name, value in values.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(str(path), "a readable local.settings.json with Values") from None
    return Subject(
        str(path), env, set_with=f'in {path}, under Values: "{{name}}": "{{value}}"', is_closed=True
    )


def from_env_file(path: Path) -> Subject:
    """A file of `NAME=value` lines.

    Raises:
        ConfigurationError: it cannot be read.
    """
    return Subject(str(path), read_env_file(path), set_with=f"in {path}: {{name}}={{value}}", is_closed=True)


def from_environment(env: Mapping[str, str] = os.environ) -> Subject:
    """The environment that the doctor was started in."""
    return Subject("the settings in this environment", env, set_with="export {name}={value}")


def from_address(url: str, base: Subject | None = None) -> Subject:
    """A function app by its public address, from outside; with the settings of `base`, if there are any."""
    url = url.rstrip("/")
    if base is None:
        return Subject(
            url, {"CALLBACK_EVENTS_URI": url}, set_with="set {name} on the function app", is_partial=True
        )
    return Subject(
        f"{url}, with the settings of {base.name}",
        {**base.env, "CALLBACK_EVENTS_URI": url},
        set_with=base.set_with,
        is_closed=base.is_closed,
    )


def from_azd(name: str, folder: Path = AZD_FOLDER) -> Subject:
    """An environment of azd, "" for its default one.

    Raises:
        ConfigurationError: there is none, or nothing was provisioned yet.
    """
    if not name:
        try:
            name = str(json.loads((folder / "config.json").read_text())["defaultEnvironment"])
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigurationError(
                "--deployment", "the name of an azd environment: there is no default one here"
            ) from None
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ConfigurationError("--deployment", "the name of an azd environment, or an address")
    azd = read_env_file(folder / name / ".env")
    group, app = azd.get("AZURE_RESOURCE_GROUP", ""), azd.get("FUNCTION_APP_NAME", "")
    if not (group and app):
        raise ConfigurationError(
            f"azd environment {name}", "AZURE_RESOURCE_GROUP and FUNCTION_APP_NAME (run `azd provision`)"
        )
    return Subject(
        f"the deployment of azd environment {name}",
        {"PATCHCORD_ENVIRONMENT": name, **azd},
        set_with=f"az functionapp config appsettings set -g {group} -n {app} --settings {{name}}={{value}}"
        " (and the same on the media host: azd provision && azd deploy)",
        keys_with="azd hooks run postprovision",
        azd=azd,
    )


def read_env_file(path: Path) -> dict[str, str]:
    """The variables of a file of `NAME=value` lines: comments, quotes and a leading `export` as a shell has them.

    Raises:
        ConfigurationError: it cannot be read; names the line that is wrong, not what is in it.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), f"a readable file ({type(error).__name__})") from None
    found = {}
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("export ").strip()
        if not text or text.startswith("#"):
            continue
        name, mark, value = text.partition("=")
        try:
            words = shlex.split(value, comments=True)
        except ValueError:
            words = []
            mark = ""
        if not mark or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.strip()):
            raise ConfigurationError(f"{path}, line {number}", "NAME=value")
        found[name.strip()] = " ".join(words)
    return found


def secrets_of(env: Mapping[str, str]) -> set[str]:
    """Values that must not be shown: those of variables that are named like secrets, and the parts of connection strings."""
    found = set()
    for name, value in env.items():
        if re.search(r"(?i)key$|keys$|token|secret|password|connection|conn_key|store$", name):
            if not re.match(r"(file|sqlite|env):|https?://", value):
                found.add(value)
            found.update(re.findall(r"(?i)(?:accesskey|accountkey|sharedaccess\w+)=([^;]+)", value))
    return found
