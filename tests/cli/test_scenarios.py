import io
import json

import pytest

from cli.__main__ import SCENARIOS as NAMES
from cli.__main__ import parser
from cli.scenarios.play import SCENARIOS, configuration
from cli.scenarios.stage import Stage, short, told, until
from shared.config.document import parse_config
from shared.errors import Unavailable


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_story_has_a_valid_configuration(name):
    config = parse_config(configuration(SCENARIOS[name]).encode())
    assert "reception" in config.agents


def test_the_command_line_knows_every_story(capsys):
    assert set(NAMES) == set(SCENARIOS)
    assert parser().parse_args(["demo", "--scenario", "transfer"]).scenario == "transfer"
    with pytest.raises(SystemExit):
        parser().parse_args(["demo", "--scenario", "opera"])
    assert "transfer" in capsys.readouterr().err


def test_answers_are_shown_short():
    answer = {"id": "a", "createdAt": "now", "phoneNumber": {"transferNumber": "+1", "country": "US"}}
    assert json.loads(short(answer)) == {"id": "a", "phoneNumber": {"transferNumber": "+1"}}


class Call:
    async def story(self):
        for kind in ("dialled", "rejected", "failed", "ended"):
            yield {"kind": kind}


@pytest.mark.parametrize(("cut_off", "kinds"), [(True, 3), (False, 4)])
async def test_a_call_that_is_to_be_refused_has_not_failed(cut_off, kinds):
    assert len([event async for event in told(Call(), cut_off=cut_off)]) == kinds


async def test_what_went_wrong_is_told_at_once_and_at_the_end(tmp_path):
    out = io.StringIO()
    stage = Stage(None, None, tmp_path, out)
    stage.expect(1 == 1, "the world is round")
    assert stage.end() == 0
    stage.expect(False, "the caller was lost")
    assert stage.end() == 1
    assert "round" not in out.getvalue()
    assert "NOT SO        the caller was lost" in out.getvalue()
    assert out.getvalue().rstrip().endswith("  the caller was lost")


async def test_what_does_not_happen_is_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr("cli.scenarios.stage.SETTLED_S", 0.05)
    with pytest.raises(Unavailable, match="Ann's telephone"):
        await until(lambda: None, "Ann's telephone")
