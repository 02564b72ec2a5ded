from cli.doctor.finding import State
from cli.doctor.settings import STAND_INS, check, read_all
from shared.settings import known_variables
from tests.cli.doctor.conftest import ENV


async def findings(exam):
    return {one.check: one async for one in check(exam)}


def test_every_setting_that_may_be_wrong_is_told_with_all_others():
    """Each variable gets a value that cannot be right for it."""
    wrong_values = dict.fromkeys(set.union(*known_variables()), "\N{SNOWMAN} x")
    free = {
        "AZURE_CLIENT_ID",
        "PATCHCORD_CONFIG",
        "ACS_RESOURCE_ID",
        "ACS_JWT_ISSUER",
        "MEDIA_LISTEN_HOST",
        "MEDIA_RECORDINGS",
    }
    settings, wrong = read_all(wrong_values)
    missing = known_variables()[0] | known_variables()[1]
    assert missing - wrong.keys() - free - {"ACS_ENDPOINT"} == set()
    assert settings.acs.endpoint == "https://unknown.invalid"


def test_stand_ins_are_right():
    assert read_all(STAND_INS)[1] == {}


async def test_nothing_is_wrong(make_exam):
    found = await findings(make_exam())
    assert [one.state for one in found.values()] == [State.OK]


async def test_everything_is_missing(make_exam):
    exam = make_exam(**dict.fromkeys(ENV, ""))
    found = await findings(exam)
    assert {name for name, one in found.items() if one.state is State.BROKEN} == {
        *ENV.keys() - {"AZURE_ACS_CONN_KEY"},
        "ACS_ENDPOINT",
    }
    assert found["ACS_RESOURCE_ID"].mend == "export ACS_RESOURCE_ID=VALUE"
    assert (
        exam.without("x", "AZURE_ACS_CONN_KEY").found
        == "AZURE_ACS_CONN_KEY is wrong or missing, see settings"
    )


async def test_a_wrong_secret_is_not_shown(make_exam):
    found = await findings(make_exam(AZURE_ACS_CONN_KEY="endpoint=nonsense;accesskey=topsecret"))
    assert found["AZURE_ACS_CONN_KEY"].state is State.BROKEN
    assert "topsecret" not in str(found)


async def test_an_emulator_behind_a_public_address(make_exam):
    found = await findings(make_exam(AZURE_ACS_CONN_KEY="endpoint=http://127.0.0.1:1;accesskey=c2VjcmV0"))
    assert "an emulator's on loopback" in found["AZURE_ACS_CONN_KEY"].found


async def test_a_misspelt_name_only_where_all_names_are_ours(make_exam):
    for closed in (False, True):
        found = await findings(make_exam({"is_closed": closed}, ACS_PHONENUMBER="+18005550000"))
        assert ("ACS_PHONENUMBER" in found) is closed
        if closed:
            assert found["ACS_PHONENUMBER"].mend == "export ACS_PHONE_NUMBER=VALUE"


async def test_with_an_address_only(make_exam):
    exam = make_exam({"is_partial": True}, **dict.fromkeys(ENV.keys() - {"CALLBACK_EVENTS_URI"}, ""))
    found = await findings(exam)
    assert [one.state for one in found.values()] == [State.UNKNOWN]
    assert exam.without("x", "CALLBACK_EVENTS_URI") is None
    assert exam.without("x", "PATCHCORD_STORE").found == "PATCHCORD_STORE is not known here"
