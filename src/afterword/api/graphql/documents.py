"""GraphQL documents: parsed and validated once, then cached by their text."""

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

from afterword.api.decoding import check_depth
from afterword.api.graphql.fast_path import FastPath, find_fast_path

# Clients repeat a few documents. Beyond this number the cache is cleared, because a client generates them.
DOCUMENT_CACHE_SIZE = 1_000
# Longer documents are not cached. The largest one of the public clients has 4 kB.
MAX_CACHED_CHARACTERS = 20_000
MAX_DOCUMENT_CHARACTERS = 100_000
TOKEN_LIMIT = 10_000
MAX_DOCUMENT_DEPTH = 20
FIELD_LIMIT = 2_000
ROOT_FIELD_LIMIT = 50


class Documents:
    """Parses and validates documents, and caches them.

    `rewrite` makes documents of old clients fit the schema. `describe_unserved` returns a message if an invalid
    document asks for a feature that Afterword lacks.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        rewrite: Callable[[DocumentNode], DocumentNode],
        describe_unserved: Callable[[DocumentNode], str | None],
    ) -> None:
        self._schema = schema
        self._rewrite = rewrite
        self._describe_unserved = describe_unserved
        self._cached_documents: dict[str, tuple[DocumentNode, FastPath | None]] = {}

    def document(self, text: str) -> tuple[DocumentNode, FastPath | None] | list[GraphQLError]:
        """Return a valid document, with its fast path if it has one; or the errors of an invalid document.

        Raises `Invalid` if it is nested too deeply.
        """
        cached_document = self._cached_documents.get(text)
        if cached_document is not None:
            return cached_document
        if len(text) > MAX_DOCUMENT_CHARACTERS:
            return [_too_large(f"{MAX_DOCUMENT_CHARACTERS:,} characters")]
        check_depth(text)
        try:
            document = self._rewrite(parse(text, max_tokens=TOKEN_LIMIT))
            # No "Did you mean" for such text: graphql-core fails on words that grow longer in lower case, such as İ.
            errors = validate(self._schema, document, max_errors=20, hide_suggestions=not text.isascii()) or _limits(
                document
            )
        except GraphQLError as error:
            return [error]
        except RecursionError:
            return [_too_large("what can be read at all")]
        if errors:
            # One clear message, instead of an error for each type that the schema does not know.
            unserved_message = self._describe_unserved(document)
            return (
                errors
                if unserved_message is None
                else [GraphQLError(unserved_message, extensions={"code": "not_served"})]
            )
        if len(text) <= MAX_CACHED_CHARACTERS:
            if len(self._cached_documents) >= DOCUMENT_CACHE_SIZE:
                self._cached_documents.clear()
            self._cached_documents[text] = (document, find_fast_path(self._schema, document))
            return self._cached_documents[text]
        return document, None


def _limits(document: DocumentNode) -> list[GraphQLError]:
    """Return an error if a valid document is too large. A fragment counts wherever it is spread."""
    fragments = {
        definition.name.value: definition
        for definition in document.definitions
        if isinstance(definition, FragmentDefinitionNode)
    }

    @cache
    def of_fragment(name: str) -> tuple[int, int]:
        return measure(fragments[name].selection_set)

    def measure(selections: SelectionSetNode | None) -> tuple[int, int]:
        """Return the depth and the number of fields of a selection set."""
        depth, fields = 0, 0
        for selection in selections.selections if selections else ():
            if isinstance(selection, FragmentSpreadNode):
                depth_below, field_count = of_fragment(selection.name.value)
            else:
                depth_below, field_count = measure(getattr(selection, "selection_set", None))
                if isinstance(selection, FieldNode):
                    depth_below, field_count = depth_below + 1, field_count + 1
            depth, fields = max(depth, depth_below), fields + field_count
        return depth, fields

    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            depth, fields = measure(definition.selection_set)
            if depth > MAX_DOCUMENT_DEPTH:
                return [_too_large(f"{MAX_DOCUMENT_DEPTH} levels")]
            if fields > FIELD_LIMIT:
                return [_too_large(f"{FIELD_LIMIT:,} fields")]
            if len(definition.selection_set.selections) > ROOT_FIELD_LIMIT:
                return [_too_large(f"{ROOT_FIELD_LIMIT} fields at its root")]
    return []


def _too_large(limit: str) -> GraphQLError:
    return GraphQLError(f"The document has more than {limit}; ask for less at once.")
