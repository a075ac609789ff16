"""The store's versions: Alembic revisions, one tree for all dialects.

`REVISIONS` are the files of `versions` in order, so that a store that is up to date opens without loading Alembic.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

_FOLDER = Path(__file__).parent
REVISIONS = tuple(sorted(path.stem.partition("_")[0] for path in (_FOLDER / "versions").glob("0*.py")))
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
    config.set_main_option("script_location", str(_FOLDER))
    return config
