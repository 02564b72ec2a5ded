"""docs/tools.md keeps its word: its examples are read by the real parts, and it names every field and every error."""

import re
import sys

import aiohttp
import msgspec
import pytest
import yaml

from cli.processes import ROOT
from media_host.agents.base import ToolCall
from media_host.agents.embedded.dialogue import State
from media_host.post_call import PostCallHooks
from media_host.tools import ToolBox
from media_host.tools.builtin import built_in_tools
from media_host.tools.outputs import Outputs
from shared.config.agent import SecureDigits
from shared.config.document import parse_config
from shared.config.tools import RESERVED, HttpAuth, HttpTool, McpServer
from shared.security.secrets import Secrets
from tests.media_host.tools.support import Actions, Ears

PAGE = (ROOT / "docs" / "tools.md").read_text()
EXAMPLES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]
[CODE] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def config():
    """All examples of patchcord.yaml as one file; none may contradict another."""
    whole = {"tools": {}, "agents": {}, "routes": [{"name": "r", "to": ["*"], "agent": "desk"}]}
    for example in EXAMPLES:
        for part in set(example) & {"tools", "agents"}:
            assert not whole[part].keys() & example[part].keys()
            whole[part] |= example[part]
    return parse_config(yaml.safe_dump(whole).encode())


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """What the examples name: the page's own code, and the sample hook."""
    (tmp_path / "my_tools.py").write_text(CODE)
    for folder in (tmp_path, ROOT / "docs" / "examples"):
        monkeypatch.syspath_prepend(str(folder))
    yield
    for name in ("my_tools", "post_call_redactor"):
        sys.modules.pop(name, None)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as http:
        yield http


def test_every_example_is_of_a_kind_that_is_checked():
    others = [example for example in EXAMPLES if not set(example) <= {"tools", "agents"}]
    [dialogue] = others
    state = msgspec.convert(dialogue["look_up"], State)
    assert state.tool.failed == "not_found"


async def test_the_examples_work(config, modules, http):
    secrets = Secrets(environment={})
    box = ToolBox.from_config(config, secrets, http)
    hooks = PostCallHooks(config, None, secrets, http)
    desk = box.for_agent(config.agents["desk"])
    assert {spec.name for spec in desk.specs} == {"order_status", "open_ticket", "pay", *RESERVED}
    desk_of = box.for_agent(config.agents["reception"])
    call = ToolCall("1", "lookup_order", {"order_number": "42719"})
    result = await desk_of.run(call, Actions(), say=Ears().say, secure={})
    assert result["status"] == "shipped"
    await hooks.close()
    await box.close()
    await secrets.close()


async def test_the_code_of_the_page_works(config, modules):
    import my_tools

    assert (await my_tools.find_technician({"postcode": "3011AB"}))["name"] == "Sam"
    with pytest.raises(ValueError, match="letters and digits"):
        await my_tools.find_technician({"postcode": "/"})
    assert config.tools["find_technician"].while_running == "hold"


@pytest.mark.parametrize("part", [HttpTool, HttpAuth, McpServer, SecureDigits])
def test_every_field_is_named(part):
    for field in msgspec.structs.fields(part):
        assert re.search(rf"\b{field.name}\b", PAGE), field.name


def test_the_built_in_tools_are_those_of_the_table(config):
    rows = set(re.findall(r"^\| `(\w+)` \| .* \| .* \| .* \|$", PAGE, re.MULTILINE))
    agent = config.agents["desk"]
    assert rows >= set(built_in_tools(agent, Outputs(agent.outputs, "desk"), "desk")) == RESERVED


def test_the_errors_are_those_of_the_code():
    table = PAGE.partition("## Errors that an agent sees")[2].partition("\n## ")[0]
    code = "".join(path.read_text() for path in (ROOT / "media_host").glob("tools/*.py"))
    code += (ROOT / "media_host" / "tool_runs.py").read_text()
    for text in re.findall(r'"error": "([^"]+)"', table):
        stem = re.split(r"[:…]| \d", text)[0]
        assert stem in code, text
