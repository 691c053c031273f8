"""Brings the state store's schema up to date with the Alembic scripts in `migrations`."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from watchpost.store.versions import StoreNewerError

_SCRIPTS = Path(__file__).with_name("migrations")


def migrate(engine: sa.Engine, program: str) -> None:
    """Apply every script that a database lacks, all of them to an empty one.

    Raises:
        StoreNewerError: the database has a version that this program does not know; nothing was changed.
    """
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    head = str(scripts.get_current_head())
    with engine.begin() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found == head:
            return
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise StoreNewerError("state", found, head, program)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
