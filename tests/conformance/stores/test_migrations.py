"""The migrations make what the tables say, all or nothing, on every store."""

from __future__ import annotations

import shutil
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext

from sundog.control.store import Store, migrations, open_store, tables
from sundog.control.store.tables.meta import meta
from sundog.errors import Conflict, InputError, InvariantError
from tests.conformance.stores.programs import finish, program

HEAD = '"""A migration of the tests."""\nimport sqlalchemy as sa\nfrom alembic import op\n'


def missing_operations(store: Store, metadata: sa.MetaData) -> str:
    """What a migration would have to do so that the schema is as ``metadata`` says; empty if nothing."""
    with store.read() as tx:
        context = MigrationContext.configure(tx.connection, opts={"compare_server_default": True})
        found = produce_migrations(context, metadata).upgrade_ops
        if not found or found.is_empty():
            return ""
        return render_python_code(found, render_as_batch=True, user_module_prefix="tables.", migration_context=context)


def table_names(store: Store) -> list[str]:
    with store.read() as tx:
        return sorted(sa.inspect(tx.connection).get_table_names())


def add_migration(folder: Path, revision: str, after: str, body: str) -> None:
    lines = [HEAD, f'revision = "{revision}"', f'down_revision = "{after}"', "def upgrade():", f"    {body}"]
    (folder / "versions" / f"{revision}_more.py").write_text("\n".join(lines))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Migrations to add to: Sundog's first, alone."""
    copy = tmp_path / "migrations"
    (copy / "versions").mkdir(parents=True)
    shutil.copy(migrations.FOLDER / "env.py", copy)
    shutil.copy(migrations.FOLDER / "versions" / "0001_meta.py", copy / "versions")
    return copy


def test_the_migrations_make_what_the_tables_say(empty_store: Store) -> None:
    empty_store.migrate()
    missing = missing_operations(empty_store, tables.load())
    assert not missing, f"add a migration (how: sundog/control/store/migrations/__init__.py) with\n{missing}"


def test_a_table_without_a_migration_would_be_noticed(empty_store: Store) -> None:
    empty_store.migrate()
    ahead = sa.MetaData(naming_convention=tables.metadata.naming_convention)
    for table in tables.load().tables.values():
        table.to_metadata(ahead)
    sa.Table("added", ahead, sa.Column("id", tables.Id, primary_key=True), sa.Column("at", tables.UtcDateTime))
    ahead.tables["meta"].append_column(sa.Column("size", tables.Int))
    missing = missing_operations(empty_store, ahead)
    assert "op.create_table('added'" in missing
    assert "tables.Id()" in missing
    assert "batch_op.add_column(sa.Column('size'" in missing


def test_the_migrations_are_one_line_in_the_order_of_their_numbers() -> None:
    script = migrations.script()
    line = [each.revision for each in reversed(list(script.walk_revisions()))]
    assert script.get_heads() == [line[-1]], "two migrations follow the same one; renumber the later"
    assert line == [f"{number:04}" for number in range(1, len(line) + 1)]
    files = sorted(path.name for path in (migrations.FOLDER / "versions").glob("[0-9]*.py"))
    assert [name.split("_")[0] for name in files] == line


def test_migrating_again_changes_nothing(empty_store: Store) -> None:
    empty_store.migrate()
    with empty_store.begin() as tx:
        tx.insert(meta, key="deployment", value="d1")
    empty_store.migrate()
    with empty_store.read() as reader:
        assert reader.find(meta) == [{"key": "deployment", "value": "d1"}]


def test_processes_that_start_together_migrate_once(shared_place: str) -> None:
    with ExitStack() as started:
        for process in [started.enter_context(program("migrate", shared_place)) for _ in range(4)]:
            finish(process)
    with closing(open_store(shared_place)) as store:
        assert missing_operations(store, tables.load()) == ""


def test_a_migration_that_fails_takes_those_before_it_back(empty_store: Store, folder: Path) -> None:
    empty_store.migrate(folder=folder)
    add_migration(folder, "0002", "0001", 'op.create_table("two", sa.Column("id", sa.Integer, primary_key=True))')
    add_migration(folder, "0003", "0002", 'op.execute("INSERT INTO nowhere VALUES (1)")')
    before = table_names(empty_store)
    with pytest.raises(InvariantError, match="nowhere"):
        empty_store.migrate(folder=folder)
    assert table_names(empty_store) == before
    (folder / "versions" / "0003_more.py").unlink()
    empty_store.migrate(folder=folder)
    assert table_names(empty_store) == sorted([*before, "two"])


def test_changing_a_table_leaves_alone_what_refers_to_it(empty_store: Store, folder: Path) -> None:
    made = 'sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String)'
    refers = 'sa.Column("parent", sa.Integer, sa.ForeignKey("parents.id", ondelete="CASCADE"))'
    add_migration(
        folder, "0002", "0001",
        f'op.create_table("parents", {made}); op.create_table("children", {made}, {refers}); '
        'op.execute("INSERT INTO parents VALUES (1, \'p\')"); op.execute("INSERT INTO children VALUES (2, \'c\', 1)")',
    )  # fmt: skip
    empty_store.migrate(folder=folder)
    change = 'batch.alter_column("name", nullable=False)'
    add_migration(folder, "0003", "0002", f'with op.batch_alter_table("parents", recreate="auto") as batch: {change}')
    empty_store.migrate(folder=folder)
    children = sa.table("children", sa.column("id"), sa.column("parent"))
    with empty_store.begin() as tx:
        assert tx.execute(sa.select(children)).all() == [(2, 1)]
        # Foreign keys count again.
        tx.execute(sa.delete(sa.table("parents", sa.column("id"))))
        assert tx.execute(sa.select(children)).all() == []


def test_a_migration_that_leaves_a_dangling_reference_is_refused(empty_store: Store, folder: Path) -> None:
    made = 'sa.Column("id", sa.Integer, primary_key=True)'
    add_migration(
        folder, "0002", "0001",
        f'op.create_table("parents", {made}); '
        f'op.create_table("children", {made}, sa.Column("parent", sa.Integer, sa.ForeignKey("parents.id"))); '
        'op.execute("INSERT INTO children VALUES (2, 1)")',
    )  # fmt: skip
    with pytest.raises((Conflict, InvariantError), match="refers to"):
        empty_store.migrate(folder=folder)
    assert "children" not in table_names(empty_store)


def test_a_database_of_a_newer_sundog_is_refused_and_left_alone(empty_store: Store) -> None:
    empty_store.migrate()
    version: Any = sa.table("alembic_version", sa.column("version_num"))
    with empty_store.begin() as tx:
        tx.execute(sa.update(version).values(version_num="9999"))
    with pytest.raises(InputError, match="newer Sundog"):
        empty_store.migrate()
    with empty_store.read() as reader:
        assert reader.execute(sa.select(version)).scalar_one() == "9999"
