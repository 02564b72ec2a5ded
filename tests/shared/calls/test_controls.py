import pytest

from shared.calls.controls import CallControls
from shared.config.tenants import AcsResource, TenantConfig
from shared.errors import ConfigurationError
from shared.security.secrets import Secrets
from shared.settings import AcsAccess
from tests.support.acs_rest import ACCESS_KEY, AcsRest

OTHER_KEY = "YW5vdGhlci1rZXktb2YtdGhlLXRlc3Q="


@pytest.fixture
async def controls():
    """The settings' resource, one of acme's with a key, one of initech's with our identity; globex has none."""
    async with AcsRest() as ours, AcsRest() as acmes:
        keys = {"ACME_KEY": ACCESS_KEY}
        secrets = Secrets(environment=keys)
        tenants = {
            "acme": TenantConfig(
                acs=AcsResource(endpoint=acmes.access.endpoint, resource_id="r", key="env:ACME_KEY")
            ),
            "initech": TenantConfig(acs=AcsResource(endpoint="https://acs.example", resource_id="r")),
            "globex": TenantConfig(),
        }
        made = CallControls.from_config(
            AcsAccess(ours.access.endpoint, ACCESS_KEY), "identity", tenants, secrets
        )
        yield made, ours, acmes, keys
        await made.close()
        await made.close()
        await secrets.close()


async def test_each_call_goes_to_its_tenants_resource(controls):
    made, ours, acmes, _ = controls
    for tenant in ("acme", "globex", "default", "globex"):
        await made.of(tenant).hang_up(f"cc-{tenant}")
    assert [asked.path.split("/")[3] for asked in ours.requests] == [
        f"cc-{name}:terminate" for name in ("globex", "default", "globex")
    ]
    assert [asked.path.split("/")[3] for asked in acmes.requests] == ["cc-acme:terminate"]
    assert made.of("globex") is made.of("default") is made.shared
    assert made.of("initech") is made.own["initech"] is not made.shared


async def test_a_key_that_is_changed_is_taken(controls):
    made, _, acmes, keys = controls
    signatures = []
    for key in (ACCESS_KEY, ACCESS_KEY, OTHER_KEY):
        keys["ACME_KEY"] = key
        control = made.of("acme")
        await control.hang_up("cc-1")
        signatures.append(control._key.key)
    assert signatures == [ACCESS_KEY, ACCESS_KEY, OTHER_KEY]
    assert len(acmes.requests) == 3


async def test_a_key_that_is_not_there_is_named_and_not_shown(controls):
    made, _, acmes, keys = controls
    del keys["ACME_KEY"]
    with pytest.raises(ConfigurationError, match="env:ACME_KEY"):
        await made.of("acme").hang_up("cc-1")
    assert acmes.requests == []
