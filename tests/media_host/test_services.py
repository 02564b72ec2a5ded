from tests.support.session_world import Control, open_session, virtual


@virtual
async def test_a_tenant_with_an_acs_resource_of_its_own():
    async with open_session() as world:
        own = Control()
        world.services.own_controls["acme"] = own
        assert world.services.of("acme").control is own
        assert world.services.of("acme").calls is world.services.calls
        assert world.services.of("default") is world.services
