"""How the tables came to be: Alembic migrations, in one line, run by ``store.migrate()`` at every start.

**To add one**, after the tables in ``sundog.control.store.tables`` have changed:

1. Run ``pytest tests/conformance/stores/test_migrations.py``. It fails and prints the operations that are missing.
2. Put them into ``versions/NNNN_<service>.py`` (copy a neighbour): ``revision = "NNNN"``, the next free number, and
   ``down_revision``, the number before it. Columns have the types of ``tables``, as the printed operations do.
3. Run the test again, on SQLite and PostgreSQL.

A service has one file until the first release, to be edited in place; a database made before the edit is thrown away.
From the release on a file is never edited again and each change is a file of its own.

A migration is part of the transaction of all that are due, on every database: after a crash or an error none of them
has happened. It must therefore not commit, and uses ``op.batch_alter_table`` to change a table, since SQLite can only
copy it. Foreign keys are not enforced meanwhile on SQLite, and are checked at the end. Rows are moved with statements
about tables as the migration defines them, never those of ``tables``, which will have changed by the next release.

There is no way down: keep a backup.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from sundog.errors import InputError, InvariantError

FOLDER: Final = Path(__file__).parent
"""Where Sundog's own are."""


def script(folder: Path = FOLDER) -> ScriptDirectory:
    """The migrations in ``folder``, as Alembic sees them."""
    return ScriptDirectory.from_config(_config(folder))


def upgrade(connection: Connection, store: str, *, folder: Path = FOLDER) -> None:
    """Run the migrations in ``folder`` that are due, in the transaction that ``connection`` is in.

    Raises: InputError if the schema is of a revision that is not known here; SQLAlchemy's errors.
    """
    config = _config(folder)
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise InputError(
            f"the database {store} cannot be brought up to date ({error}); it was probably used with a newer Sundog"
        ) from error
    if connection.dialect.name == "sqlite":
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if dangling:
            raise InvariantError(f"a migration left a row of {dangling[0]} that refers to no row of {dangling[2]}")


def _config(folder: Path) -> Config:
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
