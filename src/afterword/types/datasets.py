"""Datasets: JSON lines to train on and to evaluate with, uploaded or made of interactions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import Input, Key, Message, Output
from afterword.types.filters import Filter

DatasetKind: TypeAlias = Literal["prompt", "completion", "feedback", "preference"]
DatasetSource: TypeAlias = Literal["uploaded", "filtered"]
DatasetStatus: TypeAlias = Literal["pending", "ready", "failed"]
DatasetFormat: TypeAlias = Literal["recipe", "original"]


class DatasetLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of a dataset in its normal shape."""

    messages: list[Message]
    completion: str | Message | None = None
    feedbacks: dict[str, bool | int | float] | None = None
    preferred_completion: str | Message | None = None
    other_completion: str | Message | None = None
    feedback_key: str | None = None
    labels: dict[str, str] | None = None
    metadata: dict[str, Any] | None = None


class DatasetMetric(Output):
    """How many values and preferences a dataset holds under a feedback key."""

    metric: str
    values: int
    preferences: int


class Dataset(Output):
    """JSON lines under a key. `kind` is what all lines have: a prompt, a completion, feedback on it, or a preference
    between two. `size` is the bytes of the file."""

    id: UUID
    key: str
    name: str
    project: str
    kind: DatasetKind
    source: DatasetSource
    status: DatasetStatus
    error: str | None
    lines: int
    size: int
    metrics: list[DatasetMetric]
    created_at: datetime
    download_url: str


class DatasetList(Output):
    """The datasets of a project, the newest first."""

    datasets: list[Dataset]


class Sample(Input):
    """Which of the interactions that match: all, some by chance, or the last ones. `size` is the most lines."""

    type: Literal["all", "random", "last"] = "all"
    size: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class DatasetFromInteractions(Input):
    """Which interactions make a dataset, and what of them.

    A call that failed, was cancelled or is open stays out, unless the filter speaks of `state`.
    """

    kind: DatasetKind
    key: Key | None = None
    name: str | None = None
    project: str | None = None
    filter: Filter | None = None
    completion_ids: list[str] | None = None
    metrics: list[str] | None = None
    sample: Sample = msgspec.field(default_factory=Sample)
    exclude: list[str] = msgspec.field(default_factory=list)


class NewUpload(Input):
    """A file that is to come in parts."""

    total_parts_count: Annotated[int, Meta(ge=1, le=10_000)]
    content_type: str | None = None
    metadata: dict[str, Any] | None = None


class UploadSession(Output):
    """The id that the parts of a file are sent under."""

    session_id: UUID


class UploadPart(Output):
    """A part that is kept."""

    part_number: int
    size: int


class UploadStatus(Output):
    """Which parts of a file have come."""

    completed_parts: list[int]
    total_parts_count: int


class UploadAbort(Input):
    """The upload to give up."""

    session_id: str


class DatasetFromUpload(Input):
    """A file whose parts have all come, and what it is to be called."""

    session_id: str
    key: Key | None = None
    name: str | None = None
    project: str | None = None
