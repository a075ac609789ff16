"""Plans to read the interactions that match a filter, and the choice between them.

A plan is a value, made from conditions and the counts of probes; `matches.py` and `scan.py` run it. Which plan is the
fastest depends on how many interactions each condition matches:

    TimeScan    scan the project's interactions by time and check each; best when most of them match
    LabelScan   scan the interactions of one label by time (a range of the label index) and check the other conditions
    Lookup      fetch the few ids that a selective condition matches and check the other conditions
    TextSearch  read interactions by one of these, and search them for words, many at once
    Merge       read a page of each of a few alternatives, each with its own plan, and merge the pages
    JoinedRows  check the rows of the caller's own join

A `Probe` that stops after `SELECTIVE_ROWS` rows tells selective conditions from frequent ones, whatever the size of the
store. Where even the probe is slow (words, and metrics of calls), the first rows of the scan are checked before it:
they often fill the page. Of several labels, the scan takes the one whose last interactions before the cursor reach back
the furthest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from afterword.store.query.condition import Condition

# A condition that matches fewer interactions than this is looked up for a page.
SELECTIVE_ROWS = 10_000
# Rows to scan before counting whether a lookup of up to `MAX_LOOKUP_ROWS` ids is faster: the matches may all lie far
# away, such as the values of a metric that is no longer used. `LONG_SCAN_ROWS` applies where counting takes seconds;
# then `FIRST_SCAN_ROWS` are scanned before any probe.
FIRST_SCAN_ROWS = 1_000
SCAN_ROWS = 20_000
LONG_SCAN_ROWS = 200_000
# Counts and groups need all matches: they look up a condition that matches up to this many interactions.
MAX_LOOKUP_ROWS = 400_000

RowCounter: TypeAlias = Callable[[Condition, int], int]
"""Returns how many interactions a condition matches, but at most the given number."""
LabelReach: TypeAlias = Callable[[Condition], int | None]
"""Returns how far a fixed number of a label's interactions reaches along the scan: a time in milliseconds that grows in
the direction of the scan. Returns None if the label has no more interactions."""


@dataclass(frozen=True, slots=True)
class TimeScan:
    """Scan the project's interactions by time, and check each.

    If `max_rows` is set, the scan stops after that many rows, even if the page is not full.
    """

    checks: tuple[Condition, ...]
    max_rows: int | None = None

    def explain(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {"plan": "time_scan", "max_rows": self.max_rows, "checks": _paths(self.checks)}


@dataclass(frozen=True, slots=True)
class LabelScan:
    """Scan the interactions with one label by time, and check each; `max_rows` is as for `TimeScan`."""

    label: Condition
    checks: tuple[Condition, ...]
    max_rows: int | None = None

    def explain(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {
            "plan": "label_scan",
            "condition": self.label.path,
            "max_rows": self.max_rows,
            "checks": _paths(self.checks),
        }


@dataclass(frozen=True, slots=True)
class Lookup:
    """Fetch the interactions that one condition matches, `row_count` of all projects together, and check each."""

    condition: Condition
    row_count: int
    checks: tuple[Condition, ...]

    def explain(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {
            "plan": "lookup",
            "condition": self.condition.path,
            "row_count": self.row_count,
            "checks": _paths(self.checks),
        }


@dataclass(frozen=True, slots=True)
class TextSearch:
    """Read interactions by another plan, and search them for words in chunks."""

    rows: TimeScan | LabelScan | Lookup
    texts: tuple[Condition, ...]

    def explain(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {**self.rows.explain(), "texts": _paths(self.texts)}


@dataclass(frozen=True, slots=True)
class Merge:
    """Read a page of each branch of one condition and merge the pages.

    A branch is a list of conditions that must all hold, and has its own plan. `frequent` are conditions that are known
    not to be selective, so that this plan need not count them again.
    """

    condition: Condition
    branches: tuple[tuple[Condition, ...], ...]
    frequent: tuple[Condition, ...]

    def explain(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {"plan": "merge", "condition": self.condition.path, "branch_count": len(self.branches)}


@dataclass(frozen=True, slots=True)
class JoinedRows:
    """Check each interaction that the caller's join reads."""

    checks: tuple[Condition, ...]

    def explain(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {"plan": "joined_rows", "checks": _paths(self.checks)}


@dataclass(frozen=True, slots=True)
class Probe:
    """Count the interactions that a condition matches, but at most `max_rows`, to decide on a plan."""

    condition: Condition
    max_rows: int

    def explain(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {"plan": "probe", "condition": self.condition.path, "max_rows": self.max_rows}


RowPlan: TypeAlias = TimeScan | LabelScan | Lookup
PagePlan: TypeAlias = RowPlan | TextSearch | Merge
MatchPlan: TypeAlias = TimeScan | Lookup | JoinedRows
CountPlan: TypeAlias = LabelScan | MatchPlan
Plan: TypeAlias = PagePlan | CountPlan | Probe


def plan_page(
    conditions: Sequence[Condition],
    count_rows: RowCounter,
    label_reach: LabelReach,
    *,
    frequent: Sequence[Condition] = (),
    is_branch: bool = False,
) -> Iterator[PagePlan]:
    """Yield the plans for a page, in the order to try them.

    A plan with `max_rows` may not fill the page; then the caller runs the next one. The last plan has no `max_rows`.
    Probes are run only when the caller asks for the next plan. `frequent` are conditions that are known not to be
    selective. The alternatives of a branch are not merged again.
    """

    @cache
    def label() -> Condition | None:
        return _label_to_scan(conditions, label_reach)

    # Labels and time ranges are scanned in page order: even a few matches need no sorting.
    lookup_conditions = [
        condition
        for condition in conditions
        if condition.label is None and condition.time_check is None and condition.lookup is not None
    ]
    is_costly = any(condition.is_costly for condition in lookup_conditions)
    if is_costly:
        yield _scan(conditions, label(), FIRST_SCAN_ROWS)
    uncounted = [condition for condition in lookup_conditions if condition not in frequent]
    selective = _most_selective(uncounted, SELECTIVE_ROWS, count_rows)
    if selective is not None:
        yield _lookup(conditions, selective)
        return
    alternatives = next((condition for condition in conditions if condition.branches is not None), None)
    if alternatives is not None and alternatives.branches is not None and not is_branch:
        others = [condition for condition in conditions if condition is not alternatives]
        branches = tuple((*branch, *others) for branch in alternatives.branches)
        yield Merge(alternatives, branches, tuple(lookup_conditions))
        return
    if lookup_conditions:
        # A frequent condition may still match none of the interactions near the cursor.
        yield _scan(conditions, label(), SCAN_ROWS)
        if is_costly:
            yield _scan(conditions, label(), LONG_SCAN_ROWS)
        selective = _most_selective(lookup_conditions, MAX_LOOKUP_ROWS, count_rows)
    yield _scan(conditions, label()) if selective is None else _lookup(conditions, selective)


def plan_matches(conditions: Sequence[Condition], count_rows: RowCounter, *, is_joined: bool = False) -> MatchPlan:
    """Return the plan to read all matches.

    `is_joined` says that the caller joins a table on which it has a condition of its own: unless a condition is
    selective, the rows of the join are checked.
    """
    selective = _most_selective(conditions, MAX_LOOKUP_ROWS, count_rows)
    if selective is None:
        return JoinedRows(tuple(conditions)) if is_joined else TimeScan(tuple(conditions))
    if selective.condition.time_check is not None:
        # A time range is a range of the index already.
        return TimeScan(tuple(conditions))
    return Lookup(selective.condition, selective.row_count, _without(conditions, selective.condition))


def plan_count(conditions: Sequence[Condition], count_rows: RowCounter) -> CountPlan:
    """Return the plan to count all matches: a `LabelScan` if the label index alone has the answer."""
    labels = [condition for condition in conditions if condition.label is not None]
    if labels and all(condition.label is not None or condition.time_check is not None for condition in conditions):
        # Scan the label with the fewest interactions.
        selective = _most_selective(labels, MAX_LOOKUP_ROWS, count_rows)
        label = labels[0] if selective is None else selective.condition
        return LabelScan(label, _without(conditions, label))
    return plan_matches(conditions, count_rows)


class _SelectiveCondition(NamedTuple):
    condition: Condition
    row_count: int


def _most_selective(
    conditions: Sequence[Condition], max_rows: int, count_rows: RowCounter
) -> _SelectiveCondition | None:
    """Return the condition that matches the fewest interactions, if they are fewer than `max_rows`."""
    best: _SelectiveCondition | None = None
    for condition in conditions:
        if condition.lookup is not None and (row_count := count_rows(condition, max_rows)) < max_rows:
            best, max_rows = _SelectiveCondition(condition, row_count), row_count
    return best


def _label_to_scan(conditions: Sequence[Condition], label_reach: LabelReach) -> Condition | None:
    """Return the label whose interactions near the cursor reach the furthest; None if no condition is a label."""
    labels = [condition for condition in conditions if condition.label is not None]
    if len(labels) < 2:
        return labels[0] if labels else None
    extents: list[int] = []
    for label in labels:
        extent = label_reach(label)
        if extent is None:
            return label
        extents.append(extent)
    return labels[extents.index(max(extents))]


def _scan(
    conditions: Sequence[Condition], label: Condition | None, max_rows: int | None = None
) -> TimeScan | LabelScan | TextSearch:
    checks, texts = _checks_and_texts(conditions, label)
    scan = TimeScan(checks, max_rows) if label is None else LabelScan(label, checks, max_rows)
    return TextSearch(scan, texts) if texts else scan


def _lookup(conditions: Sequence[Condition], selective: _SelectiveCondition) -> Lookup | TextSearch:
    checks, texts = _checks_and_texts(conditions, selective.condition)
    lookup = Lookup(*selective, checks)
    return TextSearch(lookup, texts) if texts else lookup


def _checks_and_texts(
    conditions: Sequence[Condition], driving: Condition | None
) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
    """Return the conditions beside the one that drives a plan: those to check on each row, and those on words."""
    others = _without(conditions, driving)
    return (
        tuple(condition for condition in others if condition.text is None),
        tuple(condition for condition in others if condition.text is not None),
    )


def _without(conditions: Sequence[Condition], driving: Condition | None) -> tuple[Condition, ...]:
    return tuple(condition for condition in conditions if condition is not driving)


def _paths(conditions: Sequence[Condition]) -> list[str]:
    return [condition.path for condition in conditions]
