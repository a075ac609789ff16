"""Documents of GraphQL: read and checked once, then known by their text."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    validate,
)

from afterword.api.graphql.plans import Plan, plan
from afterword.api.reading import check_depth

# Clients send the same few documents again and again. Beyond so many, all are forgotten: someone makes them up.
MOST_KNOWN = 1_000
# Longer ones are not kept: the largest of the public clients' has 4 kB.
LONGEST_KNOWN = 20_000
MOST_CHARACTERS = 100_000
MOST_TOKENS = 10_000
MOST_DEPTH = 20
MOST_FIELDS = 2_000
MOST_ROOT_FIELDS = 50


class Documents:
    """Read documents. `rewrite` lifts those of old clients to what the schema has; `unserved` says of one that is not
    valid that it asks for what is not done here."""

    def __init__(
        self,
        schema: GraphQLSchema,
        rewrite: Callable[[DocumentNode], DocumentNode],
        unserved: Callable[[DocumentNode], str | None],
    ) -> None:
        self._schema = schema
        self._rewrite = rewrite
        self._unserved = unserved
        self._known: dict[str, tuple[DocumentNode, Plan | None]] = {}

    def document(self, text: str) -> tuple[DocumentNode, Plan | None] | list[GraphQLError]:
        """Return a document that can be executed, with the short way where there is one; or what is wrong with it.

        Raises `Invalid` for one that is nested too deeply.
        """
        known = self._known.get(text)
        if known is not None:
            return known
        if len(text) > MOST_CHARACTERS:
            return [_too_large(f"{MOST_CHARACTERS:,} characters")]
        check_depth(text)
        try:
            read = self._rewrite(parse(text, max_tokens=MOST_TOKENS))
            # Without "Did you mean": graphql-core fails on words that have more letters in lower case, such as İ.
            errors = validate(self._schema, read, max_errors=20, hide_suggestions=not text.isascii()) or _limits(read)
        except GraphQLError as error:
            return [error]
        except RecursionError:
            return [_too_large("what can be read at all")]
        if errors:
            # One clear word instead of all the types that the schema does not know either.
            unserved = self._unserved(read)
            return errors if unserved is None else [GraphQLError(unserved, extensions={"code": "not_served"})]
        if len(text) <= LONGEST_KNOWN:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[text] = (read, plan(self._schema, read))
            return self._known[text]
        return read, None


def _limits(document: DocumentNode) -> list[GraphQLError]:
    """Say how a valid document is too large. Fragments count wherever they are spread."""
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}

    @cache
    def of_fragment(name: str) -> tuple[int, int]:
        return measure(fragments[name].selection_set)

    def measure(selections: SelectionSetNode | None) -> tuple[int, int]:
        """Return the depth below, and the number of fields."""
        depth, fields = 0, 0
        for one in selections.selections if selections else ():
            if isinstance(one, FragmentSpreadNode):
                below, its = of_fragment(one.name.value)
            else:
                below, its = measure(getattr(one, "selection_set", None))
                if isinstance(one, FieldNode):
                    below, its = below + 1, its + 1
            depth, fields = max(depth, below), fields + its
        return depth, fields

    for one in document.definitions:
        if isinstance(one, OperationDefinitionNode):
            depth, fields = measure(one.selection_set)
            if depth > MOST_DEPTH:
                return [_too_large(f"{MOST_DEPTH} levels")]
            if fields > MOST_FIELDS:
                return [_too_large(f"{MOST_FIELDS:,} fields")]
            if len(one.selection_set.selections) > MOST_ROOT_FIELDS:
                return [_too_large(f"{MOST_ROOT_FIELDS} fields at its root")]
    return []


def _too_large(limit: str) -> GraphQLError:
    return GraphQLError(f"The document has more than {limit}; ask for less at once.")
