"""Alembic's entry: run the revisions over the connection that `upgrade` was given."""

from alembic import context

from afterword.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
with context.begin_transaction():
    context.run_migrations()
