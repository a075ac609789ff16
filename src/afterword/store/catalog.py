"""The catalog: projects, metrics, models and API keys, held in memory and written through to their tables.

These rows are few and every call needs them, so they stay in memory. Lookups take a key or an id. Writes are units of
work for the write queue; pass the result of a unit to `keep` after its commit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, TypeAlias
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Table, select

from afterword.errors import Conflict
from afterword.store.ab_tests import Tests
from afterword.store.calls import SYSTEM_METRICS
from afterword.store.engine import Transaction
from afterword.store.people import People
from afterword.store.schema import api_keys, metric_links, metrics, models, project_models, projects
from afterword.types import Kind, ProviderName, Role, ScoringType

# Upper bound on the labels held in memory; all are dropped beyond it. Clients may make up new labels for each call.
MAX_LABEL_COUNT = 5_000
# Upper bound on lookups of unknown names between two catalog reloads. Each lookup blocks the event loop, and a client
# may keep asking for names that do not exist.
UNKNOWN_NAME_LOOKUP_LIMIT = 100


class ProjectRow(msgspec.Struct, frozen=True):
    """A row of `projects`."""

    number: int
    id: UUID
    key: str
    name: str
    description: str
    created_at: int
    archived: bool
    default_metric: int | None = None
    retention_days: int | None = None
    payload_retention_days: int | None = None


class MetricRow(msgspec.Struct, frozen=True):
    """A row of `metrics`. `project` is 0 for a shared metric, which belongs to the projects that link it."""

    number: int
    id: UUID
    project: int
    key: str
    name: str
    kind: Kind
    scoring_type: ScoringType
    description: str
    unit: str
    created_at: int
    deleted_at: int | None


class MetricLinkRow(msgspec.Struct, frozen=True):
    """A row of `metric_links`."""

    project: int
    metric: int


class ModelRow(msgspec.Struct, frozen=True):
    """A row of `models`."""

    number: int
    id: UUID
    key: str
    created_at: int
    name: str | None = None
    provider: ProviderName | None = None
    external_model_id: str | None = None
    endpoint: str | None = None
    secret: bytes | None = None
    extra_params: str | None = None
    fallback: int | None = None


class ProjectModelRow(msgspec.Struct, frozen=True):
    """A row of `project_models`."""

    project: int
    model: int
    is_default: bool
    enabled: bool
    created_at: int


class ApiKeyRow(msgspec.Struct, frozen=True):
    """A row of `api_keys`. `projects` holds numbers; None: all projects."""

    number: int
    id: UUID
    name: str
    prefix: str
    hash: bytes
    role: Role
    projects: frozenset[int] | None
    created_at: int
    expires_at: int | None
    revoked_at: int | None
    user: int | None = None
    created_by: int | None = None


Fetch: TypeAlias = Callable[[Callable[[Connection], Any]], Any]
"""Runs a function of a connection; returns its result."""
CatalogRow: TypeAlias = ProjectRow | MetricRow | MetricLinkRow | ModelRow | ProjectModelRow | ApiKeyRow


class _FetchingDict(dict[int, Any]):
    """Rows by number. A missing row, which another server may have just inserted, is fetched from the database."""

    def __init__(self, fetch: Callable[[int], Any]) -> None:
        super().__init__()
        self._fetch = fetch

    def __missing__(self, number: int) -> Any:
        row = self._fetch(number)
        if row is None:
            raise KeyError(number)
        return row


class Catalog:
    """The rows of the small tables, by number, key, id and hash.

    `fetch` reads a row that is not in memory from the database. It is None if this server is the only one.
    """

    def __init__(self, fetch: Fetch | None = None) -> None:
        def rows_by_number(table: Table, row_of: Callable[[Any], Any]) -> Any:
            if fetch is None:
                return {}
            fetch_row = fetch
            return _FetchingDict(lambda number: _fetch_row(fetch_row, table, row_of, number))

        self.projects: dict[int, ProjectRow] = rows_by_number(projects, _project)
        self.metrics: dict[int, MetricRow] = rows_by_number(metrics, _metric)
        self.models: dict[int, ModelRow] = rows_by_number(models, _model)
        self.project_models: dict[tuple[int, int], ProjectModelRow] = {}
        self.api_keys: dict[int, ApiKeyRow] = {}
        self.people = People()
        self.tests = Tests()
        self._fetch = fetch
        self._fetched_names: set[tuple[str, str]] = set()
        self._changes = 0
        self._labels: set[int] = set()
        self._projects: dict[str, ProjectRow] = {}
        self._metrics: dict[tuple[int, str], MetricRow] = {}
        self._linked: dict[int, set[int]] = defaultdict(set)
        self._models: dict[str, ModelRow] = {}
        self._api_keys: dict[bytes, ApiKeyRow] = {}

    @classmethod
    def load(cls, connection: Connection, fetch: Fetch | None = None) -> Catalog:
        """Read the small tables."""
        catalog = cls(fetch)
        catalog.people = People.load(connection)
        catalog.tests = Tests.load(connection)
        for table, row_of in ((projects, _project), (metrics, _metric), (models, _model), (api_keys, _api_key)):
            for row in connection.execute(select(table).order_by(table.c.number)):
                catalog.keep(row_of(row))
        for row in connection.execute(select(metric_links)):
            catalog.keep(MetricLinkRow(**row._mapping))
        for row in connection.execute(select(project_models)):
            catalog.keep(_project_model(row))
        return catalog

    @property
    def changes(self) -> int:
        """Return a counter that grows with each row that is kept or dropped."""
        return self._changes + self.people.changes + self.tests.changes

    def adopt(self, other: Catalog) -> None:
        """Replace all rows, except the known labels, with those of another catalog.

        `people` and `tests` stay the same objects: a caller may hold a reference while its write is under way.
        """
        other._labels, other._changes = self._labels, self.changes + 1
        for current, loaded in ((self.people, other.people), (self.tests, other.tests)):
            vars(current).update(vars(loaded))
        other.people, other.tests = self.people, self.tests
        vars(self).update(vars(other))

    def keep(self, row: CatalogRow) -> None:
        """Store a row in memory as it now stands in the database."""
        self._changes += 1
        match row:
            case ProjectRow():
                self.projects[row.number] = self._projects[row.key] = self._projects[str(row.id)] = row
            case MetricRow():
                self.metrics[row.number] = row
                for project in (row.project, *self._linked[row.number]):
                    self._index_metric(row, project, is_live=row.deleted_at is None)
            case MetricLinkRow():
                self._linked[row.metric].add(row.project)
                self.keep(self.metrics[row.metric])
            case ModelRow():
                self.models[row.number] = self._models[row.key] = self._models[str(row.id)] = row
            case ProjectModelRow():
                self.project_models[row.project, row.model] = row
            case ApiKeyRow():
                self.api_keys[row.number] = self._api_keys[row.hash] = row

    def _index_metric(self, row: MetricRow, project: int, *, is_live: bool) -> None:
        """Add a metric's key and id to a project's names, or remove them if the metric is not `is_live`."""
        for name in (row.key, str(row.id)):
            if is_live:
                self._metrics[project, name] = row
            elif (existing := self._metrics.get((project, name))) and existing.number == row.number:
                del self._metrics[project, name]

    def drop(self, row: ProjectModelRow | MetricLinkRow) -> None:
        """Remove a row that was deleted."""
        self._changes += 1
        if isinstance(row, ProjectModelRow):
            self.project_models.pop((row.project, row.model), None)
        else:
            self._linked[row.metric].discard(row.project)
            self._index_metric(self.metrics[row.metric], row.project, is_live=False)

    def knows_label(self, number: int) -> bool:
        """Return whether a label is known to be in the table `labels`, so that its row need not be written again."""
        return number in self._labels

    def keep_labels(self, numbers: Iterable[int]) -> None:
        """Remember labels that were committed; drop all when there are more than `MAX_LABEL_COUNT`."""
        if len(self._labels) > MAX_LABEL_COUNT:
            self._labels.clear()
        self._labels.update(numbers)

    def find_project(self, id_or_key: str) -> ProjectRow | None:
        """Return the project with a key or id, or None."""
        if id_or_key not in self._projects:
            self._fetch_by_name(projects, _project, id_or_key)
        return self._projects.get(id_or_key)

    def find_metric(self, project: int, id_or_key: str) -> MetricRow | None:
        """Return the metric of a project with a key or id, or None; None also if it was deleted."""
        if (project, id_or_key) not in self._metrics and id_or_key not in SYSTEM_METRICS:
            self._fetch_by_name(metrics, _metric, id_or_key)
        return self._metrics.get((project, id_or_key))

    def metrics_of(self, project: int) -> list[MetricRow]:
        """Return the metrics that a project owns or is linked to, by key."""
        rows = (row for row in self.metrics.values() if project in self.projects_of(row) and row.deleted_at is None)
        return sorted(rows, key=lambda row: row.key)

    def projects_of(self, row: MetricRow) -> set[int]:
        """Return the projects that own a metric or are linked to it."""
        return self._linked[row.number] | ({row.project} if row.project else set())

    def find_model(self, id_or_key: str) -> ModelRow | None:
        """Return the model with a key or id, or None."""
        if id_or_key not in self._models:
            self._fetch_by_name(models, _model, id_or_key)
        return self._models.get(id_or_key)

    def models_of(self, project: int) -> list[ProjectModelRow]:
        """Return the models attached to a project: the default first, then in the order of their attachment."""
        rows = [row for row in self.project_models.values() if row.project == project]
        return sorted(rows, key=lambda row: (not row.is_default, row.created_at, row.model))

    def find_api_key(self, digest: bytes) -> ApiKeyRow | None:
        """Return the API key with this SHA-256, or None."""
        return self._api_keys.get(digest)

    def _fetch_by_name(self, table: Table, row_of: Callable[[Any], Any], id_or_key: str) -> None:
        """Fetch and keep the rows with a key or id, which other servers may have inserted since the last reload."""
        name_key = (table.name, id_or_key)
        if (
            self._fetch is None
            or name_key in self._fetched_names
            or len(self._fetched_names) == UNKNOWN_NAME_LOOKUP_LIMIT
        ):
            return
        if "\0" in id_or_key:
            return
        condition = table.c.key == id_or_key
        with suppress(ValueError):
            condition |= table.c.id == UUID(id_or_key)
        rows = self._fetch(lambda connection: connection.execute(select(table).where(condition)).all())
        self._fetched_names.add(name_key)
        for row in rows:
            self.keep(row_of(row))
            if table is metrics:
                links = select(metric_links).where(metric_links.c.metric == row.number)
                for link in self._fetch(lambda connection, links=links: connection.execute(links).all()):
                    self.keep(MetricLinkRow(**link._mapping))


# ------------------------------------------------------------------------------------------------ units of work


def add(transaction: Transaction, table: Table, **values: Any) -> int:
    """Insert a row into a small table; return its number."""
    result = transaction.connection.execute(table.insert().values(**values))
    return result.inserted_primary_key[0]  # pyright: ignore[reportOptionalSubscript]


def add_project(transaction: Transaction, row: ProjectRow) -> ProjectRow:
    """Insert a project. Raises `Conflict` if its key is taken."""
    transaction.lock_catalog()
    existing = transaction.connection.execute(select(projects.c.number).where(projects.c.key == row.key)).first()
    if existing:
        raise Conflict(
            f"A project with the key {row.key!r} exists already.",
            code="project_exists",
            param="key",
            hint="Choose another key, or change that project with PATCH.",
        )
    return _with_number(row, add(transaction, projects, **_values(row)))


def change_project(transaction: Transaction, number: int, values: dict[str, Any]) -> ProjectRow:
    """Change columns of a project; return the changed row."""
    return _project(_change_row(transaction, projects, number, values))


def add_metric(transaction: Transaction, row: MetricRow) -> MetricRow:
    """Insert a metric, or return the existing metric of the project with the same key."""
    transaction.lock_catalog()
    conditions = (metrics.c.project == row.project, metrics.c.key == row.key, metrics.c.deleted_at.is_(None))
    existing = transaction.connection.execute(select(metrics).where(*conditions)).first()
    return _metric(existing) if existing else _with_number(row, add(transaction, metrics, **_values(row)))


def change_metric(transaction: Transaction, number: int, values: dict[str, Any]) -> MetricRow | None:
    """Change columns of a metric; return the changed row, or None if the metric was deleted meanwhile."""
    changed = _change_row(transaction, metrics, number, values, metrics.c.deleted_at.is_(None))
    return None if changed is None else _metric(changed)


def link_metric(transaction: Transaction, row: MetricLinkRow) -> MetricLinkRow:
    """Link a metric to a project."""
    transaction.lock_catalog()
    unlink_metric(transaction, row)
    transaction.connection.execute(metric_links.insert().values(project=row.project, metric=row.metric))
    return row


def unlink_metric(transaction: Transaction, row: MetricLinkRow) -> bool:
    """Delete a link; return whether it existed."""
    condition = (metric_links.c.project == row.project, metric_links.c.metric == row.metric)
    return transaction.connection.execute(metric_links.delete().where(*condition)).rowcount > 0


def add_model(transaction: Transaction, row: ModelRow) -> ModelRow:
    """Insert a model, or return the existing model with the same key."""
    transaction.lock_catalog()
    existing = transaction.connection.execute(select(models).where(models.c.key == row.key)).first()
    return _model(existing) if existing else _with_number(row, add(transaction, models, **_values(row)))


def register_model(transaction: Transaction, row: ModelRow) -> ModelRow:
    """Insert a callable model, or turn an existing model that was only logged into one.

    An existing callable model of the same key is returned unchanged.
    """
    transaction.lock_catalog()
    existing = transaction.connection.execute(select(models).where(models.c.key == row.key)).first()
    if existing is None:
        return add_model(transaction, row)
    model = _model(existing)
    if model.provider is not None:
        return model
    row = msgspec.structs.replace(row, number=model.number, id=model.id, created_at=model.created_at)
    transaction.connection.execute(models.update().where(models.c.number == row.number).values(**_values(row)))
    return row


def change_model(transaction: Transaction, number: int, values: dict[str, Any]) -> ModelRow | None:
    """Change columns of a callable model; return its row, or None if it was deleted meanwhile.

    A model that loses its provider is detached from all projects.
    """
    changed = _change_row(transaction, models, number, values, models.c.provider.is_not(None))
    if changed is None:
        return None
    if changed.provider is None:
        transaction.connection.execute(project_models.delete().where(project_models.c.model == number))
    return _model(changed)


def attach_model(transaction: Transaction, row: ProjectModelRow) -> list[ProjectModelRow]:
    """Write a project's row for a model; return all changed rows: a new default unsets the project's previous one."""
    transaction.lock_catalog()
    connection, of_project = transaction.connection, project_models.c.project == row.project
    changed = [row]
    if row.is_default:
        others = connection.execute(select(project_models).where(of_project, project_models.c.is_default.is_(True)))
        rows = [_project_model(other) for other in others if other.model != row.model]
        changed += [msgspec.structs.replace(other, is_default=False) for other in rows]
    for project_model in changed:
        connection.execute(project_models.delete().where(of_project, project_models.c.model == project_model.model))
        connection.execute(project_models.insert().values(**msgspec.structs.asdict(project_model)))
    return changed


def change_project_model(
    transaction: Transaction, row: ProjectModelRow, values: dict[str, Any]
) -> list[ProjectModelRow]:
    """Change a project's row for a model; return all changed rows: none if the model was detached meanwhile."""
    transaction.lock_catalog()
    condition = (project_models.c.project == row.project, project_models.c.model == row.model)
    existing = transaction.connection.execute(select(project_models).where(*condition)).first()
    if existing is None:
        return []
    return attach_model(transaction, msgspec.structs.replace(_project_model(existing), **values))


def detach_model(transaction: Transaction, row: ProjectModelRow) -> bool:
    """Detach a model from a project; return whether it was attached."""
    condition = (project_models.c.project == row.project, project_models.c.model == row.model)
    return transaction.connection.execute(project_models.delete().where(*condition)).rowcount > 0


def add_api_key(transaction: Transaction, row: ApiKeyRow) -> ApiKeyRow:
    """Insert an API key."""
    return _with_number(row, add(transaction, api_keys, **_values(row)))


def revoke_api_key(transaction: Transaction, number: int, revoked_at: int) -> ApiKeyRow:
    """Revoke an API key; return it as it is now."""
    return _api_key(_change_row(transaction, api_keys, number, {"revoked_at": revoked_at}))


def _change_row(transaction: Transaction, table: Table, number: int, values: dict[str, Any], *conditions: Any) -> Any:
    """Change only these columns of a row: another caller may have just changed others. Return the row as it is now;
    None if it does not exist, or if one of the `conditions` does not hold."""
    transaction.lock_catalog()
    connection, condition = transaction.connection, table.c.number == number
    if connection.execute(select(table.c.number).where(condition, *conditions)).first() is None:
        return None
    if values:
        connection.execute(table.update().where(condition).values(**values))
    return connection.execute(select(table).where(condition)).first()


def _with_number(row: Any, number: int) -> Any:
    return msgspec.structs.replace(row, number=number)


def _values(row: ProjectRow | MetricRow | ModelRow | ApiKeyRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__struct_fields__ if name != "number"}
    if isinstance(row, ApiKeyRow):
        values["projects"] = None if row.projects is None else msgspec.json.encode(sorted(row.projects)).decode()
    return values


def _fetch_row(fetch: Fetch, table: Table, row_of: Callable[[Any], Any], number: int) -> Any:
    row = fetch(lambda connection: connection.execute(select(table).where(table.c.number == number)).first())
    return None if row is None else row_of(row)


def _project(row: Any) -> ProjectRow:
    return ProjectRow(**row._mapping)


def _metric(row: Any) -> MetricRow:
    return MetricRow(**row._mapping)


def _model(row: Any) -> ModelRow:
    return ModelRow(**row._mapping)


def _project_model(row: Any) -> ProjectModelRow:
    return ProjectModelRow(**row._mapping)


def _api_key(row: Any) -> ApiKeyRow:
    values = dict(row._mapping)
    if values["projects"] is not None:
        values["projects"] = frozenset(msgspec.json.decode(values["projects"]))
    return ApiKeyRow(**values)
