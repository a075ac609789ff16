"""Compile a filter tree to conditions over `interactions`.

Each node of the tree becomes a `Condition` with two equivalent forms: `check` is tested on a row, `lookup` is a query
for the ids that it matches. A page scans rows by time and checks them, unless a condition matches so few that a lookup
is faster (plan.py decides). Nested conditions are always checks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    false,
    func,
    not_,
    or_,
    select,
    true,
    union_all,
)

from afterword.errors import Invalid
from afterword.ids import find_uuid_of_answer
from afterword.message_words import CONTENTS, MAX_TOOL_CHARACTERS
from afterword.store.calls import COMPLETE, STATES
from afterword.store.engine.text_search import TextQuery, Texts
from afterword.store.query.condition import MAX_BRANCH_COUNT, Condition, any_branch
from afterword.store.query.names import Names
from afterword.store.query.rating_conditions import (
    call_condition,
    comparisons,
    exists_for_interaction,
    metric_condition,
    outcome_condition,
)
from afterword.store.schema import (
    calls,
    content_number,
    feedback,
    hash63,
    interaction_labels,
    interactions,
    label_number,
    labels,
    metadata,
    outcomes,
    preferences,
)
from afterword.types import (
    FeedbackCondition,
    Filter,
    LabelCondition,
    LoggedOperation,
    Match,
    OutcomeCondition,
    Source,
    TextCondition,
)
from afterword.types.field import Comparison, Field
from afterword.types.fields import FIELDS

SOURCES: tuple[Source, ...] = get_args(Source)
"""The words of `source`; the store holds their indexes in this tuple."""
OPERATIONS: tuple[LoggedOperation, ...] = get_args(LoggedOperation)
CHAT: LoggedOperation = "chat"
"""The operation of most interactions: the store holds null for it."""

# SQLite's parser allows about 25 levels of alternating `and` and `or`.
MAX_DEPTH = 20
MAX_CONDITION_COUNT = 500
# Upper bound over all lists of a filter together: each value is a parameter, and a SQLite statement takes 32,766.
MAX_VALUE_COUNT = 10_000
# Upper bound over all search texts of a filter together: the index reads the interactions of each word.
MAX_TEXT_CHARACTERS = 4_000


def compile_filter(filter: Filter | None, names: Names, texts: Texts) -> list[Condition]:
    """Return the conditions that must all hold, with `and` flattened. Raises `Invalid` and `NotFound`."""
    return [] if filter is None else _FilterCompiler(names, texts).compile_all(filter, "filter", 1)


class _FilterCompiler:
    """Compiles the nodes of one filter. `path` is the path to a node that errors name."""

    def __init__(self, names: Names, texts: Texts) -> None:
        self.names = names
        self.texts = texts
        self.nodes = 0
        self.values = 0
        self.characters = 0
        self.repeats = False
        self.compilers: dict[Comparison, Callable[[Any, str], Condition]] = {
            "timerange": self.timerange,
            "model": self.model,
            "label": self.label,
            "feedback": self.feedback,
            "preference": self.preference,
            "outcome": self.outcome,
            "source": self.source,
            "operation": self.operation,
            "state": self.state,
            "prompt_hash": self.prompt_hash,
            "session": self.session,
            "words": self.words,
            "has": self.has,
            "tool": self.tool,
        }

    def compile_all(self, node: Filter, path: str, depth: int) -> list[Condition]:
        if node.and_ is None and node.repeats is None:
            return [self.compile_node(node, path, depth)]
        self.condition_name(node, path, depth)
        if node.repeats is not None:
            with self.with_repeats():
                return self.compile_all(node.repeats, f"{path}.repeats", depth + 1)
        assert node.and_ is not None
        return [
            condition
            for index, child in enumerate(node.and_)
            for condition in self.compile_all(child, f"{path}.and[{index}]", depth + 1)
        ]

    @contextmanager
    def with_repeats(self) -> Iterator[None]:
        """Compile conditions on words so that turns also match by what they repeat of earlier ones."""
        before, self.repeats = self.repeats, True
        yield
        self.repeats = before

    def condition_name(self, node: Filter, path: str, depth: int) -> str:
        """Return the name of the one condition that a node carries."""
        self.nodes += 1
        if depth > MAX_DEPTH or self.nodes > MAX_CONDITION_COUNT:
            raise _too_large(
                f"more than {MAX_DEPTH} levels or {MAX_CONDITION_COUNT} conditions",
                path[:200],
                "Use 'in' with a list of values in place of many conditions.",
            )
        condition_names = [name for name in node.__struct_fields__ if getattr(node, name) is not None]
        if not condition_names:
            raise Invalid(
                f"{path} is an empty condition: it says nothing about which interactions are wanted.",
                code="empty_condition",
                param=path,
                hint='Name one condition, such as {"label": {"key": "env"}}; a client may have lost the one you meant. '
                '{"and": []} is everything.',
            )
        if len(condition_names) > 1:
            words = ", ".join(name.rstrip("_") for name in condition_names)
            raise Invalid(
                f"{path} carries {len(condition_names)} conditions ({words}), but a node carries one.",
                code="several_conditions",
                param=path,
                hint='Put them into {"and": [...]}.',
            )
        return condition_names[0]

    def compile_node(self, node: Filter, path: str, depth: int, *, negated: bool = False) -> Condition:
        """Return the condition of a node, or its negation. A `not` is pushed down to the leaves."""
        name = self.condition_name(node, path, depth)
        value = getattr(node, name)
        if name == "not_":
            return self.compile_node(value, f"{path}.not", depth + 1, negated=not negated)
        if name == "repeats":
            with self.with_repeats():
                return self.compile_node(value, f"{path}.repeats", depth + 1, negated=negated)
        if name == "or_" and not negated:
            branches = [self.compile_all(child, f"{path}.or[{index}]", depth + 1) for index, child in enumerate(value)]
            return any_branch(branches, path)
        if name in ("and_", "or_"):
            paths = [f"{path}.{name.rstrip('_')}[{index}]" for index in range(len(value))]
            parts = [
                self.compile_node(child, child_path, depth + 1, negated=negated).check
                for child, child_path in zip(value, paths, strict=True)
            ]
            is_and = (name == "and_") != negated
            return Condition(and_(true(), *parts) if is_and else or_(false(), *parts), path=path)
        path = f"{path}.{name}"
        condition = self.compile_condition(_FIELDS[name], value, path)
        # A comparison with null is neither true nor false: treat it as false before the negation.
        return replace(Condition(not_(func.coalesce(condition.check, false()))) if negated else condition, path=path)

    # ------------------------------------------------------------------------------------ the conditions

    def compile_condition(self, field: Field, value: Any, path: str) -> Condition:
        """Return the condition of one field, by its row in the table of fields."""
        columns = _COLUMNS[field.name]
        match field.compared_as:
            case "text":
                return self.match(value, path, columns[0], list)
            case "call_text":
                return self.call_text(value, path, columns[0])
            case "call_id":
                return self.call_id(value, path, *columns)
            case "id":
                return self.match(value, path, columns[0], lambda words: [_uuid(word, path) for word in words])
            case "phrase":
                return self.phrase(value, path, field.name, *columns)
            case comparison:
                return self.compilers[comparison](value, path)

    def timerange(self, value: Any, path: str) -> Condition:
        start = None if value.from_ is None else self.names.moment(value.from_, f"{path}.from")
        end = None if value.to is None else self.names.moment(value.to, f"{path}.to")
        return time_condition(self.names, start, end)

    def model(self, value: Match, path: str) -> Condition:
        def model_numbers(keys: list[str]) -> list[Any]:
            return [number for key in keys if (number := self.names.model(key)) is not None]

        condition = self.match(value, path, interactions.c.model, model_numbers)
        return replace(condition, model_check=lambda column: self.match(value, path, column, model_numbers).check)

    def source(self, value: Match, path: str) -> Condition:
        def source_indexes(words: list[str]) -> list[Any]:
            for word in words:
                if word not in SOURCES:
                    raise Invalid(
                        f"{path} is {word!r:.80}.",
                        code="unknown_source",
                        param=path,
                        hint=f"Sources are {', '.join(SOURCES)}.",
                    )
            return [SOURCES.index(word) for word in words]

        return Condition(self.match(value, path, interactions.c.source, source_indexes).check)

    def prompt_hash(self, value: Match, path: str) -> Condition:
        def hashes(words: list[str]) -> list[Any]:
            return [number for word in words if (number := _hex(word)) is not None]

        return self.match(value, path, interactions.c.prompt_hash, hashes)

    def call_id(self, value: Match, path: str, *columns: ColumnElement[Any]) -> Condition:
        """Return the condition that a call has an id in one of these columns, each of which has an index."""
        texts, negated = self.matched_texts(value, path)
        conditions = [column.in_(texts) for column in columns]
        check = exists_for_interaction(calls.c.interaction_id == interactions.c.id, or_(*conditions))
        lookups = [select(calls.c.interaction_id).where(condition) for condition in conditions]
        return Condition(not_(check)) if negated else Condition(check, union_all(*lookups))  # pyright: ignore

    def session(self, value: Match, path: str) -> Condition:
        texts, negated = self.matched_texts(value, path)
        ids = [self.names.session(word) for word in texts]
        # An interaction whose session_id is null is in a session of its own, named by its completion_id.
        member = interactions.c.session_id.in_(ids)
        opener = and_(interactions.c.id.in_(ids), interactions.c.session_id.is_(None))
        if negated:
            return Condition(not_(or_(func.coalesce(member, false()), opener)))
        return Condition(or_(member, opener), self._ids(member).union_all(self._ids(opener)))  # pyright: ignore

    def label(self, value: LabelCondition, path: str) -> Condition:
        project = self.names.project
        if value.value is None:
            with_key = select(labels.c.number).where(labels.c.project == project, labels.c.key == value.key)
            return self._label_condition(interaction_labels.c.label.in_(with_key))
        texts, negated = self.matched_texts(value.value, f"{path}.value")
        numbers = [label_number(project, value.key, text) for text in texts]
        condition = self._label_condition(
            interaction_labels.c.label == numbers[0] if len(numbers) == 1 else interaction_labels.c.label.in_(numbers)
        )
        if negated:
            return Condition(not_(condition.check))
        if len(numbers) == 1:
            return Condition(condition.check, condition.lookup, numbers[0])
        if len(numbers) > MAX_BRANCH_COUNT:
            return condition
        branches = [(number, self._label_condition(interaction_labels.c.label == number)) for number in set(numbers)]
        label_branches = [[Condition(branch.check, branch.lookup, number, path=path)] for number, branch in branches]
        return replace(condition, branches=label_branches)

    def has(self, value: Match, path: str) -> Condition:
        for word in (*(value.in_ or ()), value.eq, value.neq):
            if word is not None and word not in CONTENTS:
                raise Invalid(
                    f"{path} is {word!r:.80}.",
                    code="unknown_content",
                    param=path,
                    hint=f"An interaction may have {', '.join(CONTENTS)}; feedback is found by has_feedback.",
                )
        return self._content_condition(value, path, "")

    def tool(self, value: Match, path: str) -> Condition:
        return self._content_condition(value, path, "tool:")

    def _content_condition(self, value: Match, path: str, prefix: str) -> Condition:
        texts, negated = self.matched_texts(value, path)
        numbers = [content_number(self.names.project, prefix + text[:MAX_TOOL_CHARACTERS]) for text in texts]
        condition = self._label_condition(interaction_labels.c.label.in_(numbers))
        return Condition(not_(condition.check)) if negated else condition

    def _label_condition(self, which: ColumnElement[bool]) -> Condition:
        check = exists_for_interaction(
            which,
            interaction_labels.c.created_at == interactions.c.created_at,
            interaction_labels.c.interaction_id == interactions.c.id,
        )
        return Condition(check, select(interaction_labels.c.interaction_id).where(which))

    def operation(self, value: Match, path: str) -> Condition:
        texts, negated = self.matched_texts(value, path)
        for word in texts:
            if word not in OPERATIONS:
                raise Invalid(
                    f"{path} is {word!r:.80}, which is no operation.",
                    code="unknown_operation",
                    param=path,
                    hint=f"Operations are {', '.join(OPERATIONS)}.",
                )
        operations = set(OPERATIONS) - set(texts) if negated else set(texts)
        column = interactions.c.operation
        condition = column.in_(sorted(operations - {CHAT}))
        if CHAT in operations:
            return Condition(or_(column.is_(None), condition))
        return Condition(condition, self._ids(condition))

    def state(self, value: Match, path: str) -> Condition:
        texts, negated = self.matched_texts(value, path)
        for word in texts:
            if word not in STATES:
                raise Invalid(
                    f"{path} is {word!r:.80}, which is no state of a call.",
                    code="invalid_state",
                    param=path,
                    hint=f"States are {', '.join(STATES)}.",
                )
        numbers = {STATES.index(word) for word in texts}
        if negated:
            numbers = set(range(len(STATES))) - numbers
        same_interaction = calls.c.interaction_id == interactions.c.id
        if COMPLETE in numbers:
            # An interaction that was only logged has no call, and is complete.
            return Condition(not_(exists_for_interaction(same_interaction, calls.c.state.not_in(numbers))))
        # The second condition repeats that of the partial index, so that the database can use the index.
        state_condition = and_(calls.c.state.in_(numbers), calls.c.state != COMPLETE)
        return Condition(
            exists_for_interaction(same_interaction, state_condition),
            select(calls.c.interaction_id).where(state_condition),
        )

    def call_text(self, value: Match, path: str, column: ColumnElement[Any]) -> Condition:
        texts, negated = self.matched_texts(value, path)
        condition = call_condition(column.in_(texts))
        return Condition(not_(condition.check)) if negated else condition

    def feedback(self, value: FeedbackCondition, path: str) -> Condition:
        if self.names.measured(value.metric):
            return self.system_metric(value, path)
        metric = self.names.metric(value.metric)
        parts = comparisons(feedback.c.value, value.value, path)
        if value.reasons is not None:
            parts.append(feedback.c.reason.in_(self.limited_texts(value.reasons, f"{path}.reasons")))
        if value.user is not None:
            parts.append(feedback.c.user == value.user)
        return metric_condition(feedback, metric, *parts)

    def system_metric(self, value: FeedbackCondition, path: str) -> Condition:
        for name in ("reasons", "user"):
            if getattr(value, name) is not None:
                raise Invalid(
                    f"{path}.{name} is given, but {value.metric!r} is a system metric: nobody gives its values.",
                    code="invalid_condition",
                    param=f"{path}.{name}",
                    hint="Compare its value, or leave all but the metric out.",
                )
        column = calls.c[value.metric]
        return call_condition(column.is_not(None), *comparisons(column, value.value, path))

    def preference(self, value: Any, path: str) -> Condition:
        return metric_condition(preferences, self.names.metric(value.metric))

    def outcome(self, value: OutcomeCondition, path: str) -> Condition:
        parts = comparisons(outcomes.c.value, value.value, path)
        if value.user is not None:
            parts.append(outcomes.c.user == value.user)
        return outcome_condition(self.names.project, self.names.metric(value.metric), *parts)

    def phrase(
        self, value: TextCondition, path: str, name: str, hash_column: ColumnElement[Any] | None = None
    ) -> Condition:
        if (value.eq is None) == (value.contains is None):
            raise Invalid(f"{path} must have one of eq and contains.", code="invalid_condition", param=path)
        if value.eq is not None and hash_column is None:
            raise Invalid(f"{path} can only be searched with contains.", code="invalid_condition", param=f"{path}.eq")
        if value.eq is not None:
            return Condition(hash_column == hash63(value.eq))
        phrase = lambda text: TextQuery.phrase(text, name, repeats=self.repeats)  # noqa: E731
        return self._words_condition(phrase, f"{path}.contains", value.contains or "")

    def words(self, value: str, path: str) -> Condition:
        words = lambda text: TextQuery.words(text, repeats=self.repeats)  # noqa: E731
        return self._words_condition(words, path, value)

    def _words_condition(self, parse: Callable[[str], TextQuery | None], path: str, text: str) -> Condition:
        self.characters += len(text)
        if self.characters > MAX_TEXT_CHARACTERS:
            raise _too_large(
                f"more than {MAX_TEXT_CHARACTERS:,} characters to look for",
                path,
                "Look for some words of the text, or for exactly the text with eq.",
            )
        query = parse(text)
        if query is None:
            raise Invalid(
                f"{path} is {text!r:.80}, which has no word to look for.",
                code="no_words",
                param=path,
                hint="Words are letters and digits.",
            )
        return Condition(
            self.texts.check(query, interactions.c.id), self.texts.lookup(query), text=query, is_costly=True
        )

    def match(
        self, value: Match, path: str, column: ColumnElement[Any], to_column_values: Callable[[list[str]], list[Any]]
    ) -> Condition:
        texts, negated = self.matched_texts(value, path)
        values = to_column_values(texts)
        if negated:
            return Condition(or_(column.is_(None), column.not_in(values)))
        if len(values) == 1:
            return Condition(column == values[0], self._ids(column == values[0]))
        check = column.in_(values)
        distinct_values = set(values) if len(values) <= MAX_BRANCH_COUNT else ()
        checks = [column == distinct_value for distinct_value in distinct_values]
        branches = [[Condition(check, self._ids(check), path=path)] for check in checks]
        return Condition(check, self._ids(check), branches=branches or None)

    def matched_texts(self, value: Match, path: str) -> tuple[list[str], bool]:
        """Return the values that a match names, and whether they are excluded."""
        operators = [name for name in ("eq", "in_", "neq") if getattr(value, name) is not None]
        if len(operators) != 1:
            raise Invalid(
                f"{path} must have one of eq, in and neq; it has {len(operators)}.",
                code="invalid_condition",
                param=path,
            )
        if value.in_ is not None:
            return self.limited_texts(value.in_, f"{path}.in"), False
        return [value.eq if value.eq is not None else value.neq or ""], value.neq is not None

    def limited_texts(self, values: list[str], path: str) -> list[str]:
        """Return the values. Raises `Invalid` if the filter's lists together hold more than `MAX_VALUE_COUNT`."""
        self.values += len(values)
        if self.values > MAX_VALUE_COUNT:
            excess = f"more than {MAX_VALUE_COUNT:,} values in its lists"
            raise _too_large(excess, path, "Send several with fewer values.")
        return values

    def _ids(self, check: ColumnElement[bool]) -> Select[Any]:
        return _ids(self.names, check)


def time_condition(names: Names, start: int | None, end: int | None) -> Condition:
    """Return the condition that an interaction is from `start` (inclusive) to `end` (exclusive), milliseconds."""

    def in_range(time: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(true(), *([] if start is None else [time >= start]), *([] if end is None else [time < end]))

    check = in_range(interactions.c.created_at)
    return Condition(check, _ids(names, check), time_check=in_range, bounds=(start, end))


def _ids(names: Names, check: ColumnElement[bool]) -> Select[Any]:
    return select(interactions.c.id).where(interactions.c.project == names.project, check)


_FIELDS = {field.name: field for field in FIELDS}
_COLUMNS = {
    field.name: [metadata.tables[table].c[column] for table, column in (path.split(".") for path in field.columns)]
    for field in FIELDS
}


def _too_large(what: str, path: str, hint: str) -> Invalid:
    return Invalid(f"The filter has {what}.", code="filter_too_large", param=path, hint=hint)


def _uuid(text: str, path: str) -> UUID:
    try:
        return find_uuid_of_answer(text) or UUID(text)
    except ValueError:
        raise Invalid(f"{path} is {text[:80]!r}, which is not a UUID.", code="invalid_id", param=path) from None


def _hex(text: str) -> int | None:
    try:
        number = int(text, 16)
    except ValueError:
        return None
    return number if len(text) == 16 and number < 1 << 63 else None
