"""What an app is told, and how it is to be started."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from cli.app_environment import AppEnvironment

SECRET = "a2V5LW9mLXRoZS10ZXN0cw=="
PLAIN = AppEnvironment(
    f"endpoint=http://127.0.0.1:1;accesskey={SECRET}",
    "http://127.0.0.1:1",
    "guid",
    "iss",
    "http://127.0.0.1:1/calling/keys",
)
TLS = replace(PLAIN, ca_file=Path("f/ca.pem"), bundle_file=Path("f/ca-bundle.pem"))


def read(text: str) -> dict[str, str]:
    pairs = [shlex.split(line)[0].partition("=") for line in text.splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in pairs}


@pytest.mark.parametrize("environment", [PLAIN, TLS], ids=["http", "https"])
def test_a_shell_reads_the_file(environment: AppEnvironment) -> None:
    assert read(environment.file()) == environment.variables()


def test_the_certificate_is_named_as_runtimes_look_for_it() -> None:
    variables = TLS.variables()
    assert (
        variables["SSL_CERT_FILE"]
        == variables["REQUESTS_CA_BUNDLE"]
        == str(Path("f/ca-bundle.pem").resolve())
    )
    assert variables["NODE_EXTRA_CA_CERTS"] == str(Path("f/ca.pem").resolve())
    assert not {"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"} & PLAIN.variables().keys()


@pytest.mark.parametrize("environment", [PLAIN, TLS], ids=["http", "https"])
def test_instructions_for_four_languages_without_secrets(environment: AppEnvironment) -> None:
    text = environment.instructions(Path("a folder/app.env"))
    for language in ("Python", "JavaScript", ".NET", "Java"):
        assert f"\n  {language} " in text
    assert "'a folder/app.env'" in text
    assert SECRET not in text
    assert ("keytool" in text) is (environment is TLS)
