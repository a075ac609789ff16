"""The catalog: projects, metrics, models and API keys, held in memory and written through to their tables.

They are few and every call needs them, so that no call has to read them first. Lookups take a key or an id. Writes are
units for the write queue; what a unit returns is given to `keep` after its commit.
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
from afterword.store.abtests import Tests
from afterword.store.calls import NUMBERS
from afterword.store.engine import Transaction
from afterword.store.people import People
from afterword.store.schema import api_keys, metric_links, metrics, models, project_models, projects
from afterword.types import Kind, ProviderName, Role, ScoringType

# Beyond so many all are forgotten: labels may be made up for each call.
MOST_LABELS = 5_000
# So many names that none here bears are looked for, each once, until the small tables are read anew: a look holds all
# else up, and callers may go on asking for what there is not.
MOST_LOOKS = 100


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
    """A row of `metrics`. `project` is 0 for a shared one, which counts where it is linked."""

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
    """A row of `api_keys`; `projects` are numbers, null for all."""

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
"""Run a function of a connection, and return what it returns."""
CatalogRow: TypeAlias = ProjectRow | MetricRow | MetricLinkRow | ModelRow | ProjectModelRow | ApiKeyRow


class _Numbered(dict[int, Any]):
    """Rows by their numbers. One that another server has made a moment ago is fetched."""

    def __init__(self, fetch: Callable[[int], Any]) -> None:
        super().__init__()
        self._fetch = fetch

    def __missing__(self, number: int) -> Any:
        row = self._fetch(number)
        if row is None:
            raise KeyError(number)
        return row


class Catalog:
    """What is in the small tables, by number, key, id and hash.

    `fetch` looks up a row that is not held, where other servers write, too: one may have made it a moment ago.
    """

    def __init__(self, fetch: Fetch | None = None) -> None:
        def of(table: Table, row_of: Callable[[Any], Any]) -> Any:
            if fetch is None:
                return {}
            look_up = fetch
            return _Numbered(lambda number: _one(look_up, table, row_of, number))

        self.projects: dict[int, ProjectRow] = of(projects, _project)
        self.metrics: dict[int, MetricRow] = of(metrics, _metric)
        self.models: dict[int, ModelRow] = of(models, _model)
        self.project_models: dict[tuple[int, int], ProjectModelRow] = {}
        self.api_keys: dict[int, ApiKeyRow] = {}
        self.people = People()
        self.tests = Tests()
        self._fetch = fetch
        self._looked_for: set[tuple[str, str]] = set()
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
        """Return a number that grows with each row that is kept or dropped."""
        return self._changes + self.people.changes + self.tests.changes

    def adopt(self, other: Catalog) -> None:
        """Hold what another catalog holds in place of all that is held here, but for the labels.

        `people` and `tests` stay the same objects: a caller may hold one while its write is under way.
        """
        other._labels, other._changes = self._labels, self.changes + 1
        for held, loaded in ((self.people, other.people), (self.tests, other.tests)):
            vars(held).update(vars(loaded))
        other.people, other.tests = self.people, self.tests
        vars(self).update(vars(other))

    def keep(self, row: CatalogRow) -> None:
        """Hold a row as it now stands in the store."""
        self._changes += 1
        match row:
            case ProjectRow():
                self.projects[row.number] = self._projects[row.key] = self._projects[str(row.id)] = row
            case MetricRow():
                self.metrics[row.number] = row
                for project in (row.project, *self._linked[row.number]):
                    self._name(row, project, there=row.deleted_at is None)
            case MetricLinkRow():
                self._linked[row.metric].add(row.project)
                self.keep(self.metrics[row.metric])
            case ModelRow():
                self.models[row.number] = self._models[row.key] = self._models[str(row.id)] = row
            case ProjectModelRow():
                self.project_models[row.project, row.model] = row
            case ApiKeyRow():
                self.api_keys[row.number] = self._api_keys[row.hash] = row

    def _name(self, row: MetricRow, project: int, *, there: bool) -> None:
        """Note under which names a project knows a metric, or no longer knows it."""
        for name in (row.key, str(row.id)):
            if there:
                self._metrics[project, name] = row
            elif (held := self._metrics.get((project, name))) and held.number == row.number:
                del self._metrics[project, name]

    def drop(self, row: ProjectModelRow | MetricLinkRow) -> None:
        """Forget a row that is no more."""
        self._changes += 1
        if isinstance(row, ProjectModelRow):
            self.project_models.pop((row.project, row.model), None)
        else:
            self._linked[row.metric].discard(row.project)
            self._name(self.metrics[row.metric], row.project, there=False)

    def knows_label(self, number: int) -> bool:
        """Tell whether a label is surely in the dictionary: its row need not be written again."""
        return number in self._labels

    def keep_labels(self, numbers: Iterable[int]) -> None:
        """Note labels that were committed; forget all when they become too many."""
        if len(self._labels) > MOST_LABELS:
            self._labels.clear()
        self._labels.update(numbers)

    def find_project(self, id_or_key: str) -> ProjectRow | None:
        """Return the project of that key or id."""
        if id_or_key not in self._projects:
            self._look_for(projects, _project, id_or_key)
        return self._projects.get(id_or_key)

    def find_metric(self, project: int, id_or_key: str) -> MetricRow | None:
        """Return the metric of that key or id in a project, unless it was deleted."""
        if (project, id_or_key) not in self._metrics and id_or_key not in NUMBERS:
            self._look_for(metrics, _metric, id_or_key)
        return self._metrics.get((project, id_or_key))

    def metrics_of(self, project: int) -> list[MetricRow]:
        """Return the metrics that a project owns or is linked to, by key."""
        found = (row for row in self.metrics.values() if project in self.projects_of(row) and row.deleted_at is None)
        return sorted(found, key=lambda row: row.key)

    def projects_of(self, row: MetricRow) -> set[int]:
        """Return the projects that own a metric or are linked to it."""
        return self._linked[row.number] | ({row.project} if row.project else set())

    def find_model(self, id_or_key: str) -> ModelRow | None:
        """Return the model of that key or id."""
        if id_or_key not in self._models:
            self._look_for(models, _model, id_or_key)
        return self._models.get(id_or_key)

    def models_of(self, project: int) -> list[ProjectModelRow]:
        """Return the models attached to a project, the default first, then in the order in which they came."""
        rows = [row for row in self.project_models.values() if row.project == project]
        return sorted(rows, key=lambda row: (not row.is_default, row.created_at, row.model))

    def find_api_key(self, digest: bytes) -> ApiKeyRow | None:
        """Return the API key of that SHA-256."""
        return self._api_keys.get(digest)

    def _look_for(self, table: Table, row_of: Callable[[Any], Any], id_or_key: str) -> None:
        """Hold the rows of a key or id that others have made meanwhile."""
        wanted = (table.name, id_or_key)
        if self._fetch is None or wanted in self._looked_for or len(self._looked_for) == MOST_LOOKS:
            return
        if "\0" in id_or_key:
            return
        named = table.c.key == id_or_key
        with suppress(ValueError):
            named |= table.c.id == UUID(id_or_key)
        found = self._fetch(lambda connection: connection.execute(select(table).where(named)).all())
        self._looked_for.add(wanted)
        for row in found:
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
    """Insert a project. Raises `Conflict` when its key is taken."""
    transaction.alone()
    taken = transaction.connection.execute(select(projects.c.number).where(projects.c.key == row.key)).first()
    if taken:
        raise Conflict(
            f"A project with the key {row.key!r} exists already.",
            code="project_exists",
            param="key",
            hint="Choose another key, or change that project with PATCH.",
        )
    return _numbered(row, add(transaction, projects, **_values(row)))


def change_project(transaction: Transaction, number: int, values: dict[str, Any]) -> ProjectRow:
    """Change columns of a project; return it as it is now."""
    return _project(_changed(transaction, projects, number, values))


def add_metric(transaction: Transaction, row: MetricRow) -> MetricRow:
    """Insert a metric, or return the one that its key already names in the project."""
    transaction.alone()
    wanted = (metrics.c.project == row.project, metrics.c.key == row.key, metrics.c.deleted_at.is_(None))
    there = transaction.connection.execute(select(metrics).where(*wanted)).first()
    return _metric(there) if there else _numbered(row, add(transaction, metrics, **_values(row)))


def change_metric(transaction: Transaction, number: int, values: dict[str, Any]) -> MetricRow | None:
    """Change columns of a metric; return it as it is now, None where it was deleted meanwhile."""
    changed = _changed(transaction, metrics, number, values, metrics.c.deleted_at.is_(None))
    return None if changed is None else _metric(changed)


def link_metric(transaction: Transaction, row: MetricLinkRow) -> MetricLinkRow:
    """Link a metric to a project."""
    transaction.alone()
    unlink_metric(transaction, row)
    transaction.connection.execute(metric_links.insert().values(project=row.project, metric=row.metric))
    return row


def unlink_metric(transaction: Transaction, row: MetricLinkRow) -> bool:
    """Take a link away; tell whether it was there."""
    its = (metric_links.c.project == row.project, metric_links.c.metric == row.metric)
    return transaction.connection.execute(metric_links.delete().where(*its)).rowcount > 0


def add_model(transaction: Transaction, row: ModelRow) -> ModelRow:
    """Insert a model, or return the one that its key already names."""
    transaction.alone()
    there = transaction.connection.execute(select(models).where(models.c.key == row.key)).first()
    return _model(there) if there else _numbered(row, add(transaction, models, **_values(row)))


def register_model(transaction: Transaction, row: ModelRow) -> ModelRow:
    """Insert a model that can be called, or make the logged-only one of its key such; return the one of that key which
    can be called already."""
    transaction.alone()
    there = transaction.connection.execute(select(models).where(models.c.key == row.key)).first()
    if there is None:
        return add_model(transaction, row)
    known = _model(there)
    if known.provider is not None:
        return known
    row = msgspec.structs.replace(row, number=known.number, id=known.id, created_at=known.created_at)
    transaction.connection.execute(models.update().where(models.c.number == row.number).values(**_values(row)))
    return row


def change_model(transaction: Transaction, number: int, values: dict[str, Any]) -> ModelRow | None:
    """Change columns of a model that can be called; return it as it is now, None where it was deleted meanwhile.

    A model that can be called no more is taken out of all projects.
    """
    changed = _changed(transaction, models, number, values, models.c.provider.is_not(None))
    if changed is None:
        return None
    if changed.provider is None:
        transaction.connection.execute(project_models.delete().where(project_models.c.model == number))
    return _model(changed)


def attach_model(transaction: Transaction, row: ProjectModelRow) -> list[ProjectModelRow]:
    """Write how a model stands in a project; return all its rows that changed: a project has one default at most."""
    transaction.alone()
    connection, of_project = transaction.connection, project_models.c.project == row.project
    changed = [row]
    if row.is_default:
        others = connection.execute(select(project_models).where(of_project, project_models.c.is_default.is_(True)))
        rows = [_project_model(other) for other in others if other.model != row.model]
        changed += [msgspec.structs.replace(other, is_default=False) for other in rows]
    for one in changed:
        connection.execute(project_models.delete().where(of_project, project_models.c.model == one.model))
        connection.execute(project_models.insert().values(**msgspec.structs.asdict(one)))
    return changed


def change_project_model(
    transaction: Transaction, row: ProjectModelRow, values: dict[str, Any]
) -> list[ProjectModelRow]:
    """Change how a model stands in a project; return all rows that changed: none where it was taken out meanwhile."""
    transaction.alone()
    its = (project_models.c.project == row.project, project_models.c.model == row.model)
    there = transaction.connection.execute(select(project_models).where(*its)).first()
    if there is None:
        return []
    return attach_model(transaction, msgspec.structs.replace(_project_model(there), **values))


def detach_model(transaction: Transaction, row: ProjectModelRow) -> bool:
    """Take a model out of a project; tell whether it was in it."""
    its = (project_models.c.project == row.project, project_models.c.model == row.model)
    return transaction.connection.execute(project_models.delete().where(*its)).rowcount > 0


def add_api_key(transaction: Transaction, row: ApiKeyRow) -> ApiKeyRow:
    """Insert an API key."""
    return _numbered(row, add(transaction, api_keys, **_values(row)))


def revoke_api_key(transaction: Transaction, number: int, revoked_at: int) -> ApiKeyRow:
    """Revoke an API key; return it as it is now."""
    return _api_key(_changed(transaction, api_keys, number, {"revoked_at": revoked_at}))


def _changed(transaction: Transaction, table: Table, number: int, values: dict[str, Any], *still: Any) -> Any:
    """Change columns of a row, and no others: another caller may have changed these a moment ago. Return the row as it
    is now; None where it is not there, or what is to be `still` so is not."""
    transaction.alone()
    connection, its = transaction.connection, table.c.number == number
    if connection.execute(select(table.c.number).where(its, *still)).first() is None:
        return None
    if values:
        connection.execute(table.update().where(its).values(**values))
    return connection.execute(select(table).where(its)).first()


def _numbered(row: Any, number: int) -> Any:
    return msgspec.structs.replace(row, number=number)


def _values(row: ProjectRow | MetricRow | ModelRow | ApiKeyRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__struct_fields__ if name != "number"}
    if isinstance(row, ApiKeyRow):
        values["projects"] = None if row.projects is None else msgspec.json.encode(sorted(row.projects)).decode()
    return values


def _one(fetch: Fetch, table: Table, row_of: Callable[[Any], Any], number: int) -> Any:
    found = fetch(lambda connection: connection.execute(select(table).where(table.c.number == number)).first())
    return None if found is None else row_of(found)


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
