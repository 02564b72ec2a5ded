"""What Azure's worker accepts and refuses (functions.md 1.4), each app in a process of its own."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.functions_host.engine import Message, TypedData
from tests.emulator.functions_host.hosting import ROOT, HostProcess, write_app
from tests.support.timing import patience

EVENT = """
    app = func.FunctionApp()
    @app.event_grid_trigger(arg_name="event")
    async def f({parameters}){returns}:
        pass
"""
HTTP = """
    app = func.FunctionApp()
    @app.route(route="f")
    async def f(req: func.HttpRequest){returns}:
        return func.HttpResponse("")
"""

REJECTED = {
    "parameter without binding": (
        EVENT.format(parameters="event, other", returns=""),
        "without a binding|other",
    ),
    "event: dict": (EVENT.format(parameters="event: dict", returns=""), "event.*type"),
    "context: dict": (EVENT.format(parameters="event, context: dict", returns=""), "context"),
    "HTTP returns dict": (HTTP.format(returns=" -> dict"), "return"),
    "HTTP returns a union": (HTTP.format(returns=" -> func.HttpResponse | str"), "non-type"),
    "output is not Out": (
        """
    app = func.FunctionApp()
    @app.event_grid_trigger(arg_name="event")
    @app.queue_output(arg_name="out", queue_name="q", connection="c")
    async def f(event: func.EventGridEvent, out: str) -> None:
        pass
""",
        "out",
    ),
    "the same name twice": (HTTP.format(returns="") + HTTP.split("App()")[1].format(returns=""), "f"),
    "two apps": ("app = func.FunctionApp()\nother = func.FunctionApp()\n", "More than one"),
    "no app": ("x = 1\n", "Could not find top level function app instances"),
    "import error": ("import no_such_module_at_all\n", "no_such_module_at_all.*requirements.txt"),
    "asyncio.run at import": (
        """
    import asyncio
    async def nothing(): pass
    asyncio.run(nothing())
""",
        r"asyncio\.run\(\) cannot be called from a running event loop",
    ),
    "no function": ("app = func.FunctionApp()\n", "No functions found"),
    "a schedule that is none": (  # Azure's worker takes it, its host does not
        """
    app = func.FunctionApp()
    @app.timer_trigger(arg_name="t", schedule="often")
    async def f(t: func.TimerRequest) -> None:
        pass
""",
        "'f' function is in error.*'often'",
    ),
    "two functions on one route": (
        HTTP.format(returns="") + HTTP.split("App()")[1].format(returns="").replace("def f", "def g"),
        "'g' function is in error.*also that of 'f'",
    ),
}

ACCEPTED = """
    import functools

    app = func.FunctionApp()

    def wrapped(function):
        @functools.wraps(function)
        async def inner(*args, **kwargs):
            return await function(*args, **kwargs)
        return inner

    @app.event_grid_trigger(arg_name="event")
    async def bare(event):
        pass

    @app.event_grid_trigger(arg_name="event")
    async def text(event: "func.EventGridEvent") -> "None":
        pass

    @app.event_grid_trigger(arg_name="event")
    async def cloud(event: func.CloudEvent) -> None:
        pass

    @app.event_grid_trigger(arg_name="event")
    @wrapped
    async def decorated(event: func.EventGridEvent) -> None:
        pass

    @app.queue_trigger(arg_name="message", queue_name="q", connection="C")
    async def queued(message: func.QueueMessage) -> None:
        pass

    @app.event_grid_trigger(arg_name="event")
    @app.queue_output(arg_name="out", queue_name="q", connection="c")
    async def writes(event: func.EventGridEvent, out: func.Out[str]) -> None:
        pass
"""


def run_to_end(app: Path) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "emulator.functions_host", "--app", str(app), "--port", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=patience(20),
        check=False,
    )


@pytest.mark.parametrize("case", REJECTED)
def test_what_azure_would_not_load(tmp_path: Path, case: str) -> None:
    source, wording = REJECTED[case]
    result = run_to_end(write_app(tmp_path, source))
    assert result.returncode == 1
    assert result.stdout == ""
    assert re.search(wording, result.stderr, re.DOTALL), result.stderr
    assert "Worker failed to load functions." in result.stderr


def test_what_azure_loads(tmp_path: Path) -> None:
    with HostProcess(write_app(tmp_path, ACCEPTED)) as host:
        assert host.ready == f"functions host ready {host.base} (6 functions)"
        assert "queued is never run: this host serves no queueTrigger" in host.logged
        assert "writes: its output bindings are dropped: queue" in host.logged


def test_the_stand_ins_read_like_messages() -> None:
    assert TypedData().WhichOneof("data") is None
    assert TypedData(json="{}").WhichOneof("data") == "json"
    assert Message(a=1).a == 1
    assert not hasattr(TypedData(json="{}"), "TypedData")  # the library asks, to tell a value from its holder
