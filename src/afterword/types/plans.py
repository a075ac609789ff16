"""How a filter was read: the plans that ran for a page, a count or groups."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from afterword.types.base import Output

EXPLAIN = Meta(
    description="Answer in `explain` how the filter was read, to report a slow one. For keys that administer the whole "
    "server."
)

EXPLAINED = Meta(description="The plans that were run, in their order; only where `explain` was asked for.")


class PlanStep(Output):
    """A plan that ran, with its result and duration. Conditions are named by their path in the filter, or by their
    parameter."""

    purpose: Annotated[
        Literal["page", "count", "groups", "plan"],
        Meta(description="What it was run for: the page, its `count`, groups, or to decide on the `plan` of these."),
    ]
    plan: Annotated[
        Literal["time_scan", "label_scan", "lookup", "merge", "probe"],
        Meta(
            description="`time_scan`: the project's interactions by time. `label_scan`: those of one label by time. "
            "`lookup`: those that one condition matches. `merge`: a page of each of a few alternatives. `probe`: count "
            "what a condition matches."
        ),
    ]
    condition: Annotated[
        str | None, Meta(description="The condition that is looked up, scanned, counted or split into alternatives.")
    ] = None
    checks: Annotated[list[str], Meta(description="The conditions that are checked on each interaction.")] = (
        msgspec.field(default_factory=list)
    )
    texts: Annotated[
        list[str], Meta(description="The conditions whose words are searched for, many interactions at once.")
    ] = msgspec.field(default_factory=list)
    row_count: Annotated[
        int | None, Meta(description="How many interactions `condition` matches, of all projects together.")
    ] = None
    max_rows: Annotated[
        int | None,
        Meta(
            description="Where a scan is given up for the next plan unless it filled the page, or where a count ends."
        ),
    ] = None
    branch: Annotated[int | None, Meta(description="Which alternative of a `merge` it read, from 0.")] = None
    branch_count: Annotated[int | None, Meta(description="How many alternatives a `merge` has.")] = None
    found_count: Annotated[
        int | None, Meta(description="How many interactions or groups it found: for a page one more than its `limit`.")
    ] = None
    milliseconds: Annotated[float, Meta(description="How long it took.")] = 0.0
