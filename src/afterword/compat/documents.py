"""Old documents of GraphQL: one root field whose answer was a text, and today is an object.

adaptive-sdk up to 0.1.12 asks `deployModel` for no members. One field cannot be both, so that such a field is renamed
before the document is checked; it keeps its key in the answer.
"""

from __future__ import annotations

from typing import Any

LEGACY = {"deployModel": "deployModelLegacy"}


def document(document: Any) -> Any:
    """Return a parsed document with the root fields renamed that ask for a text."""
    if not any(_is_old(field) for field in _root_fields(document)):
        return document
    from graphql import DocumentNode, FieldNode, NameNode, OperationDefinitionNode, SelectionSetNode

    def lifted(field: Any) -> Any:
        if not _is_old(field):
            return field
        name = field.name.value
        return FieldNode(
            name=NameNode(value=LEGACY[name]),
            alias=field.alias or NameNode(value=name),
            arguments=field.arguments,
            directives=field.directives,
        )

    def changed(definition: Any) -> Any:
        if not isinstance(definition, OperationDefinitionNode):
            return definition
        selections = tuple(lifted(field) for field in definition.selection_set.selections)
        given = {name: getattr(definition, name) for name in definition.keys}
        return OperationDefinitionNode(**{**given, "selection_set": SelectionSetNode(selections=selections)})

    return DocumentNode(definitions=tuple(changed(one) for one in document.definitions))


def _root_fields(document: Any) -> list[Any]:
    operations = (one for one in document.definitions if one.kind == "operation_definition")
    return [field for one in operations for field in one.selection_set.selections]


def _is_old(field: Any) -> bool:
    return field.kind == "field" and field.name.value in LEGACY and field.selection_set is None
