"""The query parameters of REST routes: a struct for each query string."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Literal, TypedDict
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.ab_tests import ABTestStatus
from afterword.types.analytics import FAILURES, Interval, Level
from afterword.types.base import (
    CALL_ID,
    CURSOR,
    DEFAULT_NAME,
    IMAGES,
    INTERVAL,
    LEVEL,
    MEDIA,
    METRIC,
    OPERATION,
    ORDER,
    PAGE_LIMIT,
    PAGE_ROWS,
    PROJECT,
    REPEATS,
    SEARCH_WORDS,
    SESSION,
    SPLIT_BY,
    TIMEZONE,
    TRACE_ID,
    UPLOAD_ID,
    VIEW,
    Input,
    LoggedOperation,
    Moment,
    PageRows,
    SessionId,
    Source,
    State,
)
from afterword.types.datasets import DatasetFile, DatasetForm, SplitName, TrainingFormat
from afterword.types.fields import GROUP_BY
from afterword.types.filters import MIN_TURNS, Images, Order, View
from afterword.types.plans import EXPLAIN

FROM_TIME = Meta(
    description="The earliest `created_at`, inclusive: RFC 3339, a date, epoch milliseconds, or such as `now - 1 week`."
)
TO_TIME = Meta(description="The latest `created_at`, exclusive; in the same forms as `from`.")


class ProjectQuery(Input):
    """The project. The default is the key's own project, else `default`."""

    project: Annotated[str | None, PROJECT] = None


class MetricsQuery(Input):
    """Which metrics to list."""

    project: Annotated[str | None, PROJECT] = None
    category: Annotated[
        Literal["user", "system", "all"],
        Meta(description="`user`: the feedback keys. `system`: what the server measures of calls. `all`: both."),
    ] = "user"


class ProjectsQuery(Input):
    """Which projects to list."""

    archived: Annotated[bool, Meta(description="List archived projects, too.")] = False


class NewDatasetQuery(Input):
    """The key, name and project of the uploaded file."""

    key: Annotated[str | None, Meta(description="What it is called by; the default is the name.")] = None
    name: Annotated[str | None, DEFAULT_NAME] = None
    project: Annotated[str | None, PROJECT] = None


class DatasetPreviewQuery(Input):
    """The format of the rows of a preview."""

    format: Annotated[
        TrainingFormat,
        Meta(description="The format of the rows, as for a download: `recipe`, `openai`, `trl` or `sharegpt`."),
    ] = "recipe"


class DatasetQuery(ProjectQuery):
    """The version of a dataset."""

    version: Annotated[
        Annotated[int, Meta(ge=1, lt=1 << 31)] | None,
        Meta(description="Which version of the key: 1, 2, 3. The default is the newest."),
    ] = None


class DownloadQuery(DatasetQuery):
    """The format of a dataset's download."""

    format: Annotated[
        DatasetForm,
        Meta(
            description="`original`: as it came. `recipe`: each line in the normal shape. `openai`, `trl`, `sharegpt`: "
            "rows for OpenAI's fine-tuning, for TRL's trainers, or for readers of ShareGPT."
        ),
    ] = "recipe"
    provenance: Annotated[
        bool, Meta(description="Whether each row has its `metadata`, which says where it comes from.")
    ] = True
    split: Annotated[
        SplitName | None,
        Meta(description="Only the rows of this side of the split. Refused where the dataset has none on it."),
    ] = None
    file: Annotated[
        DatasetFile,
        Meta(
            description="`jsonl`: JSON lines. `parquet`: a Parquet file, if the server has `afterword[parquet]`. Not "
            "for `original`."
        ),
    ] = "jsonl"


class UploadQuery(Input):
    """The id of an upload."""

    session_id: Annotated[str, UPLOAD_ID]


class PartQuery(UploadQuery, kw_only=True):
    """The upload and the part that the body belongs to."""

    part_number: Annotated[int, Meta(description="Which part, from 1.")]


class ModelsQuery(Input):
    """Which models to list: those of a project, or all."""

    project: Annotated[str | None, Meta(description="Only the models of this project.")] = None


class ProjectModelsQuery(Input):
    """Whether to check each model of a project with its provider."""

    status: Annotated[bool, Meta(description="Whether to tell of each model if it can be called.")] = False


class ABTestsQuery(Input):
    """Which A/B tests to list: by project, by whether they are active, or by status."""

    project: Annotated[str | None, Meta(description="Only the tests of this project.")] = None
    active: Annotated[
        bool | None, Meta(description="True: only those under way. False: only those that have ended.")
    ] = None
    status: Annotated[ABTestStatus | None, Meta(description="Only those that are so.")] = None


class BatchQuery(Input):
    """Defaults for lines that do not have their own value."""

    project: Annotated[str | None, Meta(description="The project of every line that names none.")] = None


class InteractionQuery(Input):
    """How images, audio and files of an interaction are shown: as links, or inline as they were sent."""

    images: Annotated[Images, IMAGES] = "links"
    media: Annotated[Images, MEDIA] = "links"


class ResponseQuery(Input, rename={"include": "include[]"}):
    """What OpenAI's clients ask for beside a response. All of it is shown in any case, and as a whole."""

    include: Annotated[list[str], Meta(description="Further data, which is shown in any case.")] = msgspec.field(
        default_factory=list
    )
    stream: Annotated[bool, Meta(description="False: a response is not streamed again.")] = False


class InputItemsQuery(Input, rename={"include": "include[]"}):
    """The page of a response's input, in the words of OpenAI's API."""

    after: Annotated[str | None, Meta(description="The id of the item before the page.")] = None
    include: Annotated[list[str], Meta(description="Further data, which is shown in any case.")] = msgspec.field(
        default_factory=list
    )
    limit: Annotated[int, Meta(ge=1, le=100, description="How many items: 1 to 100.")] = 20
    order: Annotated[Literal["asc", "desc"], Meta(description="`asc` is the oldest first.")] = "desc"


class ImageQuery(Input):
    """Whether an image is shown as it was sent, or as a thumbnail."""

    thumbnail: Annotated[
        bool, Meta(description="Show a WebP image of at most 96 pixels a side in its place, for lists.")
    ] = False


class FilterQuery(Input, rename={"from_": "from"}):
    """Plain filters, all of which must hold.

    `label` is KEY or KEY:VALUE; several values of one key mean any of them. `feedback` is METRIC, or METRIC with a
    comparison such as `CSAT>=4`, `accepted=true`, `score!=0.5`. `q` finds words in prompt or completion.
    """

    project: Annotated[str | None, PROJECT] = None
    label: Annotated[
        list[str],
        Meta(
            description="`KEY`, or `KEY:VALUE`. Several values of one key mean any of them, several keys all of them."
        ),
    ] = msgspec.field(default_factory=list)
    model: Annotated[list[str], Meta(description="A model's key. Several mean any of them.")] = msgspec.field(
        default_factory=list
    )
    source: Annotated[
        list[Source], Meta(description="LIVE, OFFLINE, AUTOMATION, DATASET or EVALUATION. Several mean any of them.")
    ] = msgspec.field(default_factory=list)
    operation: Annotated[list[LoggedOperation], OPERATION, Meta(description="Several mean any of them.")] = (
        msgspec.field(default_factory=list)
    )
    state: Annotated[
        list[State],
        Meta(
            description="`open`, `complete`, `failed`, `cancelled` or `interrupted`. Several mean any of them; what "
            "was only logged is complete."
        ),
    ] = msgspec.field(default_factory=list)
    finish_reason: Annotated[
        list[str], Meta(description="Why the model ended, such as `stop` or `length`. Several mean any of them.")
    ] = msgspec.field(default_factory=list)
    session_id: Annotated[str | None, SESSION] = None
    user: Annotated[str | None, Meta(description="The end user.")] = None
    environment: Annotated[
        list[str], Meta(description="Where your product ran, such as `production`. Several mean any of them.")
    ] = msgspec.field(default_factory=list)
    step: Annotated[
        list[str],
        Meta(description="The name of the step of an agent's turn, such as `plan`. Several mean any of them."),
    ] = msgspec.field(default_factory=list)
    parent: Annotated[
        list[str],
        Meta(description="The completion_id of the interaction that it is a step of. Several mean any of them."),
    ] = msgspec.field(default_factory=list)
    has: Annotated[
        list[str],
        Meta(description="What it holds: `tools`, `images`, `audio`, `files`, `reasoning`, `refusal`; any of several."),
    ] = msgspec.field(default_factory=list)
    tool: Annotated[list[str], Meta(description="A tool that the completion calls. Several mean any of them.")] = (
        msgspec.field(default_factory=list)
    )
    request_id: Annotated[str | None, CALL_ID] = None
    trace_id: Annotated[str | None, TRACE_ID] = None
    prompt_hash: Annotated[str | None, Meta(description="The hash of the prompt, as an interaction shows it.")] = None
    from_: Annotated[str | None, FROM_TIME] = None
    to: Annotated[str | None, TO_TIME] = None
    feedback: Annotated[
        list[str], Meta(description="`METRIC`, or a comparison such as `CSAT>=4`, `accepted=true`, `score!=0.5`.")
    ] = msgspec.field(default_factory=list)
    has_feedback: Annotated[list[str], Meta(description="A feedback key under which there is feedback.")] = (
        msgspec.field(default_factory=list)
    )
    has_no_feedback: Annotated[list[str], Meta(description="A feedback key under which there is none.")] = (
        msgspec.field(default_factory=list)
    )
    preference: Annotated[list[str], Meta(description="A feedback key under which there is a preference.")] = (
        msgspec.field(default_factory=list)
    )
    outcome: Annotated[
        list[str],
        Meta(
            description="A metric under which its session has an outcome, or a comparison as for `feedback`. "
            "`session.METRIC=VALUE` is the same: `session.solved=true`, `session.score>=4`, `session.score`."
        ),
    ] = msgspec.field(default_factory=list)
    has_outcome: Annotated[list[str], Meta(description="A feedback key under which its session has an outcome.")] = (
        msgspec.field(default_factory=list)
    )
    has_no_outcome: Annotated[list[str], Meta(description="A feedback key under which its session has none.")] = (
        msgspec.field(default_factory=list)
    )
    q: Annotated[str | None, SEARCH_WORDS] = None
    repeats: Annotated[bool, REPEATS] = False


class PlainFilters(TypedDict, total=False):
    """Plain filters as arguments of the client. None or [] is no filter.

    `labels` maps a key to a value, to several (any of them), or to None (has the key); or it is a list of texts
    such as `env:prod`. `feedback` is a metric, or a comparison such as `CSAT>=4`; a key with such signs is "quoted".
    `outcome` is the same for the outcomes of the interaction's session.
    """

    labels: Mapping[str, str | Sequence[str] | None] | Sequence[str] | None
    model: str | Sequence[str] | None
    source: Source | Sequence[Source] | None
    operation: LoggedOperation | Sequence[LoggedOperation] | None
    state: State | Sequence[State] | None
    finish_reason: str | Sequence[str] | None
    session_id: str | UUID | None
    user: str | UUID | None
    environment: str | Sequence[str] | None
    step: str | Sequence[str] | None
    parent: str | UUID | Sequence[str | UUID] | None
    has: str | Sequence[str] | None
    tool: str | Sequence[str] | None
    request_id: str | None
    trace_id: str | None
    prompt_hash: str | None
    from_: Moment | datetime | None
    to: Moment | datetime | None
    feedback: str | Sequence[str] | None
    has_feedback: str | Sequence[str] | None
    has_no_feedback: str | Sequence[str] | None
    preference: str | Sequence[str] | None
    outcome: str | Sequence[str] | None
    has_outcome: str | Sequence[str] | None
    has_no_outcome: str | Sequence[str] | None
    q: str | None
    repeats: bool | None


class ListQuery(FilterQuery):
    """Plain filters, all of which must hold, and paging options.

    `label` is KEY or KEY:VALUE; several values of one key mean any of them. `feedback` is METRIC, or METRIC with a
    comparison such as `CSAT>=4`, `accepted=true`, `score!=0.5`. `q` finds words in prompt or completion.
    """

    order: Annotated[Order, ORDER] = "-created_at"
    limit: Annotated[PageRows, PAGE_LIMIT] = PAGE_ROWS
    cursor: Annotated[str | None, CURSOR] = None
    count: Annotated[bool, Meta(description="Count the whole set exactly.")] = False
    view: Annotated[View, VIEW] = "short"
    images: Annotated[Images, IMAGES] = "links"
    media: Annotated[Images, MEDIA] = "links"
    group_by: Annotated[str | None, GROUP_BY] = None
    explain: Annotated[bool, EXPLAIN] = False


class ExplainQuery(Input):
    """Whether to tell how the filter was read."""

    explain: Annotated[bool, EXPLAIN] = False


class OutcomesQuery(Input, rename={"from_": "from"}):
    """Which outcomes to list, and paging options. Times are those at which outcomes were given."""

    project: Annotated[str | None, PROJECT] = None
    session_id: Annotated[SessionId | None, Meta(description="Those of this session.")] = None
    metric: Annotated[str | None, Meta(description="Those under this feedback key.")] = None
    user: Annotated[str | None, Meta(description="Those that this end user gave.")] = None
    from_: Annotated[str | None, FROM_TIME] = None
    to: Annotated[str | None, TO_TIME] = None
    order: Annotated[Order, ORDER] = "-created_at"
    limit: Annotated[PageRows, PAGE_LIMIT] = PAGE_ROWS
    cursor: Annotated[str | None, CURSOR] = None
    count: Annotated[bool, Meta(description="Whether to count them all.")] = False


class SessionsQuery(FilterQuery):
    """Which sessions to list, those of which an interaction matches all plain filters, and paging options."""

    min_turns: Annotated[int, Meta(ge=1), MIN_TURNS] = 1
    limit: Annotated[PageRows, PAGE_LIMIT] = PAGE_ROWS
    cursor: Annotated[str | None, CURSOR] = None


class TranscriptQuery(Input):
    """The project of a session, and the page of its turns."""

    project: Annotated[
        str | None,
        Meta(description="The project of the session. An id is looked for in every project if it is left out."),
    ] = None
    limit: Annotated[PageRows, PAGE_LIMIT] = PAGE_ROWS
    cursor: Annotated[str | None, CURSOR] = None
    images: Annotated[Images, IMAGES] = "links"


class SummaryQuery(FilterQuery):
    """The values to summarise, and how to split them."""

    split_by: Annotated[str | None, SPLIT_BY] = None
    level: Annotated[Level, LEVEL] = "interaction"


class TrendQuery(SummaryQuery):
    """Values over time: the interval and the time zone."""

    interval: Annotated[Interval, INTERVAL] = "day"
    timezone: Annotated[str, TIMEZONE] = "UTC"


class CountTrendQuery(TrendQuery):
    """Interactions over time, and whether to count the failed ones."""

    failures: Annotated[bool, FAILURES] = False


class RankingQuery(FilterQuery, kw_only=True):
    """The preferences to count."""

    metric: Annotated[str, METRIC]


class LiveQuery(FilterQuery):
    """The interactions to watch: plain filters, all of which must hold, and a filter tree as JSON."""

    filter: Annotated[
        str | None, Meta(description="A tree of conditions, as `POST /api/v1/interactions/search` takes it, as JSON.")
    ] = None
