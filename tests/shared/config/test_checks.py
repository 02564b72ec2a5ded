import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config.checks import SECRET
from shared.errors import ConfigurationError
from shared.security.key_sources import FileKeySource, KeyVaultKeySource, open_key_source

OPENED = {
    "file:key.json": FileKeySource,
    "file:/run/secrets/crm": FileKeySource,
    "https://kv.vault.azure.net/secrets/crm": KeyVaultKeySource,
    "https://127.0.0.1:8443/secrets/crm-key-2": KeyVaultKeySource,
}
NEITHER = [
    "http://127.0.0.1/secrets/x",
    "http://localhost:8080/secrets/x",
    "http://kv.vault.azure.net/secrets/x",
    "https://kv.vault.azure.net/keys/x",
    "https://kv.vault.azure.net/secrets/",
    "https:///secrets/x",
    "https://kv?a/secrets/x",
    "https://kv#a/secrets/x",
    "file:",
    "s3cret",
]


@pytest.mark.parametrize(("reference", "kind"), OPENED.items())
def test_references_that_can_be_opened(reference, kind):
    assert SECRET.fullmatch(reference)
    assert isinstance(open_key_source(reference), kind)


@pytest.mark.parametrize("reference", NEITHER)
def test_references_that_nobody_could_open_are_refused_at_the_start(reference):
    assert not SECRET.fullmatch(reference)
    with pytest.raises(ConfigurationError):
        open_key_source(reference)


@given(st.from_regex(SECRET, fullmatch=True).filter(lambda reference: not reference.startswith("env:")))
def test_whatever_is_let_in_can_be_opened(reference):
    open_key_source(reference)


def test_a_variable_needs_no_source():
    assert SECRET.fullmatch("env:CRM_KEY") and not SECRET.fullmatch("env:2")
