"""From a filter tree to conditions over `interactions`.

Each leaf of the tree is a `Leaf` with two forms that mean the same: `check` is tested on a row at hand, `seek` is a
query for the ids that it holds for. A page scans rows by time and checks them, unless some leaf holds for so few that
seeking them is quicker (pages.py decides). Nested conditions are always checks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    and_,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
    union_all,
)

from afterword.errors import Invalid
from afterword.store.calls import COMPLETE, STATES
from afterword.store.engine.text import TextQuery, Texts, texts_of
from afterword.store.names import Names
from afterword.store.schema import (
    calls,
    feedback,
    hash63,
    interaction_labels,
    interactions,
    label_number,
    labels,
    preferences,
)
from afterword.types import FeedbackCondition, Filter, LabelCondition, Match, Source, TextCondition

SOURCES: tuple[Source, ...] = get_args(Source)
"""The words of `source`; the store holds their places."""

# SQLite's parser nests an alternation of `and` and `or` no more than some 25 times.
MOST_DEPTH = 20
MOST_NODES = 500
# Of all lists of values together: each value is a parameter of the statement, of which some databases take 32,766.
MOST_VALUES = 10_000
# Of all texts to look for together: the index goes through the interactions of each word.
MOST_CHARACTERS = 4_000
# So many alternatives are walked side by side; more are checked together.
MOST_BRANCHES = 16


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A condition that must hold.

    `label` is set where it is one label: its range of the index is in page order. `times` says of a range of time the
    same over another column, and `bounds` are its ends; `models` says of a condition on the model the same over a
    column with 0 for none. `text` are the words of a text condition, which many interactions can be tested for at once.
    It is `costly` to tell how many it holds for where no index has them side by side.
    `branches` are a few alternatives that mean the same, each conditions that must all hold.
    """

    check: ColumnElement[bool]
    seek: Select[Any] | None = None
    label: int | None = None
    times: Callable[[ColumnElement[int]], ColumnElement[bool]] | None = None
    bounds: tuple[int | None, int | None] | None = None
    models: Callable[[ColumnElement[int]], ColumnElement[bool]] | None = None
    text: TextQuery | None = None
    costly: bool = False
    branches: list[list[Leaf]] | None = None


def leaves(connection: Connection, filter: Filter | None, names: Names) -> list[Leaf]:
    """Return the conditions that must all hold: the tree's `and` made flat. Raises `Invalid` and `NotFound`."""
    if filter is None:
        return []
    return _Reader(names, texts_of(connection)).flat(filter, "filter", 1)


class _Reader:
    """Walks a tree; `place` is the path that errors name."""

    def __init__(self, names: Names, texts: Texts) -> None:
        self.names = names
        self.texts = texts
        self.nodes = 0
        self.values = 0
        self.characters = 0
        self.kinds: dict[str, Callable[[Any, str], Leaf]] = {
            "timerange": self.timerange,
            "model": self.model,
            "label": self.label,
            "feedback": self.feedback,
            "preference": self.preference,
            "source": self.source,
            "state": self.state,
            "finish_reason": self.finish_reason,
            "prompt_hash": self.prompt_hash,
            "session_id": self.session_id,
            "user": self.user,
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "completion_id": self.completion_id,
            "prompt": self.prompt,
            "completion": self.completion,
            "text": self.text,
        }

    def flat(self, node: Filter, place: str, depth: int) -> list[Leaf]:
        if node.and_ is None:
            return [self.leaf(node, place, depth)]
        self.only(node, place, depth)
        return [
            leaf
            for index, child in enumerate(node.and_)
            for leaf in self.flat(child, f"{place}.and[{index}]", depth + 1)
        ]

    def only(self, node: Filter, place: str, depth: int) -> str:
        """Return the name of the one condition that a node carries."""
        self.nodes += 1
        if depth > MOST_DEPTH or self.nodes > MOST_NODES:
            raise _too_large(
                f"more than {MOST_DEPTH} levels or {MOST_NODES} conditions",
                place[:200],
                "Use 'in' with a list of values in place of many conditions.",
            )
        given = [name for name in node.__struct_fields__ if getattr(node, name) is not None]
        if not given:
            raise Invalid(
                f"{place} is an empty condition: it says nothing about which interactions are wanted.",
                code="empty_condition",
                param=place,
                hint='Name one condition, such as {"label": {"key": "env"}}; a client may have lost the one you meant. '
                '{"and": []} is everything.',
            )
        if len(given) > 1:
            words = ", ".join(name.rstrip("_") for name in given)
            raise Invalid(
                f"{place} carries {len(given)} conditions ({words}), but a node carries one.",
                code="several_conditions",
                param=place,
                hint='Put them into {"and": [...]}.',
            )
        return given[0]

    def leaf(self, node: Filter, place: str, depth: int, *, negated: bool = False) -> Leaf:
        """Return the condition of a node, or that it does not hold. A `not` is carried down to the leaves."""
        name = self.only(node, place, depth)
        value = getattr(node, name)
        if name == "not_":
            return self.leaf(value, f"{place}.not", depth + 1, negated=not negated)
        if name == "or_" and not negated:
            branches = [self.flat(child, f"{place}.or[{index}]", depth + 1) for index, child in enumerate(value)]
            return _either(branches)
        if name in ("and_", "or_"):
            places = [f"{place}.{name.rstrip('_')}[{index}]" for index in range(len(value))]
            parts = [
                self.leaf(child, its, depth + 1, negated=negated).check
                for child, its in zip(value, places, strict=True)
            ]
            return Leaf(and_(true(), *parts) if (name == "and_") != negated else or_(false(), *parts))
        leaf = self.kinds[name](value, f"{place}.{name}")
        # A comparison with what has no value is neither true nor false: what does not hold is then so.
        return Leaf(not_(func.coalesce(leaf.check, false()))) if negated else leaf

    # ------------------------------------------------------------------------------------ the conditions

    def timerange(self, value: Any, place: str) -> Leaf:
        start = None if value.from_ is None else self.names.moment(value.from_, f"{place}.from")
        end = None if value.to is None else self.names.moment(value.to, f"{place}.to")

        return between(self.names, start, end)

    def model(self, value: Match, place: str) -> Leaf:
        def known(keys: list[str]) -> list[Any]:
            return [number for key in keys if (number := self.names.model(key)) is not None]

        leaf = self.match(value, place, interactions.c.model, known)
        return replace(leaf, models=lambda column: self.match(value, place, column, known).check)

    def source(self, value: Match, place: str) -> Leaf:
        def known(words: list[str]) -> list[Any]:
            for word in words:
                if word not in SOURCES:
                    raise Invalid(
                        f"{place} is {word!r:.80}.",
                        code="unknown_source",
                        param=place,
                        hint=f"Sources are {', '.join(SOURCES)}.",
                    )
            return [SOURCES.index(word) for word in words]

        return Leaf(self.match(value, place, interactions.c.source, known).check)

    def prompt_hash(self, value: Match, place: str) -> Leaf:
        def known(words: list[str]) -> list[Any]:
            return [number for word in words if (number := _hex(word)) is not None]

        return self.match(value, place, interactions.c.prompt_hash, known)

    def user(self, value: Match, place: str) -> Leaf:
        return self.match(value, place, interactions.c.user, list)

    def request_id(self, value: Match, place: str) -> Leaf:
        return self.call_id(value, place, calls.c.request_id, calls.c.provider_request_id, calls.c.response_id)

    def trace_id(self, value: Match, place: str) -> Leaf:
        return self.call_id(value, place, calls.c.trace_id)

    def call_id(self, value: Match, place: str, *columns: ColumnElement[Any]) -> Leaf:
        """Return the condition that a call is known by an id in one of these columns, each of which has an index."""
        wanted, negated = self.wanted(value, place)
        conditions = [column.in_(wanted) for column in columns]
        check = _exists(calls.c.interaction_id == interactions.c.id, or_(*conditions))
        lookups = [select(calls.c.interaction_id).where(condition) for condition in conditions]
        return Leaf(not_(check)) if negated else Leaf(check, union_all(*lookups))  # pyright: ignore

    def completion_id(self, value: Match, place: str) -> Leaf:
        return self.match(value, place, interactions.c.id, lambda words: [_uuid(word, place) for word in words])

    def session_id(self, value: Match, place: str) -> Leaf:
        wanted, negated = self.wanted(value, place)
        ids = [self.names.session(word) for word in wanted]
        # An interaction whose session_id is null is in a session of its own, named by its completion_id.
        member = interactions.c.session_id.in_(ids)
        opener = and_(interactions.c.id.in_(ids), interactions.c.session_id.is_(None))
        if negated:
            return Leaf(not_(or_(func.coalesce(member, false()), opener)))
        return Leaf(or_(member, opener), self._ids(member).union_all(self._ids(opener)))  # pyright: ignore

    def label(self, value: LabelCondition, place: str) -> Leaf:
        project = self.names.project
        if value.value is None:
            with_key = select(labels.c.number).where(labels.c.project == project, labels.c.key == value.key)
            return self._labelled(interaction_labels.c.label.in_(with_key))
        wanted, negated = self.wanted(value.value, f"{place}.value")
        numbers = [label_number(project, value.key, text) for text in wanted]
        held = self._labelled(
            interaction_labels.c.label == numbers[0] if len(numbers) == 1 else interaction_labels.c.label.in_(numbers)
        )
        if negated:
            return Leaf(not_(held.check))
        if len(numbers) == 1:
            return Leaf(held.check, held.seek, numbers[0])
        if len(numbers) > MOST_BRANCHES:
            return held
        each = [(number, self._labelled(interaction_labels.c.label == number)) for number in set(numbers)]
        return replace(held, branches=[[Leaf(one.check, one.seek, number)] for number, one in each])

    def _labelled(self, which: ColumnElement[bool]) -> Leaf:
        check = _exists(
            which,
            interaction_labels.c.created_at == interactions.c.created_at,
            interaction_labels.c.interaction_id == interactions.c.id,
        )
        return Leaf(check, select(interaction_labels.c.interaction_id).where(which))

    def state(self, value: Match, place: str) -> Leaf:
        wanted, negated = self.wanted(value, place)
        for word in wanted:
            if word not in STATES:
                raise Invalid(
                    f"{place} is {word!r:.80}, which is no state of a call.",
                    code="invalid_state",
                    param=place,
                    hint=f"States are {', '.join(STATES)}.",
                )
        numbers = {STATES.index(word) for word in wanted}
        if negated:
            numbers = set(range(len(STATES))) - numbers
        its = calls.c.interaction_id == interactions.c.id
        if COMPLETE in numbers:
            # What was only logged has no call, and is complete.
            return Leaf(not_(_exists(its, calls.c.state.not_in(numbers))))
        # The second condition is that of the index.
        chosen = and_(calls.c.state.in_(numbers), calls.c.state != COMPLETE)
        return Leaf(_exists(its, chosen), select(calls.c.interaction_id).where(chosen))

    def finish_reason(self, value: Match, place: str) -> Leaf:
        wanted, negated = self.wanted(value, place)
        ended = _called(calls.c.finish_reason.in_(wanted))
        return Leaf(not_(ended.check)) if negated else ended

    def feedback(self, value: FeedbackCondition, place: str) -> Leaf:
        if self.names.measured(value.metric):
            return self.measured(value, place)
        metric = self.names.metric(value.metric)
        parts = self.compared(feedback.c.value, value, place)
        if value.reasons is not None:
            parts.append(feedback.c.reason.in_(self.counted(value.reasons, f"{place}.reasons")))
        if value.user is not None:
            parts.append(feedback.c.user == value.user)
        return _under(feedback, metric, *parts)

    def measured(self, value: FeedbackCondition, place: str) -> Leaf:
        for name in ("reasons", "user"):
            if getattr(value, name) is not None:
                raise Invalid(
                    f"{place}.{name} is given, but {value.metric!r} is a system metric: nobody gives its values.",
                    code="invalid_condition",
                    param=f"{place}.{name}",
                    hint="Compare its value, or leave all but the metric out.",
                )
        column = calls.c[value.metric]
        return _called(column.is_not(None), *self.compared(column, value, place))

    def compared(self, column: ColumnElement[Any], value: FeedbackCondition, place: str) -> list[ColumnElement[bool]]:
        """Return the comparisons of a condition with numbers."""
        if value.value is None:
            return []
        given = [
            (sign, number)
            for sign in value.value.__struct_fields__
            if (number := getattr(value.value, sign)) is not None
        ]
        if not given:
            raise Invalid(
                f"{place}.value names no comparison.",
                code="empty_condition",
                param=f"{place}.value",
                hint="Give at least one of eq, neq, gt, gte, lt, lte; or leave value out.",
            )
        return [_SIGNS[sign](column, float(number)) for sign, number in given]

    def preference(self, value: Any, place: str) -> Leaf:
        return _under(preferences, self.names.metric(value.metric))

    def prompt(self, value: TextCondition, place: str) -> Leaf:
        return self._said(value, place, "prompt", interactions.c.prompt_text_hash)

    def completion(self, value: TextCondition, place: str) -> Leaf:
        return self._said(value, place, "completion", interactions.c.completion_text_hash)

    def _said(self, value: TextCondition, place: str, column: str, its_hash: ColumnElement[Any]) -> Leaf:
        if (value.eq is None) == (value.contains is None):
            raise Invalid(f"{place} must have one of eq and contains.", code="invalid_condition", param=place)
        if value.eq is not None:
            return Leaf(its_hash == hash63(value.eq))
        return self._text(lambda text: TextQuery.phrase(text, column), f"{place}.contains", value.contains or "")

    def text(self, value: str, place: str) -> Leaf:
        return self._text(TextQuery.words, place, value)

    def _text(self, read: Callable[[str], TextQuery | None], place: str, given: str) -> Leaf:
        self.characters += len(given)
        if self.characters > MOST_CHARACTERS:
            raise _too_large(
                f"more than {MOST_CHARACTERS:,} characters to look for",
                place,
                "Look for some words of the text, or for exactly the text with eq.",
            )
        query = read(given)
        if query is None:
            raise Invalid(
                f"{place} is {given!r:.80}, which has no word to look for.",
                code="no_words",
                param=place,
                hint="Words are letters and digits.",
            )
        return Leaf(self.texts.check(query, interactions.c.id), self.texts.seek(query), text=query, costly=True)

    def match(
        self, value: Match, place: str, column: ColumnElement[Any], known: Callable[[list[str]], list[Any]]
    ) -> Leaf:
        wanted, negated = self.wanted(value, place)
        values = known(wanted)
        if negated:
            return Leaf(or_(column.is_(None), column.not_in(values)))
        if len(values) == 1:
            return Leaf(column == values[0], self._ids(column == values[0]))
        check = column.in_(values)
        few = set(values) if len(values) <= MOST_BRANCHES else ()
        branches = [[Leaf(column == one, self._ids(column == one))] for one in few]
        return Leaf(check, self._ids(check), branches=branches or None)

    def wanted(self, value: Match, place: str) -> tuple[list[str], bool]:
        """Return the values that a match names, and whether they are excluded."""
        given = [name for name in ("eq", "in_", "neq") if getattr(value, name) is not None]
        if len(given) != 1:
            raise Invalid(
                f"{place} must have one of eq, in and neq; it has {len(given)}.", code="invalid_condition", param=place
            )
        if value.in_ is not None:
            return self.counted(value.in_, f"{place}.in"), False
        return [value.eq if value.eq is not None else value.neq or ""], value.neq is not None

    def counted(self, values: list[str], place: str) -> list[str]:
        """Return the values, if they are not too many with those before."""
        self.values += len(values)
        if self.values > MOST_VALUES:
            raise _too_large(f"more than {MOST_VALUES:,} values in its lists", place, "Send several with fewer values.")
        return values

    def _ids(self, check: ColumnElement[bool]) -> Select[Any]:
        return _ids(self.names, check)


def between(names: Names, start: int | None, end: int | None) -> Leaf:
    """Return the condition that an interaction is from `start` (inclusive) to `end` (exclusive), milliseconds."""

    def within(time: ColumnElement[int]) -> ColumnElement[bool]:
        return and_(true(), *([] if start is None else [time >= start]), *([] if end is None else [time < end]))

    check = within(interactions.c.created_at)
    return Leaf(check, _ids(names, check), times=within, bounds=(start, end))


def _ids(names: Names, check: ColumnElement[bool]) -> Select[Any]:
    return select(interactions.c.id).where(interactions.c.project == names.project, check)


def _either(branches: list[list[Leaf]]) -> Leaf:
    """Return the condition that all conditions of one branch hold."""
    check = or_(false(), *(and_(true(), *(leaf.check for leaf in branch)) for branch in branches))
    return Leaf(check, branches=branches if len(branches) <= MOST_BRANCHES else None)


def _exists(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    # Of the query around it, it means the interaction alone: a walk along a label and the statistics of groups have
    # tables of the same names.
    return exists().where(*conditions).correlate(interactions)


def _under(table: Table, metric: int, *parts: ColumnElement[bool]) -> Leaf:
    """Return the condition that an interaction has a row in `table` under this metric, of which all parts hold."""
    # An expression in place of the column: the few rows of the interaction at hand are looked at. SQLite would take the
    # index by metric and value, which goes through all feedback of the store for each interaction.
    of_the_metric = table.c.metric + literal(0) == metric
    return Leaf(
        _exists(table.c.interaction_id == interactions.c.id, of_the_metric, *parts),
        select(table.c.interaction_id).where(table.c.metric == metric, *parts),
    )


def _called(*parts: ColumnElement[bool]) -> Leaf:
    """Return the condition that an interaction came of a call of which all parts hold.

    To seek it is to go through all calls, whose rows are short: a million in about 0.1 s.
    """
    return Leaf(
        _exists(calls.c.interaction_id == interactions.c.id, *parts),
        select(calls.c.interaction_id).where(*parts),
        costly=True,
    )


_SIGNS: dict[str, Callable[[Any, float], ColumnElement[bool]]] = {
    "eq": lambda column, number: column == number,
    "neq": lambda column, number: column != number,
    "gt": lambda column, number: column > number,
    "gte": lambda column, number: column >= number,
    "lt": lambda column, number: column < number,
    "lte": lambda column, number: column <= number,
}


def _too_large(what: str, place: str, hint: str) -> Invalid:
    return Invalid(f"The filter has {what}.", code="filter_too_large", param=place, hint=hint)


def _uuid(text: str, place: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Invalid(f"{place} is {text[:80]!r}, which is not a UUID.", code="invalid_id", param=place) from None


def _hex(text: str) -> int | None:
    try:
        number = int(text, 16)
    except ValueError:
        return None
    return number if len(text) == 16 and number < 1 << 63 else None
