"""The schema with its resolvers: tables of what each member means, over what the services answer."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema, build_schema

from afterword.api.graphql import abtests, datasets, feedback, interactions, models, people, projects, scalars
from afterword.api.graphql.asked import Asked
from afterword.errors import Invalid

Root: TypeAlias = dict[str, tuple[str, Callable[..., Any]]]
"""By the name of a field of Query or Mutation: what the key must be allowed, and the function that answers. It is
called with a context and the arguments that were given; null counts as not given."""
Members: TypeAlias = dict[str, dict[str, Callable[..., Any]]]
"""By type and field, what answers from the object that the field is asked of."""

MODULES = (interactions, feedback, projects, models, abtests, datasets, people)


def schema() -> GraphQLSchema:
    """Build the schema with its resolvers."""
    made = build_schema(files("afterword.api.graphql").joinpath("schema.graphql").read_text(encoding="utf-8"))
    scalars.set_up(made)
    for kind in made.type_map.values():
        if isinstance(kind, GraphQLObjectType) and not kind.name.startswith("__"):
            is_root = kind.name in ("Query", "Mutation")
            for name, field in kind.fields.items():
                field.resolve = _unserved(name) if is_root else _member(_snake(name))
    for module in MODULES:
        for root, table in (("Query", module.QUERY), ("Mutation", module.MUTATION)):
            for name, (permission, answer) in table.items():
                _type(made, root).fields[name].resolve = _root(permission, answer)
        for kind_name, members in module.MEMBERS.items():
            for name, answer in members.items():
                _type(made, kind_name).fields[name].resolve = answer
    return made


def _type(made: GraphQLSchema, name: str) -> GraphQLObjectType:
    kind = made.type_map[name]
    assert isinstance(kind, GraphQLObjectType)
    return kind


@cache
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _member(name: str) -> Callable[..., Any]:
    """Return the member of that name, for fields that have no resolver of their own."""

    def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        return source.get(name) if isinstance(source, dict) else getattr(source, name, None)

    resolve.is_plain = True  # pyright: ignore[reportFunctionMemberAccess]
    return resolve


def _unserved(name: str) -> Callable[..., Any]:
    """Refuse, for fields of the schema that nothing serves."""

    def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        raise Invalid(f"{name} is not served by this version.", code="not_served", hint="See docs/guides/graphql.md.")

    return resolve


def _root(permission: str, answer: Callable[..., Any]) -> Callable[..., Any]:
    wants_asked = "asked" in inspect.signature(answer).parameters
    wants_info = "info" in inspect.signature(answer).parameters

    async def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
        if wants_info:
            return await from_arguments(info.context, arguments, info=info)
        return await from_arguments(info.context, arguments)

    async def from_arguments(asked: Asked, arguments: dict[str, Any], **more: Any) -> Any:
        given = {_snake(name): value for name, value in _given(arguments).items()}
        if wants_asked:
            given["asked"] = asked
        return await answer(asked.context(permission), **given, **more)

    if not wants_info:
        # What plans.py answers with, without the rest of graphql-core.
        resolve.answer = from_arguments  # pyright: ignore[reportFunctionMemberAccess]
    return resolve


def _given(value: Any) -> Any:
    """Leave out what is null: old clients send null for what is not given."""
    if isinstance(value, dict):
        return {name: _given(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_given(one) for one in value]
    return value
