"""The scalars of the schema, and the values of its enums."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import Any
from uuid import UUID

from graphql import GraphQLEnumType, GraphQLError, GraphQLScalarType, GraphQLSchema

from afterword.ids import find_uuid_of_answer

# Enums whose values in REST are the same words in lower case.
LOWERCASE_ENUMS = (
    *("MetricKind", "MetricScoringType", "MetricCategory", "UserType", "SelectionTypeInput"),
    *("DatasetVotes", "DatasetDuplicates", "DatasetSplitBy", "UnfinishedAnswer"),
)


def set_up(schema: GraphQLSchema) -> None:
    """Set the conversions of the scalars of a schema, and the values of its enums."""
    for name, (parse, serialize) in SCALARS.items():
        scalar = schema.type_map[name]
        assert isinstance(scalar, GraphQLScalarType)
        if parse is not None:
            scalar.parse_value = scalar.coerce_input_value = parse  # pyright: ignore[reportAttributeAccessIssue]
        if serialize is not None:
            scalar.serialize = scalar.coerce_output_value = serialize  # pyright: ignore[reportAttributeAccessIssue]
    for name in LOWERCASE_ENUMS:
        enum = schema.type_map[name]
        assert isinstance(enum, GraphQLEnumType)
        for word, value in enum.values.items():
            value.value = word.lower()


def _suggest_for_any_letter() -> None:
    """Fix graphql-core's suggestions for words that grow longer in lower case, such as `İ`.

    graphql-core measures the word before it converts it to lower case, and then fails.
    """
    suggestion_module: Any = import_module("graphql.pyutils.suggestion_list")

    class Distance(suggestion_module.LexicalDistance):
        def __init__(self, word: str) -> None:
            super().__init__(word)
            self._rows = [[0] * (len(word.lower()) + 1) for _ in range(3)]

    suggestion_module.LexicalDistance = Distance


_suggest_for_any_letter()


def _uuid(value: Any) -> UUID | str:
    if isinstance(value, str) and find_uuid_of_answer(value):
        # Left to `resolve_completion_id`, which knows whether the answer had several choices.
        return value
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise GraphQLError(f"{value!r:.80} is not a UUID, such as 0192d3a4-5b6c-7d8e-9f00-112233445566.") from None


def _id_or_key(value: Any) -> str:
    if not isinstance(value, str):
        raise GraphQLError(f"{value!r:.80} is neither an id nor a key: both are texts.")
    return value


def _input_time(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise GraphQLError(f"{value!r:.80} is no time.")
    return value


def _milliseconds(value: Any) -> int:
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else int(value)


def _rfc3339(value: Any) -> str:
    moment = value if isinstance(value, datetime) else datetime.fromtimestamp(value / 1000, UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


SCALARS: dict[str, tuple[Any, Any]] = {
    "UUID": (_uuid, str),
    "IdOrKey": (_id_or_key, str),
    "Timestamp": (None, _milliseconds),
    "DateTime": (None, _rfc3339),
    "InputDatetime": (_input_time, None),
    "ModelSize": (None, str),
}
"""For each scalar, the function that parses variables and the one that serializes; None keeps the default."""
