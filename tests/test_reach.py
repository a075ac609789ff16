"""A parameter of the server can be given by the client, on the command line, in GraphQL and on the page."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from afterword.api.graphql.resolving import schema
from afterword.api.routes import ROUTES, Route
from afterword.cli.exports import export
from afterword.client import list_filters
from afterword.types import (
    OWN_FIELDS,
    SHARED_FIELDS,
    CallRequest,
    Filter,
    Interaction,
    NewInteraction,
    queries,
)
from afterword.types.field import FacetKind
from afterword.types.fields import FIELDS, PARAMETERS, TEXT_FIELDS

AIO = Path(list_filters.__file__).parent / "aio"
RENAMED = {"labels": "label"}
WITHOUT_A_METHOD = {
    "live.watch": "server-sent events, for the page",
    "analytics.count_over_time": "the page's chart of traffic",
    "datasets.put_part": "uploads in parts, for the adaptive SDK",
    "datasets.upload_status": "uploads in parts, for the adaptive SDK",
    "batches.record_feedback": "what is rated says the project",
    "recorded_calls.record_calls": "sent by the wrappers of providers' clients",
    "litellm_calls.record_litellm_calls": "sent by LiteLLM",
    "images.get": "images are fetched by their links",
    "images.get_media": "audio and files are fetched by their links",
    "responses.get": "for OpenAI's clients; Afterword's own reads interactions",
    "responses.list_input_items": "for OpenAI's clients; Afterword's own reads interactions",
}
"""Routes with parameters that no method of the client has, each with the reason."""


GRAPHQL_STRUCTURE = {"useCase", "project", "tags", "advancedFilter", "and", "or", "not", "repeats"}


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


# ------------------------------------------------------------------------------------------------ the table of fields


def test_the_lists_parameters_are_those_of_the_table():
    parameters = {field.encode_name: field for field in msgspec.structs.fields(queries.FilterQuery)}
    assert set(parameters) == {parameter.name for parameter in PARAMETERS} | {"project"}
    for parameter in PARAMETERS:
        assert (parameters[parameter.name].default_factory is list) == parameter.is_list, parameter.name


def test_a_filter_trees_conditions_are_those_of_the_table():
    assert names_of(Filter) == {field.name for field in FIELDS} | {"and", "or", "not", "repeats"}


def test_the_clients_filters_are_those_of_the_table():
    assert queries.PlainFilters.__optional_keys__ == {parameter.argument or parameter.name for parameter in PARAMETERS}
    assert CONDITIONS | {"group_by", "explain"} == names_of(queries.ListQuery)


def test_an_export_takes_every_filter():
    options = set(inspect.signature(inspect.unwrap(export)).parameters)
    assert {parameter.argument or parameter.name for parameter in PARAMETERS} <= options


@pytest.mark.parametrize("kind", ["ListCompletionsFilterInput", "CompletionFilterExpression"])
def test_graphql_filters_by_every_field_of_the_table(kind: str):
    members = set(schema().type_map[kind].fields) - GRAPHQL_STRUCTURE  # pyright: ignore[reportAttributeAccessIssue]
    assert members <= {member for field in FIELDS for member in field.graphql}
    assert [field.name for field in FIELDS if field.parameters and not members & set(field.graphql)] == []


def test_the_pages_query_has_a_word_for_every_field():
    # `has:` is that of feedback, too.
    assert [field.name for field in FIELDS if not field.words] == ["has"]


def test_facets_are_those_of_the_table():
    assert set(get_args(FacetKind)) == {field.name for field in FIELDS if field.is_facet}


def test_a_text_that_is_logged_is_shown_and_sent_with_calls():
    for field in TEXT_FIELDS:
        for struct in (NewInteraction, Interaction, CallRequest):
            assert field.name in struct.__struct_fields__
        assert field.name in OWN_FIELDS | SHARED_FIELDS
