"""The store's versions: Alembic revisions, one tree for all dialects.

`REVISIONS` names them in order, so that a store that is up to date opens without loading Alembic.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009", "0010", "0011", "0012")
HEAD = REVISIONS[-1]


def upgrade(connection: Connection) -> None:
    """Bring the store behind `connection` to `HEAD`, each revision in a transaction."""
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def alembic_config():
    """Return Alembic's configuration for this tree."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
