"""Misconfigurations of a stack that runs, each with what the doctor must say about it."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from cli.doctor.subject import Subject
from cli.processes import free_port

NOWHERE = f"127.0.0.1:{free_port()}"
"""Nobody listens there."""


@dataclass(frozen=True)
class Seed:
    """One misconfiguration.

    Attributes:
        name: what is wrong.
        broken: exactly these links and checks are broken by it.
        found: words of the finding that is meant, the first one of `broken`.
        mend: words of its cure.
        env: variables to set; "" takes one away.
        ahead_s: how far the doctor's clock is ahead.
        change: makes another configuration of the shipped one.
        prepare: makes what `env` names; gets an empty folder.
    """

    name: str
    broken: tuple[str, ...]
    found: str
    mend: str
    env: Mapping[str, str] = field(default_factory=dict)
    ahead_s: float = 0
    change: Callable[[dict], None] | None = None
    prepare: Callable[[Path, Subject], Mapping[str, str]] | None = None

    def subject(self, base: Subject, folder: Path) -> Subject:
        """`base` with this mistake."""
        env = {**base.env, **self.env}
        if self.change is not None:
            path = Path(env["PATCHCORD_CONFIG"])
            config = yaml.safe_load(path.read_text())
            self.change(config)
            env["PATCHCORD_CONFIG"] = str(folder / "patchcord.yaml")
            (folder / "patchcord.yaml").write_text(yaml.safe_dump(config))
        if self.prepare is not None:
            env |= self.prepare(folder, base)
        set_with = "in .env: {name}={value}"
        return replace(base, set_with=set_with, env={name: value for name, value in env.items() if value})


def _other_store(folder: Path, _: Subject) -> Mapping[str, str]:
    (folder / "other.db").touch()
    return {"PATCHCORD_STORE": f"sqlite:{folder / 'other.db'}"}


def _other_keys(folder: Path, _: Subject) -> Mapping[str, str]:
    from shared.security.keyring import new_document, public_part, serialise

    path = folder / "other.json"
    path.write_text(serialise(public_part(new_document(1_795_000_000))))
    return {"PATCHCORD_VERIFICATION_KEYS": f"file:{path}"}


def _public_is_private(_: Path, base: Subject) -> Mapping[str, str]:
    return {"PATCHCORD_VERIFICATION_KEYS": base.env["PATCHCORD_SIGNING_KEYS"]}


def _private_copy(folder: Path, base: Subject) -> Mapping[str, str]:
    path = folder / "verification.json"
    path.write_text(Path(base.env["PATCHCORD_SIGNING_KEYS"].removeprefix("file:")).read_text())
    return {"PATCHCORD_VERIFICATION_KEYS": f"file:{path}"}


def _readable_by_all(folder: Path, base: Subject) -> Mapping[str, str]:
    path = folder / "signing.json"
    path.write_text(Path(base.env["PATCHCORD_SIGNING_KEYS"].removeprefix("file:")).read_text())
    path.chmod(0o644)
    return {"PATCHCORD_SIGNING_KEYS": f"file:{path}"}


def _other_access_key(_: Path, base: Subject) -> Mapping[str, str]:
    endpoint = base.env["AZURE_ACS_CONN_KEY"].partition(";")[0]
    return {"AZURE_ACS_CONN_KEY": f"{endpoint};accesskey={'A' * 43}="}


def _swapped(_: Path, base: Subject) -> Mapping[str, str]:
    return {"CALLBACK_EVENTS_URI": base.env["CALLBACK_URI_HOST"].replace("ws", "http", 1)}


def _localhost(_: Path, base: Subject) -> Mapping[str, str]:
    return {"CALLBACK_EVENTS_URI": base.env["CALLBACK_EVENTS_URI"].replace("127.0.0.1", "localhost")}


def _media_is_functions(_: Path, base: Subject) -> Mapping[str, str]:
    return {"CALLBACK_URI_HOST": base.env["CALLBACK_EVENTS_URI"].replace("http", "ws", 1)}


def _other_number(config: dict) -> None:
    config["routes"][0]["to"] = ["+18005550111"]


def _wrong_agent(config: dict) -> None:
    config["routes"][0]["agent"] = "nobody"


def _no_model(config: dict) -> None:
    config["agents"]["reception"]["endpoint"] = f"ws://{NOWHERE}"


def _no_dialogue(config: dict) -> None:
    config["agents"]["reception-script"]["dialogue"] = "missing.yaml"


def _no_package(config: dict) -> None:
    config["tools"]["lookup_order"]["entry_point"] = "no_such_package:function"


OTHER_ID = str(uuid.UUID(int=7))

SEEDS = (
    Seed(
        "three settings at once",
        ("settings/ACS_RESOURCE_ID", "settings/CALLBACK_EVENTS_URI", "settings/INCOMING_CALL_MAX_AGE_S"),
        "immutable id",
        "in .env: ACS_RESOURCE_ID=VALUE",
        {"ACS_RESOURCE_ID": "", "CALLBACK_EVENTS_URI": "ftp://x.example", "INCOMING_CALL_MAX_AGE_S": "1"},
    ),
    Seed(
        "a misspelt setting",
        ("settings/INCOMMING_CALL_MAX_AGE_S",),
        "INCOMING_CALL_MAX_AGE_S is meant?",
        "in .env: INCOMING_CALL_MAX_AGE_S=",
        {"INCOMMING_CALL_MAX_AGE_S": "30"},
    ),
    Seed(
        "signatures switched off",
        ("settings/ACS_JWT",),
        "in ACS's name",
        "in .env: ACS_JWT=require",
        {"ACS_JWT": "off"},
    ),
    Seed(
        "no such file",
        ("patchcord.yaml/the file",),
        "a readable file",
        "in .env: PATCHCORD_CONFIG=",
        {"PATCHCORD_CONFIG": "/nowhere/patchcord.yaml"},
    ),
    Seed(
        "an agent that nobody declares",
        ("patchcord.yaml/the file",),
        "routes[0].agent",
        "correct it",
        change=_wrong_agent,
    ),
    Seed(
        "no dialogue",
        ("patchcord.yaml/dialogue of reception-script",),
        "missing.yaml",
        "correct",
        change=_no_dialogue,
    ),
    Seed(
        "a package that is missing",
        ("patchcord.yaml/tools",),
        "no_such_package",
        "install",
        change=_no_package,
    ),
    Seed(
        "a secret that is not set",
        ("patchcord.yaml/agents.reception.key", "agents/reception"),
        "EMULATED_MODEL_KEY is not set",
        "in .env: EMULATED_MODEL_KEY=",
        {"EMULATED_MODEL_KEY": ""},
    ),
    Seed(
        "no signing keys",
        ("keys/PATCHCORD_SIGNING_KEYS",),
        "no key file",
        "cli.doctor.mend_keys ensure file:/nowhere/keys.json",
        {"PATCHCORD_SIGNING_KEYS": "file:/nowhere/keys.json"},
    ),
    Seed(
        "keys that do not belong together",
        ("keys/both agree",),
        "3 of 3 signing keys are not in the public copy",
        "cli.doctor.mend_keys ensure",
        prepare=_other_keys,
    ),
    Seed(
        "the public copy holds private keys",
        ("keys/the public copy",),
        "every media host could sign",
        "in .env: PATCHCORD_VERIFICATION_KEYS=(another place",
        prepare=_public_is_private,
    ),
    Seed(
        "everybody may read the private keys",
        ("keys/who may read the private keys",),
        "others than the owner",
        "chmod 600",
        prepare=_readable_by_all,
    ),
    Seed(
        "a store that is not there",
        ("store/entities",),
        "there is no /nowhere/store.db",
        "start both processes",
        {"PATCHCORD_STORE": "sqlite:/nowhere/store.db"},
    ),
    Seed(
        "a store that does not answer",
        ("store/entities",),
        "does not answer",
        "npx azurite",
        {
            "PATCHCORD_STORE": "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0c2VjcmV0;"
            f"TableEndpoint=http://{NOWHERE}/devstoreaccount1;"
        },
    ),
    Seed(
        "another store than theirs",
        ("events/handshake", "media host/heartbeat"),
        "another PATCHCORD_STORE",
        "set both alike",
        prepare=_other_store,
    ),
    Seed(
        "another environment than theirs",
        ("events/handshake",),
        "or PATCHCORD_ENVIRONMENT",
        "set both alike",
        {"PATCHCORD_ENVIRONMENT": "production"},
    ),
    Seed(
        "another access key",
        ("ACS/key",),
        "this resource has another key",
        "az communication list-key",
        prepare=_other_access_key,
    ),
    Seed(
        "ACS is not there",
        ("ACS/reached",),
        f"nothing listens at {NOWHERE}",
        "in .env: AZURE_ACS_CONN_KEY=",
        {"AZURE_ACS_CONN_KEY": f"endpoint=http://{NOWHERE};accesskey={'A' * 43}="},
    ),
    Seed(
        "another resource's id",
        ("ACS/resource id",),
        "its callbacks and audio would be refused",
        "in .env: ACS_RESOURCE_ID=",
        {"ACS_RESOURCE_ID": OTHER_ID},
    ),
    Seed(
        "ACS's public keys are elsewhere",
        ("ACS/its keys",),
        "every callback would be refused",
        "can be reached from here and from both processes: curl",
        {"ACS_JWKS_URL": f"http://{NOWHERE}/keys"},
    ),
    Seed(
        "the two addresses are swapped",
        ("function app/reached", "media host/reached"),
        "is not Patchcord's function app",
        "in .env: CALLBACK_EVENTS_URI=",
        prepare=lambda folder, base: {**_swapped(folder, base), **_media_is_functions(folder, base)},
    ),
    Seed(
        "an address that the function app does not use",
        ("function app/its own address", "Twilio/a signed request of default"),
        "it tells ACS to call http://127.0.0.1",
        "in .env: CALLBACK_EVENTS_URI=http://localhost",
        prepare=_localhost,
    ),
    Seed(
        "a media host that is not there",
        ("media host/reached",),
        f"nothing listens at {NOWHERE}",
        "python -m media_host",
        {"CALLBACK_URI_HOST": f"ws://{NOWHERE}"},
    ),
    Seed(
        "a number that nobody answers",
        ("numbers/routes",),
        "nobody answers +18005550000",
        "add it to a route of patchcord.yaml",
        change=_other_number,
    ),
    Seed(
        "the public copy is not public at all",
        ("keys/the public copy",),
        "every media host could sign",
        "cli.doctor.mend_keys replace",
        prepare=_private_copy,
    ),
    Seed(
        "no model",
        ("agents/reception",),
        "refused the connection",
        "agents.reception.endpoint",
        change=_no_model,
    ),
    Seed(
        "another key than the model's",
        ("agents/reception",),
        "(401)",
        "the key of the resource",
        {"EMULATED_MODEL_KEY": "a-key-of-somebody-else"},
    ),
    Seed(
        "another secret than Twilio's",
        ("media host/a signed stream of another call", "Twilio/a signed request of default"),
        "another Twilio secret",
        "and secret for both processes",
        {"TWILIO_AUTH_TOKEN": "0123456789abcdef0123456789abcdef"},
    ),
    Seed(
        "a clock that is 20 minutes ahead",
        ("ACS/key", "media host/heartbeat", "media host/a signed stream of another call", "clock/skew"),
        "clock is off by +1200 s",
        "timedatectl",
        ahead_s=1200,
    ),
)
