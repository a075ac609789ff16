"""`afterword import`: files of lines to interactions, feedback and preferences. Streams; safe to repeat."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any

import typer

from afterword.cli.arguments import parse_labels
from afterword.cli.connection import CommandError, ServerConnection, with_connection
from afterword.cli.import_lines import ImportLine, LineError, Options, Shaper
from afterword.cli.import_report import ImportProgress, Report
from afterword.cli.output import note
from afterword.client.line_files import RawLine, UnreadableFile, open_source
from afterword.errors import AfterwordError, Conflict, ConnectionFailed, Forbidden, Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from afterword.client import Afterword

# A lot is the lines that are read before they are sent: enough for all calls in flight, and little memory.
MIN_LOT_LINES = 1_000
MAX_LOT_BYTES = 16 << 20
# Two lots overlap: the next is being sent while the last answers of the previous one arrive.
CONCURRENT_LOT_COUNT = 2
# The most interactions on a page of a search.
MAX_LOOKUP_IDS = 200
# Lines that name an unknown completion are sent again at the end, because it may come later. Limit of these lines:
MAX_POSTPONED_BYTES = 64 << 20

HELP = """Import interactions, feedback, preferences and outcomes from files.

A file has one JSON object a line (JSONL), or objects over several lines, or is one JSON array; it may be packed by
gzip, bzip2, xz or zstd; - is standard input. A line may be

  an interaction:
    {"messages": [{"role": "user", "content": "Hi"}], "completion": "Hello!",
     "model": "m1", "feedbacks": {"CSAT": 5}, "labels": {"lang": "en"}}
  a line of OpenAI's chat fine-tuning:
    {"messages": [..., {"role": "assistant", "content": "Hello!"}]}
  a preference, between texts or between completion_ids:
    {"messages": [...], "feedback_key": "acceptance",
     "preferred_completion": "Hello!", "other_completion": "Hm."}
  feedback:
    {"completion_id": "...", "feedback_key": "CSAT", "value": 5}
  the outcome of a session:
    {"session_id": "...", "feedback_key": "solved", "value": true}
  what afterword export wrote
  a line of a training file (instructions, conversations, chosen and rejected answers, thumbs, ratings), or the log of a
  call (LiteLLM, Langfuse, LangSmith, Helicone, Phoenix, OpenTelemetry, OpenAI)

Members that no shape knows are kept under parameters. Importing the same again stores nothing twice. A bad line hurts
no other: the command ends with exit code 1, says what was wrong, and --report keeps the lines.

Examples:

  afterword import chats.jsonl --label dataset=chats-v1
  zcat logs.gz | afterword import - --project support --model gpt-4o
  afterword import ratings.jsonl --dry-run
"""


@with_connection
def import_files(
    connection: ServerConnection,
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
    concurrency: Annotated[int, typer.Option("--concurrency", min=1, max=64, help="Calls in flight.")] = 8,
) -> None:
    """Import files."""
    if create_project and connection.project is None:
        raise typer.BadParameter("needs --project.", param_hint="--create-project")
    options = Options(project=connection.project, model=model, labels=parse_labels(label or []), new_ids=new_ids)
    with contextlib.ExitStack() as stack:
        result = Report(stack.enter_context(report.open("wb")) if report else None)
        at_once = max(1, concurrency // CONCURRENT_LOT_COUNT)
        if dry_run:
            shaper, receiver = Shaper(options), None
        else:
            client = stack.enter_context(connection.open())
            seed = _default_project(client, connection.project, create_project)
            shaper = Shaper(options, seed)
            receiver = ImportSender(client, register=register, batch_size=batch_size, concurrency=at_once)
        started = time.monotonic()
        try:
            with ImportProgress(files) as progress:
                lots = _lots(files, shaper, result, progress, max_lines=max(MIN_LOT_LINES, batch_size * at_once))
                _send(lots, receiver, result, at_once=min(concurrency, CONCURRENT_LOT_COUNT))
        except (AfterwordError, KeyboardInterrupt):
            note(f"Stopped after {result.lines:,} lines. Import the same again to go on: nothing is stored twice.")
            raise
        result.show(time.monotonic() - started, dry_run=dry_run)
    if result.failed:
        raise typer.Exit(1)


def _default_project(client: Afterword, project: str | None, create: bool) -> str:
    """Check that the server and the project exist; return the default project of the lines.

    A key without read permission cannot check the project.
    """
    try:
        if project is not None:
            visible_project = client.projects.get(project)
            if visible_project is None and not create:
                raise CommandError(f"There is no project {project!r} that this key may see. Add --create-project.")
            return (visible_project or client.projects.create(project)).key
        visible = client.projects.list()
        return visible[0].key if len(visible) == 1 else "default"
    except Forbidden:
        return project or ""


@dataclass(slots=True)
class ImportedLine:
    """A line that was read, with the bodies of its calls and the error that stopped it."""

    raw: RawLine
    line: ImportLine
    error: AfterwordError | None = None
    present: bool = False


def _send(lots: Iterator[list[ImportedLine]], receiver: ImportSender | None, result: Report, *, at_once: int) -> None:
    """Send `at_once` lots at a time, while the next is read."""
    sending: deque[Future[list[ImportedLine]]] = deque()
    with ThreadPoolExecutor(at_once, thread_name_prefix="afterword-import") as sender:
        for lot in lots:
            if receiver is None:
                _count_lines(result, lot)
                continue
            if len(sending) == at_once:
                _count_lines(result, sending.popleft().result())
            sending.append(sender.submit(receiver.send, lot))
        while sending:
            _count_lines(result, sending.popleft().result())
    if receiver is not None:
        _count_lines(result, receiver.send_postponed())


def _count_lines(result: Report, lot: list[ImportedLine]) -> None:
    for imported_line in lot:
        if imported_line.error is None:
            result.count_sent(imported_line.line, present=imported_line.present)
        else:
            result.count_failed(imported_line.raw, imported_line.error)


def _lots(
    files: Iterable[str], shaper: Shaper, result: Report, progress: ImportProgress, *, max_lines: int
) -> Iterator[list[ImportedLine]]:
    """Read files into lots of at most `max_lines` lines."""
    lot: list[ImportedLine] = []
    size = 0
    for name in files:
        try:
            source = open_source(name)
            with contextlib.closing(source.stream):
                for raw in source.lines():
                    try:
                        if raw.problem:
                            raise LineError(raw.problem)
                        lot.append(ImportedLine(raw, shaper.line_of(raw.content)))
                    except LineError as error:
                        result.count_failed(raw, str(error))
                    size += len(raw.content)
                    if len(lot) >= max_lines or size >= MAX_LOT_BYTES:
                        yield lot
                        lot, size = [], 0
                        progress.update(source, result.lines)
                progress.update(source, result.lines)
        except UnreadableFile as error:
            result.count_failed(RawLine(name, 0, b""), error.message)
    if lot:
        yield lot


@dataclass(slots=True)
class ImportSender:
    """Sends lots: metrics, then interactions, then feedback, preferences and outcomes."""

    client: Afterword
    register: bool
    batch_size: int
    concurrency: int
    _keys_by_project: dict[str | None, set[str]] = field(default_factory=dict)
    _mixed_keys: set[tuple[str | None, str]] = field(default_factory=set)
    _postponed: list[ImportedLine] = field(default_factory=list)
    _postponed_bytes_left: int = MAX_POSTPONED_BYTES
    _lock: Lock = field(default_factory=Lock)

    def send(self, lot: list[ImportedLine]) -> list[ImportedLine]:
        """Send a lot; return its finished lines in order. Raises errors that stop all lots."""
        with self._lock:
            self._define_metrics(lot)
            if self.register:
                self._register_unknown_keys(lot)
        self._upload("interactions", lot)
        self._upload("feedback", lot)
        self._upload("preferences", lot)
        self._upload("outcomes", lot)
        settled_lines = []
        for imported_line in lot:
            missing = isinstance(imported_line.error, NotFound) and imported_line.error.code in (
                "completion_not_found",
                "session_not_found",
            )
            if missing and len(imported_line.raw.content) <= self._postponed_bytes_left:
                self._postponed_bytes_left -= len(imported_line.raw.content)
                self._postponed.append(imported_line)
            else:
                settled_lines.append(imported_line)
        return settled_lines

    def send_postponed(self) -> list[ImportedLine]:
        """Send the postponed lines again."""
        lot, self._postponed = self._postponed, []
        for imported_line in lot:
            imported_line.error = None
        self._upload("feedback", lot)
        self._upload("preferences", lot)
        self._upload("outcomes", lot)
        return lot

    def _upload(self, name: str, lot: list[ImportedLine]) -> None:
        """Send one kind of bodies of a lot, such as `feedback`, and assign errors to their lines."""
        owners = [
            imported_line
            for imported_line in lot
            if imported_line.error is None
            for _ in getattr(imported_line.line, name)
        ]
        bodies = [
            body for imported_line in lot if imported_line.error is None for body in getattr(imported_line.line, name)
        ]
        if not bodies:
            return
        upload = {
            "interactions": self.client.interactions.upload,
            "feedback": self.client.feedback.upload,
            "preferences": self.client.feedback.upload_preferences,
            "outcomes": self.client.feedback.upload_outcomes,
        }[name]
        answer = upload(bodies, batch_size=self.batch_size, max_concurrency=self.concurrency, progress=False)
        elsewhere = self._ids_of_other_projects(
            bodies[failure.index]
            for failure in answer.failed
            if owners[failure.index].line.exported and failure.error.code == "completion_exists"
        )
        for failure in answer.failed:
            if isinstance(failure.error, ConnectionFailed | Unavailable):
                raise failure.error
            owner = owners[failure.index]
            already_exists = isinstance(failure.error, Conflict) and str(failure.error.code).endswith("_exists")
            completion_id = bodies[failure.index].get("completion_id")
            if already_exists and completion_id in elsewhere:
                owner.error = _other_project_error(completion_id)
            elif owner.line.exported and already_exists:
                owner.present = True
            elif owner.error is None:
                owner.error = failure.error

    def _ids_of_other_projects(self, bodies: Iterable[dict[str, Any]]) -> set[str]:
        """Return the completion_ids that exist in a project other than that of their body; without read permission,
        none."""
        ids_by_project: dict[str | None, set[str]] = {}
        for body in bodies:
            ids_by_project.setdefault(body.get("project"), set()).add(body["completion_id"])
        elsewhere: set[str] = set()
        for project, project_ids in ids_by_project.items():
            ids = sorted(project_ids)
            for start in range(0, len(ids), MAX_LOOKUP_IDS):
                lookup_ids = ids[start : start + MAX_LOOKUP_IDS]
                condition = {"completion_id": {"in": lookup_ids}}
                try:
                    page = self.client.interactions.search(condition, project=project, limit=MAX_LOOKUP_IDS)
                except Forbidden:
                    return elsewhere
                elsewhere |= set(lookup_ids) - {str(row.completion_id) for row in page.interactions}
        return elsewhere

    # -------------------------------------------------------------------------------------------- metrics

    def _define_metrics(self, lot: list[ImportedLine]) -> None:
        for imported_line in lot:
            for body in imported_line.line.metrics:
                try:
                    metric = self.client.feedback.register_key(**body)
                    self._feedback_keys(body.get("project")).add(metric.key)
                except (AfterwordError, TypeError) as error:
                    imported_line.error = error if isinstance(error, AfterwordError) else AfterwordError(str(error))

    def _register_unknown_keys(self, lot: list[ImportedLine]) -> None:
        """Register the feedback keys of a lot that the server does not know, typed by the values in the lot."""
        kinds: dict[tuple[str | None, str], set[bool]] = {}
        for project, feedback_body in _feedback_bodies(lot):
            if isinstance(feedback_body.get("metric"), str) and feedback_body["metric"] not in self._feedback_keys(
                project
            ):
                value_kinds = kinds.setdefault((project, feedback_body["metric"]), set())
                if "value" in feedback_body:
                    value_kinds.add(isinstance(feedback_body["value"], bool))
        for (project, key), booleans in kinds.items():
            kind = "bool" if booleans == {True} else "scalar"
            try:
                self.client.feedback.register_key(key, kind=kind, project=project)
            except Forbidden:
                self.register = False
                return
            except (Conflict, Invalid, NotFound):
                continue  # Lines with this key get the server's own error.
            self._feedback_keys(project).add(key)
            if booleans == {True, False}:
                self._mixed_keys.add((project, key))
        if self._mixed_keys:
            # Values of both kinds under one key: true counts as 1.
            for project, feedback_body in _feedback_bodies(lot):
                if (project, feedback_body.get("metric")) in self._mixed_keys and isinstance(
                    feedback_body.get("value"), bool
                ):
                    feedback_body["value"] = int(feedback_body["value"])

    def _feedback_keys(self, project: str | None) -> set[str]:
        if project not in self._keys_by_project:
            try:
                metrics = self.client.feedback.list_keys(project=project)
                self._keys_by_project[project] = {name for metric in metrics for name in (metric.key, str(metric.id))}
            except (Forbidden, NotFound):
                self._keys_by_project[project] = set()
        return self._keys_by_project[project]


def _other_project_error(completion_id: str) -> Conflict:
    return Conflict(
        f"The completion_id {completion_id} is taken by an interaction that is not in this project.",
        param="completion_id",
        hint="Give --new-ids to copy what another project of the server has.",
    )


def _feedback_bodies(lot: list[ImportedLine]) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Yield each body that names a feedback key, with its project."""
    for line in (imported_line.line for imported_line in lot):
        project = line.interactions[0].get("project") if line.interactions else None
        for interaction in line.interactions:
            for feedback_body in interaction.get("feedbacks", ()):
                yield project, feedback_body
        for feedback_body in (*line.feedback, *line.preferences, *line.outcomes):
            yield feedback_body.get("project", project), feedback_body
