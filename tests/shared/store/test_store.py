"""open_store: which address opens what."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from shared.store import open_store
from tests.support.azurite import connection_string

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("sqlite:x/store.db", "SqliteStore"),
        ("UseDevelopmentStorage=true", "TablesStore"),
        (connection_string("http://127.0.0.1:1"), "TablesStore"),
        ("https://account.table.core.windows.net", "TablesStore"),
        ("https://account.table.core.windows.net/", "TablesStore"),
    ],
)
async def test_addresses(address, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store(address, "11111111-2222-3333-4444-555555555555")
    assert type(store).__name__ == name
    await store.close()
    await store.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "address", ["", "sqlite:", "sqlite", "http://account.example", "AccountName=a;SecretWord", "redis://x"]
)
def test_wrong_addresses_are_named_and_not_shown(address):
    with pytest.raises(ConfigurationError) as caught:
        open_store(address)
    assert caught.value.setting == "PATCHCORD_STORE"
    assert "SecretWord" not in str(caught.value)


@pytest.mark.parametrize("address", ["sqlite:x", "UseDevelopmentStorage=true"])
def test_azure_is_imported_only_when_it_is_used(address):
    program = f"import sys; from shared.store import open_store; open_store({address!r}); print('azure' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(not address.startswith("sqlite"))
