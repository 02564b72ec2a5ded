import pytest

from tests.shared.store.contract import Backend


@pytest.fixture(params=["sqlite", pytest.param("tables", marks=pytest.mark.azurite)])
async def backend(request, tmp_path):
    if request.param == "sqlite":
        backend = Backend("sqlite", f"sqlite:{tmp_path / 'folder' / 'store.db'}")
    else:
        backend = Backend("tables", request.getfixturevalue("azurite"))
    async with backend.opened:
        yield backend


@pytest.fixture
def store(backend):
    return backend.open()
