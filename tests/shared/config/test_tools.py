import msgspec
import pytest

from shared.config.tools import HttpTool, McpServer, PythonTool, ToolConfig, is_web, tool_mistakes


def tool(**fields):
    return msgspec.convert(fields, ToolConfig)


def http(**fields):
    return tool(kind="http", description="d", **{"url": "https://crm.example/v1", **fields})


def mistakes(config, name="it"):
    return [(mistake.place, mistake.expected) for mistake in tool_mistakes(f"tools.{name}", name, config)]


@pytest.mark.parametrize(
    "config",
    [
        http(),
        http(
            url="https://crm.example/v1/{id}?q={q}",
            method="POST",
            body={"a": ["{b}"]},
            headers={"X-A": "{c}"},
        ),
        http(url="http://127.0.0.1:8080/", auth={"secret": "env:KEY"}, response={"a": "/a~0b/0", "all": ""}),
        http(auth={"secret": "https://v.vault.azure.net/secrets/crm", "header": "X-Key", "prefix": ""}),
        tool(
            kind="python", description="d", entry_point="my.tools:look_up", timeout_s=60, saying="One moment."
        ),
        tool(kind="mcp", server_url="https://mcp.example/"),
        tool(
            kind="mcp", server_url="https://mcp.example/", authorization="file:/run/key", allowed_tools=["a"]
        ),
    ],
)
def test_good_tools(config):
    assert mistakes(config) == []


def test_the_kinds():
    assert isinstance(http(), HttpTool)
    assert http().method == "GET"
    assert isinstance(tool(kind="python", description="d", entry_point="m:f"), PythonTool)
    assert isinstance(tool(kind="mcp", server_url="https://m"), McpServer)
    for wrong in ({"kind": "shell", "description": "d"}, {"kind": "python", "entry_point": "m:f"}):
        with pytest.raises(msgspec.ValidationError):
            tool(**wrong)


@pytest.mark.parametrize(
    ("config", "place", "expected"),
    [
        (http(url="http://crm.example/"), "url", "https address"),
        (http(auth={"secret": "hunter2"}), "auth.secret", "never the secret itself"),
        (http(response={"a": "a/b"}), "response.a", "JSON Pointer"),
        (http(response={"a": "/a~2"}), "response.a", "JSON Pointer"),
        (http(body={"a": 1}), "body", "no body with GET"),
        (http(body={}, method="DELETE"), "body", "no body with GET"),
        (http(parameters={"type": "string"}), "parameters", "type object"),
        (http(parameters={}), "parameters", "type object"),
        (http(timeout_s=0), "timeout_s", "seconds, above 0 and at most 60"),
        (http(timeout_s=61), "timeout_s", "seconds"),
        (http(saying_after_s=-1), "saying_after_s", "seconds"),
        (tool(kind="python", description="d", entry_point="my.tools"), "entry_point", "module:function"),
        (tool(kind="python", description="d", entry_point="m:f()"), "entry_point", "module:function"),
        (tool(kind="mcp", server_url="http://mcp.example/"), "server_url", "https address"),
        (
            tool(kind="mcp", server_url="https://m/", authorization="hunter2"),
            "authorization",
            "never the secret",
        ),
    ],
)
def test_every_mistake_is_named(config, place, expected):
    [(found, text)] = mistakes(config)
    assert found == f"tools.it.{place}"
    assert expected in text


def test_a_secret_in_the_wrong_place_is_not_shown():
    for config in (
        http(auth={"secret": "hunter2"}),
        tool(kind="mcp", server_url="https://m/", authorization="hunter2"),
    ):
        assert "hunter2" not in str(list(tool_mistakes("tools.it", "it", config)))


@pytest.mark.parametrize("name", ["end_call", "transfer_to_human", "Up", "a-b", "1a", "a" * 64])
def test_names_that_no_tool_may_have(name):
    assert mistakes(http(), name) == [
        (f"tools.{name}", "a name of small letters, digits and _ that no built-in tool has")
    ]


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://a.example", True),
        ("https://a-b.example.:8443/x?y=z", True),
        ("https://[2001:db8::1]/x", True),
        ("http://localhost:7000/x", True),
        ("http://[::1]/x", True),
        ("http://a.example/x", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://localhost@evil.example/", False),
        ("https://user:pass@a.example/", False),
        ("https://{host}.example/", False),
        ("https://a.example{path}", False),
        ("https://a.example\\@evil.example/", False),
        ("https://a.example/x\\y", False),
        ("https://a.example/x y", False),
        ("https://a.example/#x", False),
        ("https:///x", False),
        ("ftp://a.example/", False),
    ],
)
def test_where_a_secret_may_be_sent(url, fits):
    assert is_web(url) is fits
