"""The parameters of REST's routes: a struct for each query string."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from afterword.types.ab_tests import ABTestStatus
from afterword.types.analytics import Interval, Level
from afterword.types.base import PAGE_ROWS, Input, PageRows, SessionId, Source, State
from afterword.types.datasets import DatasetForm
from afterword.types.filters import Images, Order, View
from afterword.types.plans import EXPLAIN


class ProjectQuery(Input):
    """Which project. The default is the key's own project, else `default`."""

    project: str | None = None


class MetricsQuery(Input):
    """Which metrics to list."""

    project: str | None = None
    category: Literal["user", "system", "all"] = "user"


class ProjectsQuery(Input):
    """Which projects to list."""

    archived: bool = False


class NewDatasetQuery(Input):
    """What the file in the body is to be called, and where it goes."""

    key: str | None = None
    name: str | None = None
    project: str | None = None


class DownloadQuery(Input):
    """How a dataset's file is wanted."""

    format: DatasetForm = "recipe"
    project: str | None = None


class UploadQuery(Input):
    """Which upload."""

    session_id: str


class PartQuery(Input):
    """Which part of which upload the body is."""

    session_id: str
    part_number: int


class ModelsQuery(Input):
    """Which models to list: those of a project, or all."""

    project: str | None = None


class ABTestsQuery(Input):
    """Which A/B tests to list: those of a project, the active ones or the others, those of one status."""

    project: str | None = None
    active: bool | None = None
    status: ABTestStatus | None = None


class BatchQuery(Input):
    """What holds for every line that does not say otherwise."""

    project: str | None = None


class InteractionQuery(Input):
    """How the images of an interaction are shown: as links, or inline as the data URIs that were sent."""

    images: Images = "links"


class FilterQuery(Input, rename={"from_": "from"}):
    """Plain filters, all of which must hold.

    `label` is KEY or KEY:VALUE; several values of one key mean any of them. `feedback` is METRIC, or METRIC with a
    comparison such as `CSAT>=4`, `accepted=true`, `score!=0.5`. `q` finds words in prompt or completion.
    """

    project: str | None = None
    label: list[str] = msgspec.field(default_factory=list)
    model: list[str] = msgspec.field(default_factory=list)
    source: list[Source] = msgspec.field(default_factory=list)
    state: list[State] = msgspec.field(default_factory=list)
    finish_reason: list[str] = msgspec.field(default_factory=list)
    session_id: str | None = None
    user: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    prompt_hash: str | None = None
    from_: str | None = None
    to: str | None = None
    feedback: list[str] = msgspec.field(default_factory=list)
    has_feedback: list[str] = msgspec.field(default_factory=list)
    has_no_feedback: list[str] = msgspec.field(default_factory=list)
    preference: list[str] = msgspec.field(default_factory=list)
    q: str | None = None


class ListQuery(FilterQuery):
    """Plain filters, all of which must hold, and how to page.

    `label` is KEY or KEY:VALUE; several values of one key mean any of them. `feedback` is METRIC, or METRIC with a
    comparison such as `CSAT>=4`, `accepted=true`, `score!=0.5`. `q` finds words in prompt or completion.
    """

    order: Order = "-created_at"
    limit: PageRows = PAGE_ROWS
    cursor: str | None = None
    count: bool = False
    view: View = "short"
    images: Images = "links"
    group_by: str | None = None
    explain: Annotated[bool, EXPLAIN] = False


class ExplainQuery(Input):
    """Whether to tell how the filter was read."""

    explain: Annotated[bool, EXPLAIN] = False


class OutcomesQuery(Input, rename={"from_": "from"}):
    """Which outcomes, and how to page. Times are those at which they were given."""

    project: str | None = None
    session_id: SessionId | None = None
    metric: str | None = None
    user: str | None = None
    from_: str | None = None
    to: str | None = None
    order: Order = "-created_at"
    limit: PageRows = PAGE_ROWS
    cursor: str | None = None
    count: bool = False


class SummaryQuery(FilterQuery):
    """Whose values to sum up, and by what to split them."""

    split_by: str | None = None
    level: Level = "interaction"


class TrendQuery(SummaryQuery):
    """The same over time."""

    interval: Interval = "day"
    timezone: str = "UTC"


class RankingQuery(FilterQuery, kw_only=True):
    """Whose preferences to count."""

    metric: str


class LiveQuery(FilterQuery):
    """What to watch: plain filters, all of which must hold, and a tree of conditions as JSON."""

    filter: str | None = None
