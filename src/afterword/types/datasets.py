"""Datasets: files of prompts, completions, feedback and preferences, uploaded or made of interactions."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from afterword.types.base import METRIC_KEY, PROJECT, PROJECT_KEY, UPLOAD_ID, Input, Output
from afterword.types.filters import Filter

DatasetKind: TypeAlias = Literal["prompt", "completion", "feedback", "preference"]
TrainingFormat: TypeAlias = Literal["recipe", "openai", "trl", "sharegpt"]
DatasetForm: TypeAlias = Literal["original", TrainingFormat]
DatasetFile: TypeAlias = Literal["jsonl", "parquet"]
Sampling: TypeAlias = Literal["all", "random", "last"]
Unfinished: TypeAlias = Literal["failed", "cancelled", "interrupted", "cut_off", "empty"]
"""Answers that are bad examples. They become rows only if `include` names them."""
Votes: TypeAlias = Literal["agreed", "majority", "all"]
SplitName: TypeAlias = Literal["train", "validation", "test"]
Duplicates: TypeAlias = Literal["keep", "exact", "near"]
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
    "between_thresholds",
    "split_conflict",
    "duplicate",
    "near_duplicate",
]
"""Why an interaction or a pair did not become a row of a dataset."""


class DatasetMetric(Output):
    """A feedback key of a dataset, with the number of its values or preferences."""

    metric: Annotated[str, METRIC_KEY]
    values: Annotated[int, Meta(description="How many values.")]
    preferences: Annotated[int, Meta(description="How many preferences.")]


class Dataset(Output):
    """JSON lines, each a prompt, depending on `kind` with completion, feedback or preference.

    `kind` says what every line has at least: a prompt; a completion; feedback on it; or two completions, one preferred.
    `size` is that of the file, in bytes. A key may have several versions, each a dataset with an id of its own. For a
    dataset that was made of interactions, `left_out` counts what did not become a line, by reason. `seed` is that of
    its random sample: the same seed draws the same sample again.
    """

    id: UUID
    key: str
    name: str
    project: Annotated[str, PROJECT_KEY]
    kind: Annotated[
        DatasetKind,
        Meta(description="What every line has: a `prompt`, a `completion`, `feedback` on it, or a `preference`."),
    ]
    source: Annotated[
        Literal["uploaded", "filtered"], Meta(description="`uploaded`, or `filtered`: made of interactions.")
    ]
    lines: Annotated[int, Meta(description="How many lines the file has.")]
    size: Annotated[int, Meta(description="The size of the file in bytes.")]
    metrics: Annotated[
        list[DatasetMetric], Meta(description="The feedback keys that lines have values or preferences under.")
    ]
    created_at: Annotated[datetime, Meta(description="When it was made.")]
    download_url: Annotated[str, Meta(description="Where its file is, on this server.")]
    left_out: Annotated[
        dict[LeftOut, int],
        Meta(
            description="How many interactions or pairs did not become lines, by the reason: `open`, `failed`, "
            "`cancelled`, `interrupted`, `cut_off`, `empty`, `expired` (its text was deleted), "
            "`missing` (deleted), `no_feedback`, `conflicting_feedback` (people gave true and false), "
            "`tie`, `prompt_mismatch`, `equal` (both sides say the same), `contradictory` (another pair "
            "says the opposite), `between_thresholds`, `split_conflict` (its sides are on two sides of the split), "
            "`duplicate`, `near_duplicate`."
        ),
    ] = msgspec.field(default_factory=dict)
    seed: Annotated[int | None, Meta(description="The seed of its random sample; null for none.")] = None
    version: Annotated[int, Meta(description="Which version of its key it is: 1, 2, 3.")] = 1
    content_hash: Annotated[
        str | None,
        Meta(
            description="The SHA-256 of its lines as `format=recipe` gives them, in hex; null where an older server "
            "made it."
        ),
    ] = None
    split_lines: Annotated[
        dict[SplitName, int] | None,
        Meta(
            description="How many lines are on each side of its split; empty where it was not split, null where an "
            "older server made it."
        ),
    ] = None
    is_unchanged: Annotated[
        bool,
        Meta(
            description="When it is made: whether the newest version of the key has the same lines, so that nothing "
            "was stored and this is that version."
        ),
    ] = False


class DatasetPreview(Output):
    """What a dataset of interactions would have, before it is made."""

    rows: Annotated[list[dict[str, Any]], Meta(description="The first ten rows, as they would be.")]
    lines: Annotated[int, Meta(description="How many rows there would be, of the interactions that were read.")]
    left_out: Annotated[
        dict[LeftOut, int], Meta(description="How many would be left out, by the reason, as for a dataset.")
    ]
    is_partial: Annotated[
        bool, Meta(description="Whether there are more interactions than were read, so that the counts are of a part.")
    ]


class DatasetList(Output):
    """The datasets of a project, the newest first."""

    datasets: Annotated[list[Dataset], Meta(description="The datasets.")]
    files: Annotated[
        list[DatasetFile],
        Meta(description="The files that this server writes: `jsonl`, and `parquet` with `afterword[parquet]`."),
    ] = msgspec.field(default_factory=lambda: ["jsonl"])


class NewUpload(Input):
    """A file that will be sent in parts."""

    total_parts_count: Annotated[int, Meta(ge=1, le=10_000), Meta(description="How many parts there are.")]
    content_type: Annotated[str | None, Meta(description="What the file is.")] = None
    metadata: Annotated[Any, Meta(description="Kept for whoever sends it; not used.")] = None


class UploadBegun(Output):
    """The id under which the parts are sent."""

    session_id: Annotated[UUID, Meta(description="The id under which the parts are sent.")]


class UploadStatus(Output):
    """The parts that have arrived."""

    completed_parts: Annotated[list[int], Meta(description="The parts that have come.")]
    total_parts_count: Annotated[int, Meta(description="How many parts there are.")]
    content_type: Annotated[str, Meta(description="What the file is.")]
    created_at: Annotated[datetime, Meta(description="When the upload began.")]


class UploadId(Input):
    """The id of an upload."""

    session_id: Annotated[str, UPLOAD_ID]


class DatasetOfUpload(Input):
    """A dataset to be made of a file whose parts have all arrived. `name` and `key` default to each other."""

    session_id: Annotated[str, UPLOAD_ID]
    key: str | None = None
    name: str | None = None
    project: Annotated[str | None, PROJECT] = None


class Sample(Input):
    """Which lines to take: all, `size` random ones, or the `size` newest."""

    type: Annotated[Sampling, Meta(description="`all`, `random` or `last`.")] = "all"
    size: Annotated[Annotated[int, Meta(ge=1, le=1_000_000)] | None, Meta(description="How many.")] = None


class Threshold(Input):
    """From where on a value under a scalar key counts as true, and to where as false."""

    true_from: Annotated[float, Meta(description="Values from this one on are true.")]
    false_to: Annotated[float, Meta(description="Values up to this one are false; those between are left out.")]


class Split(Input):
    """Shares of the rows for validation and for test; the others are for training."""

    by: Annotated[
        Literal["session", "user", "prompt"],
        Meta(
            description="What stays on one side: all rows of a `session`, of a `user` (of the session where none is "
            "known), or of a `prompt`."
        ),
    ] = "session"
    validation: Annotated[Annotated[float, Meta(ge=0, le=1)], Meta(description="The share for validation.")] = 0.0
    test: Annotated[Annotated[float, Meta(ge=0, le=1)], Meta(description="The share for the test.")] = 0.1


class DatasetOfInteractions(Input):
    """A dataset to be made of interactions: those that match a filter, without those in `exclude`; or those in
    `completion_ids`.

    Answers that failed, were broken off or cut off, or are empty are left out and counted, unless `include` names
    them. Ties, pairs of different prompts, pairs of equal answers, and contradictory pairs are left out and counted,
    too. `metrics` are the feedback keys to use; the default is all of the project. Thumbs up and down (values under
    bool keys) on answers to the same prompt also become pairs, unless `derive_pairs` is false. `seed` makes a random
    sample repeatable.
    """

    kind: Annotated[DatasetKind, Meta(description="What each line shall have, as for a dataset.")]
    key: str | None = None
    name: str | None = None
    project: Annotated[str | None, PROJECT] = None
    filter: Annotated[Filter | None, Meta(description="Which interactions.")] = None
    completion_ids: Annotated[list[str] | None, Meta(description="These interactions, in place of a filter.")] = None
    exclude: Annotated[list[str], Meta(description="Interactions to leave out.")] = msgspec.field(default_factory=list)
    metrics: Annotated[
        list[str] | None, Meta(description="The feedback keys to take along; all, if none is named.")
    ] = None
    sample: Annotated[
        Sample, Meta(description="Which of the lines: all, so many at random, or the newest so many.")
    ] = msgspec.field(default_factory=Sample)
    seed: Annotated[
        Annotated[int, Meta(ge=0, lt=1 << 53)] | None,
        Meta(description="Draws the same random sample again. The default is one of its own each time."),
    ] = None
    include: Annotated[
        list[Unfinished],
        Meta(
            description="Answers that become lines although they are no examples: `failed`, `cancelled`, "
            "`interrupted`, `cut_off` (by a limit of tokens or a filter), `empty`."
        ),
    ] = msgspec.field(default_factory=list)
    derive_pairs: Annotated[
        bool, Meta(description="Whether preferences are also made of thumbs up and down on the same prompt.")
    ] = True
    votes: Annotated[
        Votes,
        Meta(
            description="What counts where people gave true and false, each by their newest value: `agreed`, nothing; "
            "`majority`, what more than half gave; `all`, each person's values, in a line of their own."
        ),
    ] = "agreed"
    thresholds: Annotated[
        dict[str, Threshold],
        Meta(description="By scalar feedback key: which values count as true and which as false, as thumbs do."),
    ] = msgspec.field(default_factory=dict)
    ties: Annotated[
        bool,
        Meta(description="For `feedback`: whether a good tie is true, and a bad one false, for both of its answers."),
    ] = False
    split: Annotated[
        Split | None,
        Meta(description="Names in the `metadata` of each row its `split`, by a hash with the `seed` (or 0)."),
    ] = None
    duplicates: Annotated[
        Duplicates,
        Meta(
            description="`exact` leaves out rows whose prompt and answers were there before, `near` also those "
            "that are alike in both."
        ),
    ] = "keep"
