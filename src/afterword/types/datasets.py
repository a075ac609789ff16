"""Datasets: files of prompts, completions, feedback and preferences, uploaded or made of interactions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import Input, Output
from afterword.types.filters import Filter

DatasetKind: TypeAlias = Literal["prompt", "completion", "feedback", "preference"]
DatasetForm: TypeAlias = Literal["original", "recipe"]
Sampling: TypeAlias = Literal["all", "random", "last"]
Unfinished: TypeAlias = Literal["failed", "cancelled", "interrupted", "cut_off", "empty"]
"""Answers that are no examples, and become rows where they are asked for."""
LeftOut: TypeAlias = Literal[
    "open",
    "failed",
    "cancelled",
    "interrupted",
    "cut_off",
    "empty",
    "expired",
    "missing",
    "no_feedback",
    "conflicting_feedback",
    "tie",
    "prompt_mismatch",
    "equal",
    "contradictory",
]
"""Why an interaction or a pair is no row of a dataset."""


class DatasetMetric(Output):
    """A feedback key that a dataset has values or preferences under, and how many."""

    metric: str
    values: int
    preferences: int


class Dataset(Output):
    """Lines of JSON, each a prompt with what is known of its completion.

    `kind` says what every line has at least: a prompt; a completion; feedback on it; or two completions, one preferred.
    `size` is that of the file, in bytes. Of a dataset that was made of interactions `left_out` counts what did not
    become a line, by its reason, and `seed` is that of its random sample: with it the same sample is drawn again.
    """

    id: UUID
    key: str
    name: str
    project: str
    kind: DatasetKind
    source: Literal["uploaded", "filtered"]
    lines: int
    size: int
    metrics: list[DatasetMetric]
    created_at: datetime
    download_url: str
    left_out: dict[LeftOut, int] = msgspec.field(default_factory=dict)
    seed: int | None = None


class DatasetList(Output):
    """The datasets of a project, the newest first."""

    datasets: list[Dataset]


class NewUpload(Input):
    """A file that is going to be sent in parts."""

    total_parts_count: Annotated[int, Meta(ge=1, le=10_000)]
    content_type: str | None = None
    metadata: Any = None


class UploadBegun(Output):
    """The id under which the parts are sent."""

    session_id: UUID


class UploadStatus(Output):
    """The parts that have come."""

    completed_parts: list[int]
    total_parts_count: int
    content_type: str
    created_at: datetime


class UploadId(Input):
    """Which upload."""

    session_id: str


class DatasetOfUpload(Input):
    """A dataset to be made of a file whose parts have all come. `name` defaults to the key, the key to the name."""

    session_id: str
    key: str | None = None
    name: str | None = None
    project: str | None = None


class Sample(Input):
    """Which of the lines: all, so many at random, or the newest so many."""

    type: Sampling = "all"
    size: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class DatasetOfInteractions(Input):
    """A dataset to be made of interactions: those that a filter finds but those in `exclude`, or those in
    `completion_ids`.

    Answers that failed, were broken off or cut off, or say nothing are left out and counted, unless `include` asks for
    them; so are ties, pairs of different prompts, of equal answers, and pairs that contradict each other. `metrics` are
    the feedback keys that count; all of the project, if none is named. Pairs are also made of thumbs up and down
    (values under bool keys) on answers to the same prompt, unless `derive_pairs` is false. `seed` makes a random
    sample repeatable.
    """

    kind: DatasetKind
    key: str | None = None
    name: str | None = None
    project: str | None = None
    filter: Filter | None = None
    completion_ids: list[UUID] | None = None
    exclude: list[UUID] = msgspec.field(default_factory=list)
    metrics: list[str] | None = None
    sample: Sample = msgspec.field(default_factory=Sample)
    seed: Annotated[int, Meta(ge=0, lt=1 << 53)] | None = None
    include: list[Unfinished] = msgspec.field(default_factory=list)
    derive_pairs: bool = True
