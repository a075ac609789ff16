"""`afterword import`: files of lines to interactions, feedback and preferences. Streams; safe to repeat."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterword.cli.administering import pairs
from afterword.cli.connecting import CommandError, Connection, connected
from afterword.cli.reading import Raw, open_source
from afterword.cli.reporting import Progress, Report
from afterword.cli.shapes import Line, LineError, Options, Shaper
from afterword.errors import AfterwordError, Conflict, Forbidden, NotFound

if TYPE_CHECKING:
    from afterword.client import Afterword

# So much is read before it is sent: enough for all calls in flight, and little beside the memory of the process.
MOST_LINES = 5_000
MOST_BYTES = 16 << 20
# What names a completion that is not there yet is sent again at the end: it may come later in the file.
MOST_POSTPONED = 100_000

HELP = """Import interactions, feedback and preferences from files.

A file has one JSON object a line (JSONL), gzipped or not, or is one JSON array; - is standard input. A line may be

  an interaction        {"messages": [{"role": "user", "content": "Hi"}], "completion": "Hello!",
                         "feedbacks": {"CSAT": 5}, "labels": {"lang": "en"}}
  a fine-tuning line    {"messages": [..., {"role": "assistant", "content": "Hello!"}]}
  a preference          {"messages": [...], "preferred_completion": "Hello!", "other_completion": "Hm.",
                         "feedback_key": "acceptance"}, or with completion_ids in place of the texts
  feedback              {"completion_id": "...", "feedback_key": "CSAT", "value": 5}
  what `afterword export` wrote

Members that no shape knows are kept under parameters. Importing the same again stores nothing twice. A bad line hurts
no other: the command ends with exit code 1, says what was wrong, and --report keeps the lines.

Examples:

  afterword import chats.jsonl --label dataset=chats-v1
  zcat logs.gz | afterword import - --project support --model gpt-4o
  afterword import ratings.jsonl --dry-run
"""


@connected
def import_files(
    connection: Connection,
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="JSONL, .gz, or -.", show_default=False)],
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="KEY=VALUE", help="A label for every interaction; a line's own value wins."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="The model of lines that name none.")] = None,
    create_project: Annotated[
        bool, typer.Option("--create-project", help="Create the project of --project where it does not exist.")
    ] = False,
    register: Annotated[
        bool,
        typer.Option(
            "--register/--no-register",
            help="Register unknown feedback keys: bool where all values are true or false, else scalar.",
        ),
    ] = True,
    new_ids: Annotated[
        bool, typer.Option("--new-ids", help="Give new ids to what brings its own, such as to copy an export.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Write bad lines there, with what is wrong (JSONL).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and check the lines, send nothing.")] = False,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, max=10_000, help="Lines a call.")] = 500,
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Calls in flight.")] = 4,
) -> None:
    """Import files."""
    if create_project and connection.project is None:
        raise typer.BadParameter("needs --project.", param_hint="--create-project")
    options = Options(project=connection.project, model=model, labels=pairs(label or []), new_ids=new_ids)
    with contextlib.ExitStack() as stack:
        result = Report(stack.enter_context(report.open("wb")) if report else None)
        if dry_run:
            shaper, receiver = Shaper(options), None
        else:
            client = stack.enter_context(connection.open())
            seed = _default_project(client, connection.project, create_project)
            shaper = Shaper(options, seed)
            receiver = Receiver(client, register=register, batch_size=batch_size, concurrency=concurrency)
        started = time.monotonic()
        with Progress(files) as progress:
            _import(files, shaper, receiver, result, progress)
        result.show(time.monotonic() - started, dry_run=dry_run)
    if result.failed:
        raise typer.Exit(1)


def _default_project(client: Afterword, project: str | None, create: bool) -> str:
    """See that the server and the project are there; return the project that lines go to by default.

    A key that may read nothing is told neither.
    """
    try:
        if project is not None:
            found = client.projects.get(project)
            if found is None and not create:
                raise CommandError(f"There is no project {project!r} that this key may see. Add --create-project.")
            return (found or client.projects.create(project)).key
        visible = client.projects.list()
        visible = visible if isinstance(visible, list) else visible.projects
        return visible[0].key if len(visible) == 1 else "default"
    except Forbidden:
        return project or ""


@dataclass(slots=True)
class Read:
    """A line that was read: what it asks for, and the error that stopped it."""

    raw: Raw
    line: Line
    error: AfterwordError | None = None
    present: int = 0


def _import(
    files: Iterable[str], shaper: Shaper, receiver: Receiver | None, result: Report, progress: Progress
) -> None:
    """Read the next lines while those before them are sent, one lot after the other."""
    sending: Future[list[Read]] | None = None
    with ThreadPoolExecutor(1, thread_name_prefix="afterword-import") as sender:
        for lot in _lots(files, shaper, result, progress):
            if receiver is None:
                result.count(lot)
                continue
            if sending is not None:
                result.count(sending.result())
            sending = sender.submit(receiver.send, lot)
        if sending is not None:
            result.count(sending.result())
        if receiver is not None:
            result.count(sender.submit(receiver.send_postponed).result())


def _lots(files: Iterable[str], shaper: Shaper, result: Report, progress: Progress) -> Iterator[list[Read]]:
    lot: list[Read] = []
    size = 0
    for name in files:
        source = open_source(name)
        with contextlib.closing(source.stream):
            try:
                for raw in source.lines():
                    try:
                        if raw.problem:
                            raise LineError(raw.problem)
                        lot.append(Read(raw, shaper.shape(raw.content)))
                    except LineError as error:
                        result.refuse(raw, str(error))
                    size += len(raw.content)
                    if len(lot) >= MOST_LINES or size >= MOST_BYTES:
                        yield lot
                        lot, size = [], 0
                        progress.at(source, result)
            except CommandError as error:
                result.refuse(Raw(source.name, 0, b""), str(error))
            progress.at(source, result)
    if lot:
        yield lot


@dataclass(slots=True)
class Receiver:
    """Sends lots: metrics, then interactions, then what names them."""

    client: Afterword
    register: bool
    batch_size: int
    concurrency: int
    _known: dict[str | None, dict[str, str]] = field(default_factory=dict)
    _made_scalar: set[tuple[str | None, str]] = field(default_factory=set)
    _postponed: list[Read] = field(default_factory=list)

    def send(self, lot: list[Read]) -> list[Read]:
        """Send a lot; return its lines that are settled, in order. Raises what stops all lots."""
        self._define(lot)
        if self.register:
            self._register(lot)
        self._upload("interactions", lot)
        self._upload("feedback", lot)
        self._upload("preferences", lot)
        settled = []
        for one in lot:
            missing = isinstance(one.error, NotFound) and one.error.code == "completion_not_found"
            if missing and len(self._postponed) < MOST_POSTPONED:
                # Its interactions, if it has any, are stored; to send them again is to say the same.
                one.error = None
                self._postponed.append(one)
            else:
                settled.append(one)
        return settled

    def send_postponed(self) -> list[Read]:
        """Send once more what named completions that were not there."""
        lot, self._postponed = self._postponed, []
        self._upload("feedback", lot)
        self._upload("preferences", lot)
        return lot

    def _upload(self, name: str, lot: list[Read]) -> None:
        """Send what the lines of a lot have of one noun, and put errors where they belong."""
        owners = [one for one in lot if one.error is None for _ in getattr(one.line, name)]
        bodies = [body for one in lot if one.error is None for body in getattr(one.line, name)]
        if not bodies:
            return
        upload = {
            "interactions": self.client.interactions.upload,
            "feedback": self.client.feedback.upload,
            "preferences": self.client.feedback.upload_preferences,
        }[name]
        answer = upload(bodies, batch_size=self.batch_size, max_concurrency=self.concurrency, progress=False)
        for failure in answer.failed:
            one = owners[failure.index]
            taken = isinstance(failure.error, Conflict) and str(failure.error.code).endswith("_exists")
            if one.line.exported and taken:
                one.present += 1
            elif one.error is None:
                one.error = failure.error

    # -------------------------------------------------------------------------------------------- metrics

    def _define(self, lot: list[Read]) -> None:
        for one in lot:
            for body in one.line.metrics:
                try:
                    made = self.client.feedback.register_key(**body)
                    self._keys(body.get("project"))[made.key] = made.kind
                except (AfterwordError, TypeError) as error:
                    one.error = error if isinstance(error, AfterwordError) else AfterwordError(str(error))

    def _register(self, lot: list[Read]) -> None:
        """Register the feedback keys of a lot that the server does not know, typed by the values in the lot."""
        seen: dict[tuple[str | None, str], bool] = {}
        for project, key, value in (each for one in lot for each in _values(one.line)):
            if key not in self._keys(project):
                seen[project, key] = seen.get((project, key), True) and isinstance(value, bool)
        for (project, key), all_booleans in seen.items():
            kind = "bool" if all_booleans else "scalar"
            try:
                self.client.feedback.register_key(key, kind=kind, project=project)
            except AfterwordError as error:
                if isinstance(error, Forbidden) or error.status == 0:
                    raise
                continue  # The lines that use it get the server's own answer.
            self._keys(project)[key] = kind
            if kind == "scalar":
                self._made_scalar.add((project, key))
        if self._made_scalar:
            for one in lot:
                self._boolean_as_number(one.line)

    def _keys(self, project: str | None) -> dict[str, str]:
        if project not in self._known:
            try:
                found: Any = self.client.feedback.list_keys(project=project)
                found = found if isinstance(found, list) else found.metrics
                self._known[project] = {name: one.kind for one in found for name in (one.key, str(one.id))}
            except (Forbidden, NotFound):
                self._known[project] = {}
        return self._known[project]

    def _boolean_as_number(self, line: Line) -> None:
        """Under keys that were registered here as scalar, true is 1: their values are of both kinds."""
        for interaction in line.interactions:
            for one in interaction.get("feedbacks", ()):
                if (interaction.get("project"), one.get("metric")) in self._made_scalar and one.get("value") in (0, 1):
                    one["value"] = int(one["value"])
        for one in line.feedback:
            if (None, one["metric"]) in self._made_scalar and isinstance(one.get("value"), bool):
                one["value"] = int(one["value"])


def _values(line: Line) -> Iterator[tuple[str | None, str, Any]]:
    """Yield the feedback keys that a line uses: project, key, value (None where it has none)."""
    project = line.interactions[0].get("project") if line.interactions else None
    for interaction in line.interactions:
        for one in interaction.get("feedbacks", ()):
            if isinstance(one.get("metric"), str):
                yield project, one["metric"], one.get("value")
    for one in (*line.feedback, *line.preferences):
        if isinstance(one["metric"], str):
            yield one.get("project", project), one["metric"], one.get("value")
