"""Run by Alembic: hands it the connection, and with it the transaction, of ``upgrade``."""

from alembic import context

from sundog.control.store import tables

context.configure(
    connection=context.config.attributes["connection"], target_metadata=tables.load(), render_as_batch=True
)
context.run_migrations()
