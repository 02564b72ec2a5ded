"""The checker says nothing about `infra/` as it is, and names each fault that is put in."""

from pathlib import Path

import pycep
import pytest
import yaml

from tests.infra.checker import check
from tests.infra.checker.bodies import tables

INFRA = Path(__file__).parents[2] / "infra"
SECOND_PARSER = pycep.BicepParser()
FILES = sorted(INFRA.rglob("*.bicep"))
SEEDS = yaml.safe_load((Path(__file__).parent / "seeds.yaml").read_text(encoding="utf-8"))


def test_nothing_is_wrong_with_infra() -> None:
    assert [str(finding) for finding in check(INFRA)] == []
    assert len(FILES) > 20


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: seed["name"])
def test_a_seeded_fault_is_named(seed: dict[str, str]) -> None:
    text = (INFRA / seed["file"]).read_text(encoding="utf-8")
    assert text.count(seed["old"]) == 1, "the seed no longer fits the file"
    found = check(INFRA, {seed["file"]: text.replace(seed["old"], seed["new"])})
    named = [one for one in found if one.rule == seed["rule"] and seed["says"] in one.text]
    assert named, [str(one) for one in found]


def test_the_seeds_are_of_many_kinds() -> None:
    assert len(SEEDS) >= 60
    assert len({seed["rule"] for seed in SEEDS}) >= 18


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_second_parser_agrees(file: Path) -> None:
    assert SECOND_PARSER.parse(file_path=file)


def test_every_table_is_used() -> None:
    lines = [line for file in FILES for line in file.read_text(encoding="utf-8").splitlines()]
    assert {line.split("'")[1] for line in lines if line.startswith("resource ")} == set(tables())
