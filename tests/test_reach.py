"""What the server takes as a plain parameter can be given by the client and on the command line."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import msgspec
import pytest

from afterword.api.routes import ROUTES, Route
from afterword.cli.exports import export
from afterword.client import list_filters
from afterword.types import queries

AIO = Path(list_filters.__file__).parent / "aio"
RENAMED = {"labels": "label"}
WITHOUT_A_METHOD = {
    "live.watch": "server-sent events, for the page",
    "analytics.count_over_time": "the page's chart of traffic",
    "datasets.put_part": "uploads in parts, for the adaptive SDK",
    "datasets.upload_status": "uploads in parts, for the adaptive SDK",
    "batches.record_feedback": "what is rated says the project",
}
"""Routes with parameters that no method of the client has, each with the reason."""


def plain(name: str) -> str:
    return RENAMED.get(name, name.rstrip("_"))


def names_of(query: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(query)}


CONDITIONS = {plain(name) for name in list_filters.Filters.__optional_keys__}


def reachable() -> dict[tuple[str | None, ...], set[str]]:
    """Return by path, with None for its parameters, what the client's methods can send there."""
    found: dict[tuple[str | None, ...], set[str]] = {}
    for module in AIO.glob("*.py"):
        for function in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
            names = {plain(one.arg) for one in arguments}
            if function.args.kwarg is not None and function.args.kwarg.arg in ("filters", "conditions"):
                names |= CONDITIONS
            names |= {"metric"} if "feedback_key" in names else set()
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "path":
                    where = tuple(one.value if isinstance(one, ast.Constant) else None for one in call.args)
                    found.setdefault(where, set()).update(names)
    return found


REACHABLE = reachable()


@pytest.mark.parametrize("route", [route for route in ROUTES if route.query], ids=lambda route: route.name)
def test_the_client_can_send_every_parameter_of_a_route(route: Route):
    steps = route.path.removeprefix("/api/v1/").split("/")
    where = tuple(None if step.startswith("{") else step for step in steps)
    assert route.query is not None
    missing = names_of(route.query) - REACHABLE.get(where, set())
    assert not missing or route.name in WITHOUT_A_METHOD, f"{route.name}: {sorted(missing)}"


def test_the_clients_filters_are_those_of_the_server():
    assert {plain(name) for name in list_filters.PlainFilters.__optional_keys__} | {"project"} == names_of(
        queries.FilterQuery
    )
    assert CONDITIONS | {"group_by", "explain"} == names_of(queries.ListQuery)


def test_an_export_takes_every_filter():
    options = {plain(name) for name in inspect.signature(inspect.unwrap(export)).parameters}
    # The project is given before the command, for all commands alike.
    assert names_of(queries.FilterQuery) - {"project"} <= options
