"""Details of outcomes in a store from before they were searched."""

from __future__ import annotations

from importlib import import_module
from typing import Any
from uuid import UUID

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from sqlalchemy import delete, select, update

from afterword.store.schema import details_pending, outcomes


def test_outcomes_of_the_version_before_get_turns_and_are_queued(shelf: Any):
    def turns() -> dict[UUID, UUID]:
        query = select(outcomes.c.id, outcomes.c.turn)
        return dict(shelf.store.read_now(lambda connection: [tuple(row) for row in connection.execute(query)]))

    before = turns()
    sessions = {row.session: set[UUID]() for row in shelf.logged}
    for row in shelf.logged:
        sessions[row.session].add(row.id)
    assert any(turn in sessions[UUID(int=1)] for turn in before.values())
    with_details = sorted(before)[::3]
    with shelf.store.database.connect_writer() as connection, connection.begin():
        connection.execute(update(outcomes).where(outcomes.c.id.in_(with_details)).values(details="so"))
        connection.execute(delete(details_pending))
        connection.exec_driver_sql("DROP INDEX ix_outcomes_turn")
        connection.exec_driver_sql("ALTER TABLE outcomes DROP COLUMN turn")
        with Operations.context(MigrationContext.configure(connection)):
            import_module("afterword.store.migrations.versions.0022_turns_of_outcomes").upgrade()
    assert turns() == before
    queued = select(details_pending.c.interaction_id, details_pending.c.change_id)
    rows = shelf.store.read_now(lambda connection: connection.execute(queued).all())
    assert {row.change_id: row.interaction_id for row in rows} == {id: before[id] for id in with_details}
