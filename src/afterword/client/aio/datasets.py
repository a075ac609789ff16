"""Datasets: upload them, make them of interactions, download them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from afterword.client.core import Request, encode, path, query
from afterword.types import (
    Dataset,
    DatasetFile,
    DatasetForm,
    DatasetKind,
    DatasetList,
    DatasetPreview,
    Deleted,
    Duplicates,
    Filter,
    SplitName,
    TrainingFormat,
    Unfinished,
    UploadBegun,
    UploadStatus,
    Votes,
)

if TYPE_CHECKING:
    from afterword.client.aio import AsyncAfterword

# Larger files are sent in parts, so that a broken upload continues from its last part, not from the start.
MAX_WHOLE_FILE_BYTES = 5 << 20
MAX_PARTS = 10_000


class AsyncDatasets:
    """JSON lines under a key: `client.datasets`."""

    def __init__(self, client: AsyncAfterword) -> None:
        self._client = client

    async def upload(
        self,
        file_path: str | os.PathLike[str],
        key: str,
        *,
        name: str | None = None,
        project: str | None = None,
        progress: Callable[[int, int], Any] | None = None,
    ) -> Dataset:
        """Upload a file of JSON lines: prompts, completions, feedback or preferences.

        `progress` is called with the bytes sent so far and the file's total. Raises `Invalid` with the number of a line
        that cannot be read, `Conflict` if the key is taken.

        >>> await client.datasets.upload(file_path, "support-2026-11", name="Support, November")
        """
        file = Path(file_path)
        size = _size(file)
        project = self._client.project_or_default(project)
        if size > MAX_WHOLE_FILE_BYTES:
            return await self._upload_in_parts(file, size, {"key": key, "name": name, "project": project}, progress)
        request = Request(
            method="POST",
            path=path("datasets"),
            query=query(key=key, name=name, project=project),
            body=_content(file),
            content_type="application/jsonl",
        )
        dataset = await self._client.call(request, Dataset)
        if progress is not None:
            progress(size, size)
        return dataset

    async def _upload_in_parts(
        self, file: Path, size: int, dataset_fields: dict[str, Any], progress: Callable[[int, int], Any] | None
    ) -> Dataset:
        part_size = max(MAX_WHOLE_FILE_BYTES, -(-size // MAX_PARTS))
        begin = encode({"total_parts_count": -(-size // part_size), "content_type": "application/jsonl"})
        upload_session = await self._client.call(
            Request(method="POST", path=path("upload", "init"), body=begin), UploadBegun
        )
        session_id = str(upload_session.session_id)
        try:
            with file.open("rb") as stream:
                for number in range(1, -(-size // part_size) + 1):
                    request = Request(
                        method="POST",
                        path=path("upload", "part"),
                        query=query(session_id=session_id, part_number=number),
                        body=stream.read(part_size),
                        content_type="application/octet-stream",
                        repeatable=True,
                    )
                    await self._client.call(request, UploadStatus)
                    if progress is not None:
                        progress(min(number * part_size, size), size)
            body = encode({"session_id": session_id, **dataset_fields})
            # The server reads the whole file before it answers.
            request = Request(method="POST", path=path("datasets", "from-upload"), body=body, timeout=None)
            return await self._client.call(request, Dataset)
        except BaseException:
            body = encode({"session_id": session_id})
            await self._client.find(Request(method="DELETE", path=path("upload", "abort"), body=body), Deleted)
            raise

    async def create_from_interactions(
        self,
        key: str,
        kind: DatasetKind,
        *,
        name: str | None = None,
        filter: Filter | Mapping[str, Any] | None = None,
        completion_ids: list[str] | None = None,
        exclude: list[str] | None = None,
        metrics: list[str] | None = None,
        sample: Literal["all", "random", "last"] = "all",
        size: int | None = None,
        seed: int | None = None,
        include: Sequence[Unfinished] = (),
        derive_pairs: bool = True,
        votes: Votes = "agreed",
        thresholds: Mapping[str, Mapping[str, float]] | None = None,
        ties: bool = False,
        split: Mapping[str, Any] | None = None,
        duplicates: Duplicates = "keep",
        project: str | None = None,
    ) -> Dataset:
        """Make a dataset of interactions: of all, of those that match a filter, or of those with the given ids.

        `kind` is prompt, completion, feedback or preference. `sample` takes all of them, or `size` lines,
        random or newest; the same `seed` draws the same lines. `metrics` are the feedback keys to use, by default all.
        Bad examples (failed, cut off, empty, contradictory) are left out and counted in `left_out`, unless `include`
        names them. With `derive_pairs`, thumbs up and down on answers to the same prompt also become pairs.

        A key that was made of interactions before gets its next version. If the lines are those of its newest version,
        nothing is stored: that one is returned, with `is_unchanged`.

        `votes` says what counts where people disagree; `thresholds` make true and false of numbers, such as
        `{"CSAT": {"true_from": 4, "false_to": 2}}`; `ties` make true or false of ties; `split`, such as
        `{"by": "session", "test": 0.1}`, names in each row its side; `duplicates` leaves out `exact` or `near` ones.

        >>> await client.datasets.create_from_interactions(
        ...     "rated-well", "feedback", filter={"feedback": {"metric": "CSAT", "value": {"gte": 4}}}
        ... )
        """
        if filter is None and completion_ids is None:
            filter = {"and": []}
        body = encode(
            {
                "key": key,
                "kind": kind,
                "name": name,
                "filter": filter,
                "completion_ids": completion_ids,
                "exclude": exclude,
                "metrics": metrics,
                "sample": {"type": sample, "size": size},
                "seed": seed,
                "include": list(include) or None,
                "derive_pairs": None if derive_pairs else False,
                "votes": None if votes == "agreed" else votes,
                "thresholds": thresholds,
                "ties": ties or None,
                "split": split,
                "duplicates": None if duplicates == "keep" else duplicates,
                "project": self._client.project_or_default(project),
            }
        )
        request = Request(method="POST", path=path("datasets", "from-interactions"), body=body, timeout=None)
        return await self._client.call(request, Dataset)

    async def preview(
        self,
        kind: DatasetKind,
        *,
        filter: Filter | Mapping[str, Any] | None = None,
        format: TrainingFormat = "recipe",
        project: str | None = None,
        **rules: Any,
    ) -> DatasetPreview:
        """Show the first rows that a dataset would have, and what it would leave out. Nothing is made.

        `rules` are fields of the request, such as `metrics`, `votes`, `split` or `sample={"type": "last", "size": 10}`.
        `format` is that of the rows, as for a download.

        >>> await client.datasets.preview("feedback", filter={"feedback": {"metric": "CSAT"}})
        """
        if filter is None and rules.get("completion_ids") is None:
            filter = {"and": []}
        body = encode({"kind": kind, "filter": filter, "project": self._client.project_or_default(project), **rules})
        request = Request(
            method="POST", path=path("datasets", "preview"), query=query(format=format), body=body, timeout=None
        )
        return await self._client.call(request, DatasetPreview)

    async def list(self, *, project: str | None = None) -> list[Dataset]:
        """List the datasets of a project, the newest first: all versions of each key.

        >>> await client.datasets.list()
        """
        request = Request(method="GET", path=path("datasets"), query=self._project_parameters(project), repeatable=True)
        return (await self._client.call(request, DatasetList)).datasets

    async def get(self, dataset: str, *, version: int | None = None, project: str | None = None) -> Dataset | None:
        """Return a dataset by key or id, by default its newest version; None if the key can see no such dataset.

        >>> await client.datasets.get("support-2026-11")
        """
        parameters = [*self._project_parameters(project), *query(version=version)]
        request = Request(method="GET", path=path("datasets", dataset), query=parameters, repeatable=True)
        return await self._client.find(request, Dataset)

    async def delete(self, dataset: str, *, version: int | None = None, project: str | None = None) -> None:
        """Delete a dataset by its key, with all versions, or by its id or `version`, that version alone.

        A key without versions is free. The interactions that it was made of stay. Raises `NotFound`.

        >>> await client.datasets.delete(dataset)
        """
        parameters = [*self._project_parameters(project), *query(version=version)]
        request = Request(method="DELETE", path=path("datasets", dataset), query=parameters)
        await self._client.call(request, Deleted)

    async def download(
        self,
        dataset: str,
        file_path: str | os.PathLike[str],
        *,
        format: DatasetForm = "recipe",
        provenance: bool = True,
        split: SplitName | None = None,
        file: DatasetFile | None = None,
        version: int | None = None,
        project: str | None = None,
    ) -> int:
        """Download a dataset into a file; return the number of bytes.

        `recipe` gives lines in their normal shape, `original` the bytes that were uploaded; `openai`, `trl` and
        `sharegpt` give rows for training. Without `provenance`, rows have no `metadata`. `split` takes the
        rows of one side, `version` another version than the newest. The file gets its name once it is complete.
        `file` is jsonl or parquet, by default what its name ends in; for parquet the server needs `afterword[parquet]`.
        Raises `NotFound`, and `Invalid` if the dataset has no lines on the side of the split.

        >>> await client.datasets.download("rated-well", file_path)
        """
        target = Path(file_path)
        file = file or ("parquet" if target.suffix.lower() == ".parquet" else None)
        rows = query(format=format, provenance=None if provenance else False, split=split)
        request = Request(
            method="GET",
            path=path("datasets", dataset, "download"),
            query=[
                *self._project_parameters(project),
                *rows,
                *query(version=version, file=file),
            ],
            repeatable=True,
            # The server reads all lines before it sends the first row group.
            timeout=None if file == "parquet" else -1,
        )
        partial = target.with_name(target.name + ".part")
        size = 0
        try:
            with partial.open("wb") as stream:
                async for chunk in self._client.content(request):
                    size += stream.write(chunk)
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)
        return size

    def _project_parameters(self, project: str | None) -> list[tuple[str, str]]:
        return query(project=self._client.project_or_default(project))


def _content(file: Path) -> bytes:
    return file.read_bytes()


def _size(file: Path) -> int:
    return file.stat().st_size
