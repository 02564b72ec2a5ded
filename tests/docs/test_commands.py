"""Every command of the pages: taken by the program it names, and run by a test, or named below with the reason why not."""

import argparse
import importlib.util
import io
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from cli import credentials, numbers
from cli.__main__ import parser
from cli.processes import ROOT
from tests.docs.reading import PAGES, PROGRAMS, Command, commands, fences, parse, quoted_commands

HERE = "tests/docs/test_commands.py"
DOCTOR = "tests/e2e/test_doctor.py::test_each_misconfiguration_is_named_with_its_cure"
SCENARIOS = "tests/e2e/test_scenarios.py::test_requests_and_calls_are_told_together"
CALLS = "tests/e2e/test_command.py::test_up_call_and_ctrl_c"
EMULATOR_PAGE = "tests/docs/test_emulator_page.py::test_its_commands_make_a_call"
AGENT_PAGE = (
    "tests/docs/test_voice_agent.py::test_a_whole_call_with_an_example_every_message_as_the_schema_says"
)

# A pattern of the command, and the test that runs it (at other ports, in a folder of its own, perhaps another script).
RUN = {
    r"make install$": EMULATOR_PAGE,  # the environment that all tests run in
    r"(make demo|patchcord demo( --trace)?)$": "tests/e2e/test_demo_call.py::test_the_demo_call_goes_as_its_script_reads",
    r"make demo LINE=twilio$": "tests/e2e/test_demo_call.py::test_the_demo_call_goes_as_its_script_reads",
    r"make demo AGENT=emulated-\w+$": "tests/e2e/test_emulated_models.py::test_a_model_answers_uses_a_tool_and_hands_over",
    r"(make demo SCENARIO=|patchcord demo --scenario )\w+$": SCENARIOS,
    r"(make|patchcord) up( AGENT=emulated-\w+| --metrics)?$": CALLS,
    r"patchcord call( --line twilio)? (emulator|docs)/\S+\.yaml$": CALLS,
    r"patchcord (emulate|dial(?!.*--mic)|trace) ": EMULATOR_PAGE,
    r"patchcord dial .*--mic": "tests/cli/test_microphone.py",  # with stand-ins for the sound card
    r"python docs/examples/answer_a_call\.py$": EMULATOR_PAGE,
    r"(python docs/examples/voice_agent\.py|node voice_agent\.mjs) ": AGENT_PAGE,
    r"python -m emulator\.realtime ": "tests/e2e/test_emulated_models.py::test_a_model_answers_uses_a_tool_and_hands_over",
    r"python -m emulator\.functions_host": "tests/emulator/functions_host/test_server.py::test_settings_prefix_timer_and_keys",
    r"python -m bench\.barge_in ": "tests/bench/test_barge_in.py",
    r"python -m bench\.transfers$": "tests/bench/test_transfers.py",
    r"python -m bench\.mixed$": "tests/bench/test_mixed.py",
    r"python -m bench\.adapter$": "tests/bench/test_adapter.py",
    r"python -m bench\.emulator$": "tests/bench/test_emulator.py",
    r"patchcord credentials ": f"{HERE}::test_the_credentials_of_the_tenants_page",
    r"patchcord numbers ": f"{HERE}::test_the_numbers_of_the_transfers_page",
    r"patchcord doctor(?! --deployment)": DOCTOR,
    r"python docs/examples/cost\.py": "tests/docs/test_cost_page.py::test_the_page_shows_what_the_program_prints",
    r"python -m cli\.doctor\.mend_keys ensure ": f"{HERE}::test_the_first_keys",
    r"python -m cli\.doctor\.mend_keys (rotate|replace) ": "tests/cli/doctor/test_keys.py::test_the_cure_cures",
}

# What no test runs, and why. Its arguments are looked at all the same (`check` below).
NOT_RUN = {
    r"make test$": "it is the run in which this test is",
    r"make check$": "another target of the same run (.ci/run)",
    r"make (bench|chaos|api)$": "minutes; run by hand, the results stand in the pages",
    r"python -m bench$": "minutes; run by hand, the results stand in docs/bench.md",
    r"(pip|npm) install": "downloads",
    r"(az|azd|func|azurite|docker|ngrok) ": "Azure, its tools and tunnels cannot be reached from here",
    r"curl .*https://|patchcord doctor --deployment": "a deployment that is not there",
}


@cache
def _options(module: str) -> str:
    """The sources in which the options of `python -m MODULE` must stand."""
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None, module
    origin = Path(spec.origin)
    files = [origin.with_name("__main__.py")] if origin.name == "__init__.py" else [origin]
    return "".join(file.read_text() for file in files)


def _leaf(words: tuple[str, ...]) -> tuple[argparse.ArgumentParser, tuple[str, ...]]:
    """The parser of a subcommand of `patchcord`, and the words that are left for it."""
    found = parser()
    while words:
        nested = [item for item in found._actions if isinstance(item, argparse._SubParsersAction)]
        if not nested:
            break
        assert words[0] in nested[0].choices, f"patchcord has no {words[0]}"
        found, words = nested[0].choices[words[0]], words[1:]
    return found, words


@cache
def _made(target: str, *settings: str) -> tuple[Command, ...]:
    """What `make TARGET` would run of ours; make itself says so."""
    told = subprocess.run(
        [shutil.which("make") or "make", "-n", "-s", target, *settings],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [
        line
        for line in told.stdout.splitlines()
        if re.match(r"\.venv/bin/(patchcord|python) (?!-m (pip|venv))", line)
    ]
    return tuple(command for line in lines for command in parse("Makefile", line))


def check(command: Command, whole: bool = True) -> None:
    """The program takes these words. `whole`: nothing is missing, either (in prose a command may stand without its arguments)."""
    words = command.words[1:]
    match command.program:
        case "make":
            settings = [word for word in words if "=" in word]
            for word in settings:
                assert f"$({word.partition('=')[0]})" in (ROOT / "Makefile").read_text(), word
            [target] = [word for word in words if "=" not in word]
            for made in _made(target, *settings):
                check(made)
        case "patchcord" if whole:
            parser().parse_args(words)
        case "patchcord":
            leaf, rest = _leaf(words)
            flags = {word.partition("=")[0] for word in rest if word.startswith("--")}
            assert flags <= set(leaf._option_string_actions), command.line
        case "python" if words[:1] == ("-m",):
            for word in words[2:]:
                assert not word.startswith("--") or word == "--help" or f'"{word}"' in _options(words[1]), (
                    word
                )
            assert importlib.util.find_spec(words[1]), words[1]
        case "python" | "node":
            assert (ROOT / command.folder / words[0]).is_file(), words[0]
        case "azd" if words[:2] == ("env", "set") and whole:
            assert words[2].partition("=")[0] in _deployment(), words[2]
    for word in words:
        named = re.fullmatch(r"@?((?:infra|docs|emulator|tests|dialogues|media_host)/[\w./-]+\.\w+)", word)
        assert named is None or (ROOT / command.folder / named[1]).is_file(), word


@cache
def _deployment() -> str:
    """Where a variable of azd's environment must be read: parameter files and hooks."""
    files = [*(ROOT / "infra").rglob("*.json"), *(ROOT / "infra").rglob("*.py")]
    return "".join(file.read_text() for file in files)


def _id(command: Command) -> str:
    return f"{command.page}: {command.line[:60]}"


@pytest.mark.parametrize("command", commands(), ids=_id)
def test_a_command_is_taken(command: Command) -> None:
    check(command)


def test_commands_in_the_text_exist() -> None:
    found = quoted_commands()
    assert len(found) > 20
    for command in found:
        check(command, whole=False)


def test_every_command_is_run_or_named_with_the_reason_why_not() -> None:
    unknown = [
        _id(command)
        for command in commands()
        if not any(re.match(pattern, command.line) for pattern in (*RUN, *NOT_RUN))
    ]
    assert unknown == []


@pytest.mark.parametrize("pattern", [*RUN, *NOT_RUN])
def test_no_entry_is_left_over(pattern: str) -> None:
    assert [command for command in commands() if re.match(pattern, command.line)]


@pytest.mark.parametrize("named", sorted(set(RUN.values())))
def test_the_test_that_runs_it_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    text = (ROOT / path).read_text()
    assert not name or re.search(rf"^(async )?def {name}\(", text, re.M)


def test_commands_stand_in_fences_of_their_own() -> None:
    """A command in an untagged fence, or indented, would be looked at by nobody."""
    starts = re.compile(rf"(?: {{4}})?(?:[A-Z_]+=\S+ )*(?:\S+/)?(?:{'|'.join(PROGRAMS)}) [\w./-]")
    for page in PAGES:
        for fence in fences(page):
            if fence.tag == "":
                assert [line for line in fence.text.splitlines() if starts.match(line)] == [], page
        text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.S | re.M)
        assert [line for line in text.splitlines() if line.startswith("    ") and starts.match(line)] == [], (
            page
        )


def _of(page: str, start: str) -> list[Command]:
    return [command for command in commands() if command.page == page and command.line.startswith(start)]


async def test_the_credentials_of_the_tenants_page(tmp_path: Path) -> None:
    api_id = ""
    for command in _of("tenants.md", "patchcord credentials"):
        words = [word.replace("STORE", f"sqlite:{tmp_path}/store.db") for word in command.words[1:]]
        words = [re.sub(r"^pci_\w+", api_id, word) for word in words]
        out = io.StringIO()
        assert await credentials.credentials(parser().parse_args(words), out) == 0
        api_id = (re.findall(r"^api-id +(\S+)", out.getvalue(), re.M) or [api_id])[0]
    assert "The oldest secret of" in out.getvalue()


async def test_the_numbers_of_the_transfers_page(tmp_path: Path) -> None:
    told = []
    for command in _of("call-transfers.md", "patchcord numbers"):
        words = [word.replace("sqlite:", f"sqlite:{tmp_path}/") for word in command.words[1:]]
        out = io.StringIO()
        assert await numbers.numbers(parser().parse_args(words), out) == 0
        told.append(out.getvalue())
    assert "+18005550100" in told[1]
    assert re.search(r"\d+ numbers", told[2])


def test_the_first_keys(tmp_path: Path) -> None:
    [command] = _of("go-live.md", "python -m cli.doctor.mend_keys")
    *words, _, _ = command.words[1:]
    assert len(command.words) == 6
    places = [f"file:{tmp_path}/{name}.json" for name in ("signing", "verification")]
    program = [sys.executable, *words, *places]
    said = [
        subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)
    ]
    assert "made" in said[0]
    assert said[1].startswith("the keys are there")
