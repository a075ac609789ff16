"""Commands about datasets: upload, create, list, show, download, delete."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from afterword.cli.arguments import Json
from afterword.cli.connection import CommandError, ServerConnection, with_connection
from afterword.cli.output import note, show_json, show_table
from afterword.types import DatasetForm, DatasetKind, Duplicates, Sampling, SplitName, TrainingFormat, Unfinished, Votes

if TYPE_CHECKING:
    from afterword.types import Dataset, DatasetPreview

_datasets = typer.Typer(
    help="Datasets: upload, create, list, show, download, delete.", no_args_is_help=True, rich_markup_mode=None
)

HASH_CHARACTERS = 12
"""So many characters of a hash tell the datasets of a list apart."""
UNFINISHED: tuple[Unfinished, ...] = ("failed", "cancelled", "interrupted", "cut_off", "empty")
_INCLUDE = f"Answers that become lines although they are no examples ({', '.join(UNFINISHED)}); may be repeated."

Version = Annotated[
    int | None, typer.Option("--version", min=1, help="Which version; the default is the newest.", show_default=False)
]
Name = Annotated[str, typer.Argument(metavar="DATASET", help="Its key or id.", show_default=False)]


def add_dataset_commands(app: typer.Typer) -> None:
    """Add these commands."""
    app.add_typer(_datasets, name="datasets")


@_datasets.command("upload")
@with_connection
def upload_dataset(
    connection: ServerConnection,
    file: Annotated[Path, typer.Argument(help="A file of JSON lines.", exists=True, dir_okay=False)],
    key: Annotated[
        str | None, typer.Option("--key", help="Its key; the default is the file's name.", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its name; the default is the key.")] = None,
    as_json: Json = False,
) -> None:
    """Upload a file of JSON lines as a dataset."""
    with connection.open() as client:
        dataset = client.datasets.upload(file, key or file.stem, name=name, progress=_progress())
    _print_dataset(dataset, as_json)


def _progress() -> Any:
    if not sys.stderr.isatty():
        return None
    return lambda sent, size: print(f"\r{sent / size:4.0%}", end="\n" if sent == size else "", file=sys.stderr)


@_datasets.command("create")
@with_connection
def create_dataset(
    connection: ServerConnection,
    key: Annotated[str, typer.Argument(help="Its key.", show_default=False)],
    kind: Annotated[DatasetKind, typer.Option("--kind", help="What of each interaction makes a line.")] = "completion",
    filter: Annotated[
        str | None, typer.Option("--filter", metavar="JSON", help="Which interactions, as a tree of conditions.")
    ] = None,
    completion_id: Annotated[
        list[str] | None, typer.Option("--id", metavar="COMPLETION_ID", help="This interaction; may be repeated.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="COMPLETION_ID", help="But not this one.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="A feedback key that counts; the default is all.")
    ] = None,
    sample: Annotated[Sampling, typer.Option("--sample", help="Which of them.")] = "all",
    size: Annotated[int | None, typer.Option("--size", min=1, help="How many lines at most.")] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Draw the same random sample again.", show_default=False)
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option("--include", metavar="REASON", help=_INCLUDE),
    ] = None,
    derive_pairs: Annotated[
        bool,
        typer.Option(
            "--derive-pairs/--no-derive-pairs", help="Make pairs of thumbs up and down on the same prompt, too."
        ),
    ] = True,
    votes: Annotated[Votes, typer.Option("--votes", help="What counts where people disagree.")] = "agreed",
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold", metavar="KEY:TO:FROM", help="Values to TO are false, from FROM on true; may be repeated."
        ),
    ] = None,
    ties: Annotated[bool, typer.Option("--ties", help="Good ties are true, bad ones false, for both answers.")] = False,
    split: Annotated[
        str | None,
        typer.Option(
            "--split", metavar="BY:VALIDATION:TEST", help="Shares by session, user or prompt.", show_default=False
        ),
    ] = None,
    duplicates: Annotated[
        Duplicates, typer.Option("--duplicates", help="Leave out rows that repeat others, exactly or nearly.")
    ] = "keep",
    preview: Annotated[
        bool, typer.Option("--preview", help="Show its first rows and what it would leave out; make nothing.")
    ] = False,
    format: Annotated[
        TrainingFormat | None,
        typer.Option("--format", help="The format of the rows of --preview.  [default: recipe]", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its name; the default is the key.")] = None,
    as_json: Json = False,
) -> None:
    """Make a dataset of interactions.

    Says what was left out, and why: what failed, was cut off or says nothing, ties, equal and contradictory pairs.
    A key that was made of interactions before gets its next version, unless its lines are the same.

    Example:

      afterword datasets create rated-well --kind feedback --filter '{"feedback": {"metric": "CSAT"}}'
    """
    try:
        tree = None if filter is None else msgspec.json.decode(filter)
    except msgspec.DecodeError as error:
        raise typer.BadParameter(f"{filter[:80]!r} is not JSON: {error}", param_hint="--filter") from None  # pyright: ignore
    if format is not None and not preview:
        raise typer.BadParameter(
            "A dataset is kept in no format: give it with --preview, or to afterword datasets download.",
            param_hint="--format",
        )
    rules: dict[str, Any] = {
        "filter": tree,
        "completion_ids": completion_id or None,
        "exclude": exclude or None,
        "metrics": metric or None,
        "seed": seed,
        "include": _validated_reasons(include or []),
        "derive_pairs": derive_pairs,
        "votes": votes,
        "thresholds": _thresholds(threshold or []) or None,
        "ties": ties,
        "split": _split(split),
        "duplicates": duplicates,
    }
    with connection.open() as client:
        if preview:
            sampling = {"type": sample, "size": size}
            _print_preview(client.datasets.preview(kind, format=format or "recipe", sample=sampling, **rules), as_json)
            return
        dataset = client.datasets.create_from_interactions(key, kind, name=name, sample=sample, size=size, **rules)
    _print_dataset(dataset, as_json)


@_datasets.command("list")
@with_connection
def list_datasets(connection: ServerConnection, as_json: Json = False) -> None:
    """List the datasets of the project, the newest first: all versions of each key."""
    with connection.open() as client:
        datasets = client.datasets.list()
    if as_json:
        show_json(datasets)
        return
    show_table(
        ("key", "version", "name", "kind", "source", "lines", "bytes", "created", "hash"),
        (
            (
                *(dataset.key, dataset.version, dataset.name, dataset.kind, dataset.source, dataset.lines),
                *(dataset.size, dataset.created_at, (dataset.content_hash or "")[:HASH_CHARACTERS]),
            )
            for dataset in datasets
        ),
        empty="There are no datasets. Upload one with: afterword datasets upload FILE",
    )


@_datasets.command("show")
@with_connection
def show_dataset(connection: ServerConnection, dataset: Name, version: Version = None, as_json: Json = False) -> None:
    """Show a dataset."""
    with connection.open() as client:
        found_dataset = client.datasets.get(dataset, version=version)
    if found_dataset is None:
        of_version = f" with the version {version}" if version else ""
        raise CommandError(f"There is no dataset {dataset!r}{of_version}. List them with: afterword datasets list")
    if as_json:
        show_json(found_dataset)
        return
    hidden = ("metrics", "left_out", "download_url", "is_unchanged")
    rows: list[tuple[str, Any]] = [
        (name, getattr(found_dataset, name)) for name in found_dataset.__struct_fields__ if name not in hidden
    ]
    rows += [
        (metric_count.metric, f"{metric_count.values} values, {metric_count.preferences} preferences")
        for metric_count in found_dataset.metrics
    ]
    rows += [(f"left out: {_reason_text(reason)}", count) for reason, count in found_dataset.left_out.items()]
    show_table(("", found_dataset.key), rows, empty="")


@_datasets.command("download")
@with_connection
def download_dataset(
    connection: ServerConnection,
    dataset: Name,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="The default is KEY.jsonl. NAME.parquet is a Parquet file.",
            show_default=False,
        ),
    ] = None,
    format: Annotated[
        DatasetForm, typer.Option("--format", help="The rows' format; original: the bytes that were uploaded.")
    ] = "recipe",
    provenance: Annotated[
        bool, typer.Option("--provenance/--no-provenance", help="Say in each row's metadata where it comes from.")
    ] = True,
    split: Annotated[SplitName | None, typer.Option("--split", help="Only this side of the split.")] = None,
    version: Version = None,
) -> None:
    """Download a dataset into a file."""
    with connection.open() as client:
        target = output or Path(f"{dataset}.jsonl")
        size = client.datasets.download(
            dataset, target, format=format, provenance=provenance, split=split, version=version
        )
    note(f"Downloaded {size:,} bytes to {target}.")


@_datasets.command("delete")
@with_connection
def delete_dataset(
    connection: ServerConnection,
    dataset: Name,
    version: Annotated[
        int | None,
        typer.Option("--version", min=1, help="Only this version; the default is all.", show_default=False),
    ] = None,
) -> None:
    """Delete a dataset with all its versions, or one of them. The interactions that it was made of stay."""
    with connection.open() as client:
        client.datasets.delete(dataset, version=version)
    typer.echo(f"Deleted {dataset}{f', version {version}' if version else ''}.")


def _print_dataset(dataset: Dataset, as_json: bool) -> None:
    if as_json:
        show_json(dataset)
    else:
        name = dataset.key if dataset.version == 1 else f"{dataset.key}, version {dataset.version}"
        lines = f"{dataset.lines:,} {'line' if dataset.lines == 1 else 'lines'} of the kind {dataset.kind}"
        if dataset.is_unchanged:
            typer.echo(f"Unchanged {name}: {lines}. They are the same as before, so nothing was stored.")
        else:
            typer.echo(f"Made {name}: {lines}.")
        if dataset.left_out:
            counts = ", ".join(f"{count:,} {_reason_text(reason)}" for reason, count in dataset.left_out.items())
            note(f"Left out: {counts}.")


def _print_preview(preview: DatasetPreview, as_json: bool) -> None:
    if as_json:
        show_json(preview)
        return
    for row in preview.rows:
        typer.echo(msgspec.json.encode(row).decode())
    scope = " of the newest interactions" if preview.is_partial else ""
    note(f"It would have {preview.lines:,} {'line' if preview.lines == 1 else 'lines'}{scope}.")
    if preview.left_out:
        note(
            f"Left out: {', '.join(f'{count:,} {_reason_text(reason)}' for reason, count in preview.left_out.items())}."
        )


def _validated_reasons(words: list[str]) -> list[Unfinished]:
    for word in words:
        if word not in UNFINISHED:
            raise typer.BadParameter(f"{word!r} is none of {', '.join(UNFINISHED)}.", param_hint="--include")
    return [word for word in UNFINISHED if word in words]


def _thresholds(words: list[str]) -> dict[str, dict[str, float]]:
    thresholds: dict[str, dict[str, float]] = {}
    for word in words:
        try:
            key, false_to, true_from = word.rsplit(":", 2)
            thresholds[key] = {"false_to": float(false_to), "true_from": float(true_from)}
        except ValueError:
            raise typer.BadParameter(f"{word!r} is not like CSAT:2:4.", param_hint="--threshold") from None
    return thresholds


def _split(word: str | None) -> dict[str, Any] | None:
    if word is None:
        return None
    try:
        by, validation, test = word.split(":")
        return {"by": by, "validation": float(validation), "test": float(test)}
    except ValueError:
        raise typer.BadParameter(f"{word!r} is not like session:0.1:0.1.", param_hint="--split") from None


def _reason_text(reason: str) -> str:
    return reason.replace("_", " ")
