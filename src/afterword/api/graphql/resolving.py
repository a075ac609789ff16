"""The schema with its resolvers, which the modules of this package list in tables."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, build_schema

from afterword.api.graphql import ab_tests, datasets, feedback, interactions, models, people, projects, scalars
from afterword.api.graphql.request_context import RequestContext
from afterword.errors import Invalid

Root: TypeAlias = dict[str, tuple[str, Callable[..., Any]]]
"""For each field of Query or Mutation, the permission that the key needs and the function that answers. The function
gets a context and the arguments; an argument of null counts as absent."""
Members: TypeAlias = dict[str, dict[str, Callable[..., Any]]]
"""The resolvers, by type and field. Each gets the object that has the field."""

MODULES = (interactions, feedback, projects, models, ab_tests, datasets, people)


def schema() -> GraphQLSchema:
    """Build the schema with its resolvers."""
    graphql_schema = build_schema(files("afterword.api.graphql").joinpath("schema.graphql").read_text(encoding="utf-8"))
    scalars.set_up(graphql_schema)
    for kind in graphql_schema.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            is_root = kind.name in ("Query", "Mutation")
            for name, field in kind.fields.items():
                field.resolve = _refusing_resolver(name) if is_root else _member_resolver(_snake(name))
    for module in MODULES:
        for root, table in (("Query", module.QUERY), ("Mutation", module.MUTATION)):
            for name, (permission, answer) in table.items():
                _object_type(graphql_schema, root).fields[name].resolve = _root_resolver(permission, answer)
        for kind_name, members in module.MEMBERS.items():
            for name, answer in members.items():
                _object_type(graphql_schema, kind_name).fields[name].resolve = answer
    return graphql_schema


def _object_type(graphql_schema: GraphQLSchema, name: str) -> GraphQLObjectType:
    kind = graphql_schema.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    return kind


@cache
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _member_resolver(name: str) -> Callable[..., Any]:
    """Return a resolver that reads the member of that name, for fields without a resolver of their own."""

    def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        return source.get(name) if isinstance(source, dict) else getattr(source, name, None)

    resolve.is_plain = True  # pyright: ignore[reportFunctionMemberAccess]
    return resolve


def _refusing_resolver(name: str) -> Callable[..., Any]:
    """Return a resolver that raises `Invalid`, for fields of the schema that are not served."""

    def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        raise Invalid(f"{name} is not served by this version.", code="not_served", hint="See docs/guides/graphql.md.")

    return resolve


def _root_resolver(permission: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    wants_request = "request" in inspect.signature(answer).parameters
    wants_info = "info" in inspect.signature(answer).parameters

    async def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        if wants_info:
            return await from_arguments(info.context, arguments, info=info)
        return await from_arguments(info.context, arguments)

    async def from_arguments(request: RequestContext, arguments: dict[str, Any], **extra_arguments: Any) -> Any:
        resolver_arguments = {_snake(name): value for name, value in _without_nulls(arguments).items()}
        if wants_request:
            resolver_arguments["request"] = request
        return await answer(request.context(permission), **resolver_arguments, **extra_arguments)

    if not wants_info:
        # fast_path.py calls this directly, without graphql-core.
        resolve.answer = from_arguments  # pyright: ignore[reportFunctionMemberAccess]
    return resolve


def _without_nulls(value: Any) -> Any:
    """Return a value without members that are null: old clients send null for absent arguments."""
    if isinstance(value, dict):
        return {name: _without_nulls(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(element) for element in value]
    return value
