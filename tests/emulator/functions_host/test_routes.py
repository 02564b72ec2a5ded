import pytest

from emulator.functions_host.engine import LoadFailed
from emulator.functions_host.routes import RouteTable

ID = "6F9619FF-8B86-D011-B42D-00CF4FC964FF"


def table(*routes: str | tuple, prefix: str = "api") -> RouteTable:
    result = RouteTable(prefix)
    for index, route in enumerate(routes):
        template, *methods = (route,) if isinstance(route, str) else route
        result.add(f"f{index}", template, methods)
    return result


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("calls", "/api/calls", {}),
        ("calls", "/api/calls/", {}),
        ("Calls", "/API/cALLS", {}),
        ("calls", "/calls", None),
        ("calls", "/api/calls/1", None),
        ("calls/{id}", "/api/calls/a%20b", {"id": "a b"}),
        ("calls/{id}", "/api/calls/", None),
        ("calls/{id}", "/api/calls//", None),
        ("calls/{id:int}", "/api/calls/-17", {"id": "-17"}),
        ("calls/{id:int}", "/api/calls/1e3", None),
        ("calls/{id:int}", "/api/calls/2147483648", None),
        ("calls/{id:guid}", f"/api/calls/{ID}", {"id": ID}),
        ("calls/{id:guid}", "/api/calls/6F9619FF", None),
        ("calls/{name:alpha}/x", "/api/calls/ann/x", {"name": "ann"}),
        ("calls/{name:alpha}", "/api/calls/ann1", None),
        ("calls/{id?}", "/api/calls", {}),
        ("calls/{id:int?}", "/api/calls/7", {"id": "7"}),
        ("calls/{id:int?}", "/api/calls/x", None),
        ("files/{*rest}", "/api/files/a/b%2Fc/d", {"rest": "a/b/c/d"}),
        ("files/{*rest}", "/api/files", {}),
        ("{*rest}", "/other/a", None),
    ],
)
def test_template_and_path(template: str, path: str, expected: dict | None) -> None:
    found = table(template).find("GET", path)
    assert (found and found[1]) == expected
    assert (found is None) == (expected is None)


@pytest.mark.parametrize("prefix", ["", "/"])
def test_empty_prefix(prefix: str) -> None:
    routes = table("calls/{id}", prefix=prefix)
    assert routes.find("GET", "/calls/1")[1] == {"id": "1"}
    assert routes.find("GET", "/api/calls/1") is None


def test_function_name_is_the_route_when_there_is_none() -> None:
    routes = RouteTable()
    routes.add("Health", None)
    assert routes.find("GET", "/api/health")[0].function == "Health"


@pytest.mark.parametrize(
    ("path", "winner"),
    [("/api/a/new", "f2"), ("/api/a/7", "f1"), ("/api/a/x", "f0"), ("/api/a/x/y", "f3"), ("/api/a", "f3")],
)
def test_the_most_literal_route_wins_whatever_the_order(path: str, winner: str) -> None:
    assert table("a/{x}", "a/{x:int}", "a/new", "{*all}").find("GET", path)[0].function == winner


def test_method_is_part_of_the_address() -> None:
    routes = table(("calls", "GET"), ("calls", "post", "PUT"))
    assert [routes.find(method, "/api/calls") and routes.find(method, "/api/calls")[0].function
            for method in ("GET", "POST", "put", "HEAD", "DELETE")] == ["f0", "f1", "f1", None, None]  # fmt: skip


@pytest.mark.parametrize(
    ("routes", "part"),
    [
        (["a/{x}", "a/{y}"], "is also that of 'f0'"),
        (["a", ("A/", "GET")], "is also that of 'f0'"),
        (["a/{x:float}"], "constraint 'float'"),
        (["a/{x?}/b"], "must be the last segment"),
        (["{*all}/b"], "must be the last segment"),
        (["{x}/{X}"], "stands there twice"),
        (["a/b{x}"], "cannot be read"),
        (["a/{x"], "cannot be read"),
    ],
)
def test_wrong_routes_are_start_up_errors(routes: list, part: str) -> None:
    with pytest.raises(LoadFailed, match=part):
        table(*routes)


@pytest.mark.parametrize("route", ["admin/x", "Runtime/webhooks"])
def test_the_hosts_own_segments_are_refused(route: str) -> None:
    with pytest.raises(LoadFailed, match="conflicts with one or more built in routes"):
        table(route, prefix="")
    assert table(route).find("GET", f"/api/{route}")
